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

from isotone.data.audit_columns import Columns, read_columns
from isotone.data.audit_images import copies, labels, narrow_range, read_images
from isotone.data.classes import class_problems, encode
from isotone.data.files import shown
from isotone.data.images import Probe, Progress, Source
from isotone.data.settings import DataSettings
from isotone.data.split import SIDES, looks_like_group, shared_groups, too_few
from isotone.data.spreadsheet import neutral
from isotone.data.table import Table, texts
from isotone.errors import Problem
from isotone.records import Kind

LEAST_ROWS = 10  # fewer cannot be split three ways and judged
LEAST_SIDE = 2  # rows on each side: one row has no correlation and no spread


@dataclass(frozen=True, eq=False)
class Second:
    """The second input of each row, as it was found.

    Args:
        kind: `image` or `signal`.
        sources: n files or image bytes, None where there is none; empty for signals.
        grey: whether every image that is kept is grey.
        values: (n, c, t) float32 for signals, else None.
    """

    kind: Kind
    sources: tuple[Source | None, ...] = ()
    grey: bool = False
    values: np.ndarray | None = None


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
        labelled: (n,) bool, False where the row has no label; all True where the table has none at all.
        category: (n,) text, '' where the row has no label, or None.
        sequence: (n,) text, or None.
        time: (n,) float64, or None.
        signal: (n, c, t) float32, or None where the input is images or rows.
        second: the second input, or None.
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
    labelled: np.ndarray | None = None
    category: np.ndarray | None = None
    sequence: np.ndarray | None = None
    time: np.ndarray | None = None
    signal: np.ndarray | None = None
    second: Second | None = None

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

    Of new data to predict only the inputs matter: copies, constant targets and too few rows are no problems.

    Args:
        table: as `read_table` returns it.
        settings: what is allowed.
        progress: called with (images read, images).

    Raises:
        ConfigError: another library made Pillow accept truncated files.
    """
    columns = read_columns(table, settings)
    halves = [None, None] if progress is None else [_part(progress, i, 1 + _has_second(table)) for i in range(2)]
    sources, probes, more = read_images(table, table.image_column, settings, halves[0])
    other = table.second if _has_second(table) else None
    second_sources, second_probes, extra = read_images(table, other, settings, halves[1])
    found = list(dict.fromkeys([*columns.problems, *more, *extra]))  # the windows of a recording share its faults
    digest = np.array([probe.digest if isinstance(probe, Probe) else "" for probe in probes], dtype=np.str_)
    if not table.fresh and table.image_column is not None:
        found += copies(table, sources, digest, _labels(columns), columns.split)
    keep = ~np.isin(table.lines, [problem.row for problem in found if problem.fatal and problem.row is not None])
    found.sort(key=lambda problem: problem.row or 0)
    if not table.fresh:
        found += _table_problems(table, columns, keep)
    found += [*narrow_range(table.image_column, probes), *narrow_range(other, second_probes)]
    return Audit(
        problems=tuple(found),
        keep=keep,
        lines=table.lines,
        label=labels(table),
        target=columns.target,
        features=columns.features,
        group=columns.group,
        split=columns.split,
        sources=tuple(sources),
        digest=digest if table.image_column is not None else None,
        grey=_all_grey(probes, keep),
        labelled=columns.labelled,
        category=columns.category,
        sequence=columns.sequence,
        time=columns.time,
        signal=None if table.signal is None else table.inputs[table.signal],
        second=_second(table, second_sources, _all_grey(second_probes, keep)),
    )


def whole_problems(
    target: Float[np.ndarray, "n k"],
    names: Sequence[str],
    split: Shaped[np.ndarray, " n"] | None,
    category: Shaped[np.ndarray, " n"] | None = None,
    noun: str = "usable rows",
) -> list[Problem]:
    """Return what is wrong with usable rows as a whole: too few, too few on a side, a label that never changes.

    Args:
        target: (n, k) of the rows that have their label.
        names: k columns of targets; with `category` its one column.
        split: (n,) train, val or test, or None where it is drawn.
        category: (n,) names of classes, '' for none, or None.
        noun: what the rows are called.

    Example:
        >>> print(whole_problems(np.ones((20, 1)), ["age"], None)[0])
        column 'age': is 1 in every row, so there is nothing to predict. Choose another target.
    """
    found: list[Problem] = []
    if len(target) < LEAST_ROWS:
        what = f"{len(target)} {noun} are too few"
        found.append(Problem("few-rows", what, f"Give at least {LEAST_ROWS}"))
    elif split is not None:
        for side in SIDES:
            rows = int((split == side).sum())
            if rows < LEAST_SIDE:
                what = f"{rows} {noun} are marked {side}"
                fix = f"Mark at least {LEAST_SIDE}, or leave the split column out to have one drawn"
                found.append(Problem("few-rows", what, fix))
    if category is not None:
        return found + class_problems(category[category != ""], names[0])
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


def _has_second(table: Table) -> bool:
    """Whether the second input is images; arrays were read with the table."""
    return table.second is not None and table.second not in table.inputs


def _part(progress: Progress, part: int, parts: int) -> Progress:
    return lambda done, total: progress(done + part * total, parts * total)


def _labels(columns: Columns) -> np.ndarray:
    """The labels as numbers, (n, k), NaN where there is none."""
    if columns.category is None:
        return columns.target
    codes = encode(columns.category)[0].astype(np.float64)[:, None]
    return np.where(codes < 0, np.nan, codes)


def _all_grey(probes: Sequence[Probe | Problem | None], keep: np.ndarray) -> bool:
    kept = [probe for probe, good in zip(probes, keep, strict=False) if good and isinstance(probe, Probe)]
    return bool(kept) and all(probe.grey for probe in kept)


def _second(table: Table, sources: Sequence[Source | None], grey: bool) -> Second | None:
    if table.second is None:
        return None
    values = table.inputs.get(table.second)
    return Second("image", tuple(sources), grey) if values is None else Second("signal", values=values)


def _table_problems(table: Table, columns: Columns, keep: np.ndarray) -> list[Problem]:
    good = keep & columns.labelled
    noun = "usable rows" if columns.labelled[keep].all() else "usable rows with a label"
    names = table.target if table.category is None else (table.category,)
    split = None if columns.split is None else columns.split[good]
    category = None if columns.category is None else columns.category[good]
    found = whole_problems(columns.target[good], names, split, category, noun)
    return found + _group_problems(table, columns, keep, good)


def _group_problems(table: Table, columns: Columns, keep: np.ndarray, good: np.ndarray) -> list[Problem]:
    group, split = columns.group, columns.split
    if group is None:
        return [*_torn_sequences(table), *_unnamed_groups(table)] if split is None else []
    if split is None:
        groups = len(np.unique(group[good]))
        few = groups < len(SIDES) and good.sum() >= LEAST_ROWS
        # recordings are the group that nobody named: a person may have several
        unnamed = _unnamed_groups(table) if table.names and table.group == table.signal else []
        return [*([too_few(int(good.sum()), groups)] if few else []), *unnamed]
    shared = shared_groups(split[keep], group[keep])
    what = f"{shared} of {len(np.unique(group[keep & (split == 'test')]))} test groups are also trained on"
    fix = "Their error will be too low: leave the split column out to have one drawn by groups"
    return [Problem("shared-groups", what, fix, column=table.group, fatal=False)] if shared else []


def _torn_sequences(table: Table) -> list[Problem]:
    if table.sequence is None:
        return []
    what, fix = "is the sequence, whose rows can be on two sides of the split", "Name it with --group too"
    return [Problem("torn-sequence", what, fix, column=table.sequence, fatal=False)]


def _unnamed_groups(table: Table) -> list[Problem]:
    used = {*table.target, *table.features, table.image_column, table.second}
    used |= {table.category, table.sequence, table.time}
    fix = "If it says whose row it is, name it with --group: else copies of one may be on two sides of the split"
    found: list[Problem] = []
    first = np.unique(table.lines, return_index=True)[1]  # the windows of a recording are one row of the table
    for name in (str(name) for name in table.frame.columns if name not in used):
        values = texts(table.column(name).iloc[first])
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
