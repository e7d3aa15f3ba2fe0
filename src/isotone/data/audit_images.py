"""The audit's part for images: files that cannot be used, copies, and what only looks odd."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from isotone.data.files import shown
from isotone.data.images import Probe, Progress, Source, probe_all
from isotone.data.settings import DataSettings
from isotone.data.table import Table, label, locate
from isotone.errors import DataError, Problem, nearest

_HELD_OUT = ("test", "val", "train")  # a copy on two sides stays on the first of these
_SUGGESTIONS = 3  # missing files that get the nearest name; each costs a search through the folder
_SUFFIX_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm"), "PPM"),
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".gif": "GIF",
}


def read_images(
    table: Table, column: str | None, settings: DataSettings, progress: Progress | None
) -> tuple[list[Source | None], list[Probe | Problem | None], list[Problem]]:
    """Find and read every image of a column once.

    Args:
        table: the table.
        column: of the images; without one everything returned is empty.
        settings: what is allowed.
        progress: called with (images read, images).

    Returns:
        n sources (None where the cell names none that is allowed), n probes or problems, and the problems with their
        places.
    """
    if column is None:
        return [], [], []
    cells = table.column(column).tolist()
    sources: list[Source | None] = []
    faults: list[Problem | None] = []
    for cell in cells:
        try:
            sources.append(locate(cell, table.root, allow_outside=settings.allow_outside))
            faults.append(None)
        except DataError as error:
            sources.append(None)
            faults.append(error.problems[0])
    read = iter(probe_all([source for source in sources if source is not None], settings, progress))
    answers = [next(read) if source is not None else fault for source, fault in zip(sources, faults, strict=True)]
    found = [
        replace(answer, row=int(table.lines[row]), column=column, file=file_name(table, row, column))
        for row, answer in enumerate(answers)
        if isinstance(answer, Problem)
    ]
    return sources, answers, [*_with_nearest(found, table), *_wrong_suffixes(table, column, answers)]


def copies(
    table: Table,
    sources: Sequence[Source | None],
    digest: Shaped[np.ndarray, " n"],
    given: Float[np.ndarray, "n k"],
    split: Shaped[np.ndarray, " n"] | None,
) -> list[Problem]:
    """Return the rows whose image is another row's too.

    Fatal: the same file named twice, and the same content on two sides of a given split; of these the row that is
    furthest held out (test, then val) is the one that may stay. The same content elsewhere is a warning, for a drawn
    split keeps copies on one side.

    Args:
        table: the table.
        sources: n files or bytes.
        digest: (n,) SHA-256 of each image, '' where it could not be read.
        given: (n, k) targets or codes of classes; copies with different labels are told apart, and NaN is no label.
        split: (n,) train, val, test or '', or None where the split is drawn.
    """
    alike: dict[str, list[int]] = {}
    for row in np.flatnonzero(digest != "").tolist():
        alike.setdefault(str(digest[row]), []).append(row)
    found: list[Problem] = []
    for rows in (rows for rows in alike.values() if len(rows) > 1):
        if split is not None:
            rows.sort(key=lambda row: (*_HELD_OUT, "").index(str(split[row])))
        files: set[Source | None] = set()
        for row in rows:
            if row != rows[0]:
                found.append(_copy(table, row, rows[0], sources[row] in files, given, split))
            if isinstance(sources[row], Path):
                files.add(sources[row])
    return found


def narrow_range(column: str | None, probes: Sequence[Probe | Problem | None]) -> list[Problem]:
    """Return a warning where 16-bit greys fill so little of their range that few of 256 levels are left."""
    peaks = [probe.peak for probe in probes if isinstance(probe, Probe) and probe.mode.startswith("I")]
    if not peaks or max(peaks) > 16_383:
        return []
    what = f"the 16-bit greys go up to {max(peaks)} of 65535 only, so that {max(peaks) // 257 + 1} grey levels remain"
    fix = "Save them scaled to the full range, all by the same factor"
    return [Problem("narrow-range", what, fix, column=column, fatal=False)]


def row_problem(table: Table, row: int, kind: str, what: str, fix: str, column: str | None) -> Problem:
    """Return a fatal problem with the place of a row (by its index)."""
    return Problem(kind, what, fix, row=int(table.lines[row]), column=column, file=file_name(table, row))


def file_name(table: Table, row: int, column: str | None = None) -> str | None:
    """Return the file that a row names, fit to print, or None; `column` is another than the image column."""
    column = column or table.image_column or (table.signal if table.names else None)
    if column is None:
        return None
    name = label(table.column(column).iloc[row], 0)
    return None if name == "row 0" else shown(name)


def labels(table: Table) -> Shaped[np.ndarray, " n"]:
    """Return (n,) how to call each row: its window or file name, else `row 17` by its line."""
    if table.names:
        return np.array(table.names, dtype=np.str_)
    cells = [None] * len(table.lines) if table.image_column is None else table.column(table.image_column).tolist()
    return np.array([label(cell, int(line)) for cell, line in zip(cells, table.lines, strict=True)], dtype=np.str_)


# ----------------------------------------------------------------------------------------------------------------------


def _with_nearest(found: list[Problem], table: Table) -> list[Problem]:
    """Add the nearest file name to the first few files that do not exist."""
    out: list[Problem] = []
    searched = 0
    for problem in found:
        fix = problem.fix
        if problem.kind == "missing-file" and searched < _SUGGESTIONS:
            searched += 1
            fix = _nearest_file(table.root, problem.file or "") or fix
        out.append(replace(problem, fix=fix))
    return out


def _nearest_file(root: Path, name: str) -> str:
    try:
        beside = os.listdir((root / name).parent)[:5000]
    except (OSError, ValueError):
        return ""
    close = nearest(Path(name).name, beside).removeprefix(" Did you mean ").rstrip("?")
    return close and f"Correct the name (there is {close}) or remove the row"


def _wrong_suffixes(table: Table, column: str, probes: Sequence[Probe | Problem | None]) -> list[Problem]:
    cells = table.column(column).tolist()
    found: list[Problem] = []
    for row, probe in enumerate(probes):
        wanted = _SUFFIX_FORMATS.get(os.path.splitext(label(cells[row], 0))[1].lower())
        if isinstance(probe, Probe) and wanted and wanted != probe.format and (wanted, probe.format) != ("JPEG", "MPO"):
            what, fix = f"holds {probe.format}, whatever its name says", "Rename it if that was a mistake"
            file = file_name(table, row, column)
            found.append(Problem("suffix", what, fix, int(table.lines[row]), column, file, fatal=False))
    return found


def _copy(table: Table, row: int, first: int, same_file: bool, given: np.ndarray, split: np.ndarray | None) -> Problem:
    line = table.lines[first]
    side, other = ("", "") if split is None else (str(split[row]), str(split[first]))
    fatal = True
    if side and side != other:
        kind, what = "leak", f"({side}) has the same content as line {line} ({other})"
        fix = "Remove one, or move both to the same side"
    elif same_file:
        kind, what, fix = (
            "same-file",
            f"is named again: it has the same content as line {line}",
            "Remove one of the rows",
        )
    elif _differ(given[row], given[first]):
        kind, noun = ("two-targets", "target") if table.category is None else ("two-classes", "class")
        what, fatal = f"has the same content as line {line} but another {noun}", False
        fix = "Correct one of them or remove both"
    else:
        kind, what, fatal = "same-content", f"has the same content as line {line}", False
        fix = "Remove one unless it is meant; a drawn split keeps copies on one side"
    return replace(row_problem(table, row, kind, what, fix, table.image_column), fatal=fatal)


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(((one != other) & ~np.isnan(one) & ~np.isnan(other)).any())
