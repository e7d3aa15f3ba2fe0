"""What comes with arrays, row by row: labels, groups, sides, sequences and times, checked and in one form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped

from isotone.data.settings import DataSettings
from isotone.data.split import read_sides
from isotone.errors import DataError, Problem, ShapeError


@dataclass(frozen=True, eq=False)
class Label:
    """The labels of n rows.

    Args:
        target: (n, k) float64, NaN in a row that has none; k = 0 where there are no targets.
        names: of the k targets, or of the one column of classes.
        words: (n,) names of the rows' classes, '' in a row that has none; or None.
        known: (n,) whether the row has its label; all True where there are no labels at all.
    """

    target: np.ndarray
    names: tuple[str, ...]
    words: np.ndarray | None
    known: np.ndarray


def read_label(y: object, n: int, names: Sequence[str] | None, settings: DataSettings, *, category: bool) -> Label:
    """Return the labels of y.

    Args:
        y: targets (n,) or (n, k), classes (n,), or None.
        n: rows of X.
        names: of the columns of y, as the user gave them, or None.
        settings: `category` names the classes; `unlabelled` lets labels be missing.
        category: whether y holds classes.

    Raises:
        ShapeError: a wrong shape, length or type, or a label that is missing.
    """
    if y is None and category:
        raise ShapeError("y is None, but `category` says that it holds classes. Give the classes, or leave it out.")
    if y is None:
        return Label(np.empty((n, 0)), (), None, np.ones(n, dtype=bool))
    if category:
        words = _classes(y, n, missing=settings.unlabelled)
        given = names if names is not None or settings.category is None else (settings.category,)
        return Label(np.empty((n, 0)), _names(y, 1, given, "category"), words, words != "")
    target = _target(y, n, missing=settings.unlabelled)
    known = np.asarray(np.isfinite(target).all(axis=1))
    return Label(target, _names(y, target.shape[1], names, "target"), None, known)


def read_split(split: object, n: int) -> Shaped[np.ndarray, " n"]:
    """Return train, val or test of each row.

    Raises:
        ShapeError: a wrong shape or length, or a missing word.
        DataError: an unknown word.
    """
    words = read_words(split, "split", n)
    sides = read_sides(words)
    odd = sorted(set(words[sides == ""].tolist()))
    if odd:
        what = f"{', '.join(map(repr, odd[:5]))} in split is no side of a split"
        raise DataError([Problem("split-word", what, "Write train, val or test")])
    return sides


def read_words(values: object, name: str, n: int) -> Shaped[np.ndarray, " n"]:
    """Return each row's entry as text.

    Raises:
        ShapeError: a wrong shape or length, or a missing entry.
    """
    found = np.asarray(on_host(values))
    if found.ndim != 1:
        raise ShapeError(f"{name} must have shape (n,), but has {found.shape}. Give one entry for each row of X.")
    _check_length(len(found), name, n)
    cells = found.tolist()
    missing = [i for i, cell in enumerate(cells) if cell is None or cell != cell or cell == ""]  # NaN != NaN
    if missing:
        raise ShapeError(f"{name} is missing in {_places(missing)}. Fill it in or remove the rows.")
    return np.array([str(cell) for cell in cells], dtype=np.str_)


def read_sequence(sequence: object, time: object, n: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the sequence (n,) and the time (n,) of each row, or None for both.

    Args:
        sequence: (n,) names or numbers, or None.
        time: (n,) numbers, or None: then the rows of a sequence count 0, 1, 2 in their order.
        n: rows of X.

    Raises:
        ShapeError: a wrong shape or length, a missing entry, or a time without sequence.
    """
    if sequence is None:
        if time is not None:
            raise ShapeError("time needs sequence, the recording or track of each row that it counts in. Give both.")
        return None, None
    words = read_words(sequence, "sequence", n)
    if time is None:
        return words, positions(words)
    when = read_numbers(time, "time")
    if when.ndim != 1:
        raise ShapeError(f"time must have shape (n,), but has {when.shape}. Give one number for each row of X.")
    _check_length(len(when), "time", n)
    when = when.astype(np.float64)
    check_finite(when, "time")
    return words, when


