"""Arrays, tensors, lists and data frames as a data set, with the same checks and the same split as a table."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped

from isotone.data.audit import whole_problems
from isotone.data.settings import DataSettings
from isotone.data.split import read_sides, split_rows
from isotone.errors import DataError, Problem, ShapeError
from isotone.records import Dataset, Kind


def load_arrays(
    X: object,
    y: object,
    *,
    groups: object = None,
    split: object = None,
    target_names: Sequence[str] | None = None,
    settings: DataSettings,
    seed: int,
) -> Dataset:
    """Make a data set of arrays; images keep their size, rows are used as they are.

    Args:
        X: images (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1 or 3, uint8, whole numbers from 0 to 255 or floats
            in [0, 1]; or rows (n, f) of numbers. NumPy, torch, lists or pandas.
        y: (n,) or (n, k) numbers.
        groups: (n,) names or numbers; a group is never on two sides of a drawn split.
        split: (n,) words train, val, test, or None to have it drawn.
        target_names: k names; else the names of y's columns, else `target`, or `target_1` and so on.
        settings: the fractions of a drawn split.
        seed: of a drawn split.

    Raises:
        ShapeError: a wrong shape, length or type, text, NaN, infinity or a value out of range.
        DataError: a constant target, too few rows or groups, or an unknown split word.

    Example:
        >>> data = load_arrays(np.eye(20), np.arange(20), settings=DataSettings(), seed=0)
        >>> data.kind, data.inputs.dtype.name, data.target.shape
        ('rows', 'float32', (20, 1))
    """
    inputs = _inputs(X)
    target = _target(y, len(inputs))
    names = _target_names(y, target.shape[1], target_names)
    group = None if groups is None else _words(groups, "groups", len(inputs))
    sides = None if split is None else _sides(split, len(inputs))
    problems = whole_problems(target, names, sides)
    if problems:
        raise DataError(problems)
    if sides is None:
        sides = split_rows(len(inputs), target, group, settings.val_fraction, settings.test_fraction, seed)
    return Dataset(
        name="arrays",
        kind="image" if inputs.ndim == 4 else "rows",
        inputs=inputs,
        target=target,
        target_names=names,
        split=sides,
        label=np.array([f"row {i}" for i in range(len(inputs))], dtype=np.str_),
        row=np.arange(len(inputs)),
        group=group,
        group_name=None if group is None else str(getattr(groups, "name", None) or "groups"),
        fingerprint=fingerprint(inputs, target, sides),
    )


def array_inputs(X: object, kind: Kind, shape: tuple[int, ...]) -> np.ndarray:
    """Return new arrays in the form that a trained model takes.

    Args:
        X: as for `load_arrays`.
        kind: `image` or `rows`, as in training.
        shape: of one sample in training: (h, w, c) or (f,).

    Returns:
        (n, h, w, c) uint8 or (n, f) float32.

    Raises:
        ShapeError: X is not what the model was trained on.

    Example:
        >>> array_inputs([[1, 2]], "rows", (2,)).dtype.name
        'float32'
    """
    inputs = _inputs(X)
    if (inputs.ndim == 4) != (kind == "image") or inputs.shape[1:] != shape:
        raise ShapeError(
            f"The model was trained on {kind} of shape {shape}, but X holds {'image' if inputs.ndim == 4 else 'rows'} "
            f"of shape {inputs.shape[1:]}. Give X the shape of the training data."
        )
    return inputs


def fingerprint(inputs: np.ndarray, target: Float[np.ndarray, "n k"], split: Shaped[np.ndarray, " n"]) -> str:
    """Return a SHA-256 over inputs, targets and split: equal if and only if a resumed run finds the same data."""
    digest = hashlib.sha256(repr((inputs.dtype.str, inputs.shape, target.shape)).encode())
    for start in range(0, len(inputs), 1024):  # a memory map is read piece by piece
        digest.update(np.ascontiguousarray(inputs[start : start + 1024]).tobytes())
    digest.update(np.ascontiguousarray(target).tobytes())
    digest.update(" ".join(split.tolist()).encode())
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------------------


def _inputs(X: object) -> np.ndarray:
    values = _array(X, "X")
    if values.ndim == 2:
        return _rows(values)
    if values.ndim not in (3, 4):
        raise ShapeError(
            f"X must be images (n, h, w), (n, h, w, c) or (n, c, h, w), or rows (n, f), but has shape {values.shape}. "
            f"Reshape it; one number a sample is X[:, None]."
        )
    return _bytes(values[..., None] if values.ndim == 3 else _channels_last(values))


def _rows(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rows = values.astype(np.float32)
    _check_finite(rows, "X")
    return rows


def _channels_last(values: np.ndarray) -> np.ndarray:
    first, last = values.shape[1] in (1, 3), values.shape[3] in (1, 3)
    if first == last:
        text = (
            "either axis 1 or axis 3 can be the channels" if first else "neither axis 1 nor axis 3 is 1 or 3 channels"
        )
        raise ShapeError(
            f"X must be images (n, h, w, c) or (n, c, h, w) with c = 1 or 3, but has shape {values.shape}: {text}. "
            f"Move the channels last and make every side of the image at least 4 pixels."
        )
    return values if last else values.transpose(0, 2, 3, 1)


def _bytes(values: np.ndarray) -> np.ndarray:
    """Images as uint8; floats in [0, 1] are multiplied by 255."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    real = values.dtype.kind == "f"
    if real:
        _check_finite(values, "X")
    low, high, most = values.min(), values.max(), 1 if real else 255
    if low < 0 or high > most:
        whole = "Divide by 255" if real else "Scale them to 0 to 255"
        raise ShapeError(
            f"Images of {values.dtype} must lie from 0 to {most}, but X goes from {low:g} to {high:g}. "
            f"{whole}, all images by the same factor."
        )
    return np.ascontiguousarray(np.round(values * 255.0) if real else values).astype(np.uint8)


def _target(y: object, n: int) -> np.ndarray:
    values = _array(y, "y")
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ShapeError(f"y must have shape (n,) or (n, k), but has {values.shape}. Reshape it.")
    _check_length(len(values), "y", n)
    target = values.astype(np.float64).reshape(n, -1)
    _check_finite(target, "y")
    return target


def _target_names(y: object, k: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None and (len(given) != k or isinstance(given, str)):
        raise ShapeError(f"target_names must name the {k} columns of y one by one, but is {given!r}.")
    columns = given if given is not None else getattr(y, "columns", None)
    if columns is not None:
        return tuple(str(name) for name in columns)
    name = getattr(y, "name", None)
    return (str(name or "target"),) if k == 1 else tuple(f"target_{i + 1}" for i in range(k))


def _sides(split: object, n: int) -> np.ndarray:
    words = _words(split, "split", n)
    sides = read_sides(words)
    odd = sorted(set(words[sides == ""].tolist()))
    if odd:
        what = f"{', '.join(map(repr, odd[:5]))} in split is no side of a split"
        raise DataError([Problem("split-word", what, "Write train, val or test")])
    return sides


def _words(values: object, name: str, n: int) -> np.ndarray:
    found = np.asarray(_on_host(values))
    if found.ndim != 1:
        raise ShapeError(f"{name} must have shape (n,), but has {found.shape}. Give one entry for each row of X.")
    _check_length(len(found), name, n)
    cells = found.tolist()
    missing = [i for i, cell in enumerate(cells) if cell is None or cell != cell or cell == ""]  # NaN != NaN
    if missing:
        raise ShapeError(f"{name} is missing in {_places(missing)}. Fill it in or remove the rows.")
    return np.array([str(cell) for cell in cells], dtype=np.str_)


def _array(values: object, name: str) -> np.ndarray:
    try:
        found = np.asarray(_on_host(values))
    except ValueError:
        raise ShapeError(f"{name} must be an array, but its rows differ in length. Make them equally long.") from None
    if found.dtype.kind not in "biuf":
        what = {"O": "mixed Python objects", "U": "text", "c": "complex numbers", "M": "dates"}.get(
            found.dtype.kind, str(found.dtype)
        )
        raise ShapeError(
            f"{name} must be numbers, but holds {what}. Convert it with {name}.astype(float), or leave out "
            f"what is no number."
        )
    if not found.size:
        raise ShapeError(f"{name} is empty: it has shape {found.shape}. Give it at least one row.")
    return found


def _on_host(values: object) -> object:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return values


def _check_length(found: int, name: str, n: int) -> None:
    if found != n:
        raise ShapeError(f"{name} must have one entry for each of the {n} rows of X, but has {found}.")


def _check_finite(values: np.ndarray, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)).tolist()
    if bad:
        raise ShapeError(f"{name} holds NaN or infinity in {_places(bad)}. Correct or remove them.")


def _places(rows: list[int]) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows[:5]))}{more}"
