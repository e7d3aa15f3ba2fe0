"""Find every problem of a table in one pass, before anything is trained: each with its line, column, file and repair.

A fatal problem of a row takes the row out (or stops the run, as the user chose); a fatal problem of the whole table
always stops it; a warning never does. The user's files are read, never changed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from isotone.data.audit_images import (
    copies,
    file_name,
    labels,
    narrow_range,
    read_images,
    row_problem,
)
from isotone.data.images import Probe, Progress, Source
from isotone.data.settings import DataSettings
from isotone.data.split import SIDES, looks_like_group, read_sides, shared_groups, too_few
from isotone.data.spreadsheet import neutral
from isotone.data.table import Table, numbers, shown, texts
from isotone.errors import Problem

LEAST_ROWS = 10  # fewer cannot be split three ways and judged
LEAST_SIDE = 2  # rows on each side: one row has no correlation and no spread
_MISSING = frozenset({"nan", "na", "n/a", "#n/a", "none", "null", "-", "?"})


@dataclass(frozen=True)
class Audit:
    """All that one pass over a table found.

    Args:
        problems: in the order of the table, then those of the whole table, then warnings about it.
        keep: (n,) bool, False where the row has a fatal problem.
        lines: (n,) line of the table (header = 1).
        label: (n,) text, how to call each row.
        target: (n, k) float64, NaN where a cell is no number.
        features: (n, f) float32, NaN where a cell is no number; f = 0 for images.
        group: (n,) text, or None.
        split: (n,) train, val, test or '', or None where no column gives it.
        sources: n files or image bytes, None where there is none; empty for rows.
        digest: (n,) SHA-256 of each image's bytes, '' where it could not be read; None for rows.
        grey: whether every image that is kept is grey.
    """

    problems: tuple[Problem, ...]
    keep: np.ndarray
    lines: np.ndarray
    label: np.ndarray
    target: np.ndarray
    features: np.ndarray
    group: np.ndarray | None
    split: np.ndarray | None
    sources: tuple[Source | None, ...]
    digest: np.ndarray | None
    grey: bool

    @property
    def fatal(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.fatal)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(problem for problem in self.problems if not problem.fatal)


def audit(table: Table, settings: DataSettings, progress: Progress | None = None) -> Audit:
    """Check every cell and every image of the table, and the table as a whole.

    Without target columns (new data to predict) copies, constant targets and too few rows are no problems.

    Args:
        table: as `read_table` returns it.
        settings: what is allowed.
        progress: called with (images read, n).

    Raises:
        ConfigError: another library made Pillow accept truncated files.
    """
    target, found = _columns(table, table.target, "target")
    features, more = _columns(table, table.features, "feature")
    with np.errstate(over="ignore"):
        narrow = features.astype(np.float32)
    found += [*table.problems, *more, *_too_wide(table, features, narrow)]
    group = None if table.group is None else texts(table.column(table.group))
    split = None if table.split_column is None else read_sides(texts(table.column(table.split_column)))
    found += [*_empty_groups(table, group), *_odd_sides(table, split)]
    sources, probes, more = read_images(table, settings, progress)
    found += more
    digest = np.array([probe.digest if isinstance(probe, Probe) else "" for probe in probes], dtype=np.str_)
    if table.target and table.image_column is not None:
        found += copies(table, sources, digest, target, split)
    keep = ~np.isin(table.lines, [problem.row for problem in found if problem.fatal and problem.row])
    found.sort(key=lambda problem: problem.row or 0)
    if table.target:
        found += whole_problems(target[keep], table.target, None if split is None else split[keep])
        found += _group_problems(table, group, split, keep)
    found += narrow_range(table, probes)
    kept = [probe for probe, good in zip(probes, keep, strict=False) if good and isinstance(probe, Probe)]
    return Audit(
        problems=tuple(found),
        keep=keep,
        lines=table.lines,
        label=labels(table),
        target=target,
        features=narrow,
        group=group,
        split=split,
        sources=tuple(sources),
        digest=digest if table.image_column is not None else None,
        grey=bool(kept) and all(probe.grey for probe in kept),
    )


def whole_problems(
    target: Float[np.ndarray, "n k"], names: Sequence[str], split: Shaped[np.ndarray, " n"] | None
) -> list[Problem]:
    """Return what is wrong with usable rows as a whole: too few, too few on a side, a target that never changes.

    Example:
        >>> print(whole_problems(np.ones((20, 1)), ["age"], None)[0])
        column 'age': is 1 in every row, so there is nothing to predict. Choose another target.
    """
    found: list[Problem] = []
    if len(target) < LEAST_ROWS:
        what = f"{len(target)} usable rows are too few"
        found.append(Problem("few-rows", what, f"Give at least {LEAST_ROWS}"))
    elif split is not None:
        for side in SIDES:
            rows = int((split == side).sum())
            if rows < LEAST_SIDE:
                what = f"{rows} usable rows are marked {side}"
                fix = f"Mark at least {LEAST_SIDE}, or leave the split column out to have one drawn"
                found.append(Problem("few-rows", what, fix))
    for name, values in zip(names, target.T, strict=True):
        if len(values) > 1 and (values == values[0]).all():
            what = f"is {values[0]:g} in every row, so there is nothing to predict"
            found.append(Problem("constant-target", what, "Choose another target", column=name))
    return found


def bad_rows(audit: Audit) -> pd.DataFrame:
    r"""Return one line for each fatal problem of a row, as `bad_rows.csv` holds them.

    A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`) gets a leading apostrophe;
    control characters, such as a leading tab or return, are written as `\t` and `\r`.

    Returns:
        columns line, column, file, kind, problem, fix.
    """
    rows = [
        [problem.row, *map(_harmless, (problem.column, problem.file, problem.kind, problem.what, problem.fix))]
        for problem in audit.fatal
        if problem.row is not None
    ]
    return pd.DataFrame(rows, columns=["line", "column", "file", "kind", "problem", "fix"])


def format_problems(problems: Sequence[Problem], limit: int = 20) -> str:
    """Return the problems as readable text: a count by kind, then one line each, fatal ones first.

    Args:
        problems: what an audit found.
        limit: lines at most for problems; every kind gets its share, and what is left out is counted.

    Example:
        >>> print(format_problems([Problem("no-file", "names no image", "Remove the row", row=3, column="image")]))
        line 3, column 'image': names no image. Remove the row.
    """
    if len(problems) <= 1:
        return "\n".join(_line(problem) for problem in problems)
    ordered = sorted(problems, key=lambda problem: not problem.fatal)
    kinds = Counter(problem.kind for problem in ordered)
    share = limit if len(ordered) <= limit else max(1, limit // len(kinds))
    seen: Counter[str] = Counter()
    lines: list[str] = []
    for problem in ordered:
        seen[problem.kind] += 1
        if seen[problem.kind] <= share:
            lines.append(_line(problem))
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    fatal = sum(problem.fatal for problem in ordered)
    head = f"{_count(fatal, 'problem')}, {_count(len(ordered) - fatal, 'warning')}: {counts}"
    left = len(ordered) - len(lines)
    return "\n".join([head, *lines, *([f"... and {left} more; `isotone check` lists all."] if left else [])])


# ----------------------------------------------------------------------------------------------------------------------
# cells


def _columns(table: Table, names: Sequence[str], role: str) -> tuple[np.ndarray, list[Problem]]:
    values = np.empty((len(table.frame), len(names)))
    found: list[Problem] = []
    for i, name in enumerate(names):
        values[:, i] = numbers(table.column(name))
        bad = np.flatnonzero(~np.isfinite(values[:, i]))
        if len(bad) == len(values):
            found.append(_text_column(table, name, role))
        else:
            found += [_cell(table, name, int(row), role) for row in bad]
    return values, found


def _text_column(table: Table, name: str, role: str) -> Problem:
    some = [cell for cell in dict.fromkeys(texts(table.column(name)).tolist()) if cell]
    if not some:
        return Problem(f"{role}-missing", "is empty in every row", f"Choose another {role}", column=name)
    what = f"holds no number at all, but {', '.join(shown(cell, 30) for cell in some[:3])}"
    fix = f"Write decimal points: {_point(some[0])} for {some[0]}" if _point(some[0]) else f"Choose another {role}"
    return Problem(f"{role}-text", what, fix, column=name)


def _cell(table: Table, name: str, row: int, role: str) -> Problem:
    text = str(texts(table.column(name).iloc[[row]])[0])
    fix = "Correct it or remove the row"
    if not text or text.lower() in _MISSING:
        kind, what = "missing", "is empty" if not text else f"is '{shown(text)}', no number"
    elif np.isinf(numbers(table.column(name).iloc[[row]])[0]):
        kind, what = "infinite", f"is infinite ({shown(text)})"
    elif _point(text):
        kind, what, fix = "text", f"'{shown(text)}' has a decimal comma", f"Write {_point(text)}"
    else:
        kind, what = "text", f"'{shown(text)}' is not a number"
    return Problem(f"{role}-{kind}", what, fix, row=int(table.lines[row]), column=name, file=file_name(table, row))


def _point(text: str) -> str:
    """`1.5` for `1,5`, '' for what is no number with a decimal comma."""
    changed = text.replace(",", ".")
    return changed if text.count(",") == 1 and np.isfinite(numbers(pd.Series([changed], dtype=object))[0]) else ""


def _too_wide(table: Table, wide: np.ndarray, narrow: np.ndarray) -> list[Problem]:
    row, column = np.nonzero(np.isfinite(wide) & ~np.isfinite(narrow))
    return [
        Problem(
            "feature-infinite",
            f"{wide[i, j]:g} is too large for single precision",
            "Scale the column",
            row=int(table.lines[i]),
            column=table.features[j],
        )
        for i, j in zip(row.tolist(), column.tolist(), strict=True)
    ]


def _empty_groups(table: Table, group: np.ndarray | None) -> list[Problem]:
    fix = "Name its group or remove the row: it could be on two sides of the split"
    empty = [] if group is None else np.flatnonzero(group == "").tolist()
    return [row_problem(table, row, "no-group", "is empty", fix, table.group) for row in empty]


def _odd_sides(table: Table, split: np.ndarray | None) -> list[Problem]:
    if split is None or table.split_column is None:
        return []
    words = texts(table.column(table.split_column))
    return [
        row_problem(
            table, row, "split-word", _odd_word(str(words[row])), "Write train, val or test", table.split_column
        )
        for row in np.flatnonzero(split == "").tolist()
    ]


def _odd_word(word: str) -> str:
    return f"'{shown(word, 40)}' is no side of a split" if word else "is empty"


# ----------------------------------------------------------------------------------------------------------------------
# the whole table, words


def _group_problems(
    table: Table, group: np.ndarray | None, split: np.ndarray | None, keep: np.ndarray
) -> list[Problem]:
    if group is None:
        return _unnamed_groups(table) if split is None else []
    groups = len(np.unique(group[keep]))
    if split is None:
        return [too_few(int(keep.sum()), groups)] if groups < len(SIDES) and keep.sum() >= LEAST_ROWS else []
    shared = shared_groups(split[keep], group[keep])
    what = f"{shared} of {len(np.unique(group[keep & (split == 'test')]))} test groups are also trained on"
    fix = "Their error will be too low: leave the split column out to have one drawn by groups"
    return [Problem("shared-groups", what, fix, column=table.group, fatal=False)] if shared else []


def _unnamed_groups(table: Table) -> list[Problem]:
    used = {*table.target, *table.features, table.image_column}
    fix = "If it says whose row it is, name it with --group: else copies of one may be on two sides of the split"
    found: list[Problem] = []
    for name in (str(name) for name in table.frame.columns if name not in used):
        values = texts(table.column(name))
        if looks_like_group(name, values):
            what = f"looks like a group ({len(np.unique(values))} values in {len(values)} rows)"
            found.append(Problem("unnamed-group", what, fix, column=name, fatal=False))
    return found


def _line(problem: Problem) -> str:
    return str(problem) if problem.fatal else f"warning: {problem}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _harmless(text: str | None) -> str:
    return neutral(shown(text or "", 500))  # a tab or a return in front becomes visible, so that it starts no formula