def positions(sequence: Shaped[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the place of each row among those of its sequence, in their order: the time of rows that have none.

    Example:
        >>> positions(np.array(["a", "b", "a", "a"])).tolist()
        [0.0, 0.0, 1.0, 2.0]
    """
    code = np.unique(sequence, return_inverse=True)[1].reshape(-1)
    order = np.argsort(code, kind="stable")
    start = np.searchsorted(code[order], code[order])
    place = np.empty(len(code))
    place[order] = np.arange(len(code)) - start
    return place


def read_numbers(values: object, name: str) -> np.ndarray:
    """Return an array of numbers of any shape.

    Raises:
        ShapeError: it is empty, ragged, or holds something else.
    """
    try:
        found = np.asarray(on_host(values))
    except ValueError:
        raise ShapeError(f"{name} must be an array, but its rows differ in length. Make them equally long.") from None
    if found.dtype.kind not in "biuf":
        what = {"O": "mixed Python objects", "U": "text", "c": "complex numbers", "M": "dates"}.get(
            found.dtype.kind, str(found.dtype)
        )
        fix = "or say with category that it holds classes" if name == "y" else "or leave out what is no number"
        raise ShapeError(f"{name} must be numbers, but holds {what}. Convert it with {name}.astype(float), {fix}.")
    if not found.size:
        raise ShapeError(f"{name} is empty: it has shape {found.shape}. Give it at least one row.")
    return found


def on_host(values: object) -> object:
    """Return a tensor of any device as an array; anything else as it is."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return values


def check_finite(values: np.ndarray, name: str) -> None:
    """Raise a ShapeError that names the first rows that hold NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)).tolist()
    if bad:
        raise ShapeError(f"{name} holds NaN or infinity in {_places(bad)}. Correct or remove them.")


# ----------------------------------------------------------------------------------------------------------------------


def _target(y: object, n: int, *, missing: bool) -> np.ndarray:
    values = read_numbers(y, "y")
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ShapeError(f"y must have shape (n,) or (n, k), but has {values.shape}. Reshape it.")
    _check_length(len(values), "y", n)
    target = values.astype(np.float64).reshape(n, -1)
    if missing:
        target = np.where(np.isnan(target).any(axis=1, keepdims=True), np.nan, target)
        check_finite(np.nan_to_num(target, nan=0.0, posinf=np.inf, neginf=-np.inf), "y")
    else:
        check_finite(target, "y")
    return target


def _classes(y: object, n: int, *, missing: bool) -> np.ndarray:
    found = np.asarray(on_host(y))
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise ShapeError(f"y must have shape (n,) to hold classes, but has {found.shape}. Give one class for each row.")
    _check_length(len(found), "y", n)
    cells = [_class(cell) for cell in found.tolist()]
    odd = [i for i, cell in enumerate(cells) if isinstance(cell, float)]
    if odd:
        raise ShapeError(
            f"y must hold classes, as text or whole numbers, but is {cells[odd[0]]:g} in row {odd[0]}. Convert it, or "
            "leave category out to predict numbers."
        )
    if missing and found.dtype.kind in "iuf":
        cells = ["" if cell == "-1" else cell for cell in cells]
    empty = [i for i, cell in enumerate(cells) if cell == ""]
    if empty and not missing:
        raise ShapeError(
            f"y names no class in {_places(empty)}. Fill it in or remove the rows; with unlabelled=True they are kept."
        )
    return np.array(cells, dtype=np.str_)


def _class(cell: object) -> str | float:
    """A class as text, '' for none; a number that is not whole, which is no class, as it is."""
    if cell is None or cell is pd.NA or cell != cell:  # NaN != NaN
        return ""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else cell
    return str(cell).strip()


def _names(y: object, k: int, given: Sequence[str] | None, default: str) -> tuple[str, ...]:
    if given is not None and (len(given) != k or isinstance(given, str)):
        raise ShapeError(f"target_names must name the {k} columns of y one by one, but is {given!r}.")
    columns = given if given is not None else getattr(y, "columns", None)
    if columns is not None:
        return tuple(str(name) for name in columns)
    name = getattr(y, "name", None)
    return (str(name or default),) if k == 1 else tuple(f"{default}_{i + 1}" for i in range(k))


def _check_length(found: int, name: str, n: int) -> None:
    if found != n:
        raise ShapeError(f"{name} must have one entry for each of the {n} rows of X, but has {found}.")


def _places(rows: list[int]) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows[:5]))}{more}"
