"""The audit's part for cells: labels, features, groups, sides, sequences and times, each fault with its place.

Whatever is no number is NaN here and a problem of its row; a missing label is none where the user keeps such rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from isotone.data.audit_images import file_name, row_problem
from isotone.data.files import shown
from isotone.data.settings import DataSettings
from isotone.data.split import read_sides
from isotone.data.table import Table, numbers, texts
from isotone.errors import Problem

_MISSING = frozenset({"nan", "na", "n/a", "#n/a", "none", "null", "-", "?"})


@dataclass(frozen=True, eq=False)
class Columns:
    """The cells of a table's columns, read as what they are for.

    Args:
        target: (n, k) float64, NaN where a cell is no number, and in all of a row that has no label.
        features: (n, f) float32, NaN where a cell is no number.
        category: (n,) text, '' where a row has no label, or None.
        group: (n,) text, or None.
        split: (n,) train, val, test or '', or None.
        sequence: (n,) text, or None.
        time: (n,) float64, or None.
        labelled: (n,) bool, False where a row is kept without its label.
        problems: of the cells, and the rows that are longer or shorter than the header.
    """

    target: np.ndarray
    features: np.ndarray
    category: np.ndarray | None
    group: np.ndarray | None
    split: np.ndarray | None
    sequence: np.ndarray | None
    time: np.ndarray | None
    labelled: np.ndarray
    problems: tuple[Problem, ...]


def read_columns(table: Table, settings: DataSettings) -> Columns:
    """Read the cells of every column that has a part, and find what is wrong with them.

    Args:
        table: the table.
        settings: says whether rows without a label are kept.
    """
    target, found = _columns(table, table.target, "target")
    if settings.unlabelled:
        found = [problem for problem in found if problem.row is None or problem.kind != "target-missing"]
        target = np.where(np.isnan(target).any(axis=1, keepdims=True), np.nan, target)
    features, more = _columns(table, table.features, "feature")
    with np.errstate(over="ignore"):
        narrow = features.astype(np.float32)
    found += [*table.problems, *more, *_too_wide(table, features, narrow)]
    category = _words(table, table.category)
    found += _empty_classes(table, category, settings)
    group, sequence = _words(table, table.group), _words(table, table.sequence)
    split = None if table.split_column is None else read_sides(texts(table.column(table.split_column)))
    fix = "Name its group or remove the row: it could be on two sides of the split"
    found += [*_empty(table, table.group, group, "no-group", fix), *_odd_sides(table, split)]
    fix = "Name its recording or track, or remove the row"
    found += _empty(table, table.sequence, sequence, "no-sequence", fix)
    time, more = _columns(table, () if table.time is None else (table.time,), "time")
    found += [*more, *_odd_signals(table)]
    when = None if table.time is None else time[:, 0]
    labelled = _labelled(target, category, settings)
    return Columns(target, narrow, category, group, split, sequence, when, labelled, tuple(found))


# ----------------------------------------------------------------------------------------------------------------------


def _labelled(target: np.ndarray, category: np.ndarray | None, settings: DataSettings) -> np.ndarray:
    known = np.asarray(~np.isnan(target).any(axis=1) if category is None else category != "")
    # a column without any label is one problem of the table, whatever is kept
    return known if settings.unlabelled and known.any() else np.ones(len(target), dtype=bool)


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


def _words(table: Table, name: str | None) -> np.ndarray | None:
    return None if name is None else texts(table.column(name))


def _empty_classes(table: Table, category: np.ndarray | None, settings: DataSettings) -> list[Problem]:
    if category is None:
        return []
    if not (category != "").any():
        return [Problem("category-missing", "is empty in every row", "Choose another category", column=table.category)]
    if settings.unlabelled:
        return []
    fix = "Name its class or remove the row; with --unlabelled such rows are kept, to be trained on without a label"
    return _empty(table, table.category, category, "category-missing", fix)


def _empty(table: Table, name: str | None, words: np.ndarray | None, kind: str, fix: str) -> list[Problem]:
    empty = [] if words is None else np.flatnonzero(words == "").tolist()
    return [row_problem(table, row, kind, "is empty", fix, name) for row in empty]


def _odd_signals(table: Table) -> list[Problem]:
    found: list[Problem] = []
    for name, x in table.inputs.items():
        odd = [row for row in range(len(x)) if not np.isfinite(x[row]).all()]  # row by row: no second copy in memory
        fix = "Correct it or remove the row"
        found += [row_problem(table, row, "signal-infinite", "holds NaN or infinity", fix, name) for row in odd]
    return found


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
