"""Arrays, tensors, lists and data frames as a data set, with the same checks and the same split as a table."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Shaped

from isotone.data.array_cells import (
    Label,
    check_finite,
    read_label,
    read_numbers,
    read_sequence,
    read_split,
    read_words,
)
from isotone.data.audit import whole_problems
from isotone.data.classes import encode
from isotone.data.noise import wrong_labels
from isotone.data.settings import DataSettings
from isotone.data.split import split_labelled
from isotone.errors import DataError, ShapeError
from isotone.records import Dataset, Kind


def load_arrays(
    X: object,
    y: object = None,
    *,
    groups: object = None,
    split: object = None,
    target_names: Sequence[str] | None = None,
    settings: DataSettings,
    seed: int,
    category: bool = False,
    signal: bool = False,
    sequence: object = None,
    time: object = None,
) -> Dataset:
    """Make a data set of arrays; images keep their size, rows and signals are used as they are.

    Args:
        X: images (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1 or 3, uint8, whole numbers from 0 to 255 or floats
            in [0, 1]; or rows (n, f) of numbers. NumPy, torch, lists or pandas.
        y: (n,) or (n, k) numbers, (n,) classes (text or whole numbers), or None where there are no labels.
        groups, split: (n,) whose row it is; train, val or test, or None to have it drawn, a group never on two sides.
        target_names: k names; else the names of y's columns, else `target`, or `target_1` and so on.
        settings, seed: of a drawn split; `unlabelled` lets y be missing: NaN, None, '', or -1 for integer classes.
        category, signal: y holds classes, X signals (n, c, t) or (n, t); so they do where `settings` names some.
        sequence, time: (n,) recording, track or video of each row, and when in it; without it rows count 0, 1, 2.

    Raises:
        ShapeError: a wrong shape, length or type, text, NaN, infinity or a value out of range.
        DataError: a constant target, one class, too few rows or groups, or an unknown split word.

    Example:
        >>> load_arrays(np.eye(20), np.arange(20), settings=DataSettings(), seed=0).target.shape
        (20, 1)
    """
    inputs, kind = _inputs(X, signal or settings.signal is not None)
    n = len(inputs)
    label = read_label(y, n, target_names, settings, category=category or settings.category is not None)
    group = None if groups is None else read_words(groups, "groups", n)
    codes, classes = (None, ()) if label.words is None else encode(label.words)
    sides = _sides(label, split, group, codes, settings, seed)
    recording, when = read_sequence(sequence, time, n)
    made = Dataset(
        name="arrays",
        kind=kind,
        inputs=inputs,
        target=label.target,
        target_names=() if codes is not None else label.names,
        split=sides,
        label=np.array([f"row {i}" for i in range(n)], dtype=np.str_),
        row=np.arange(n),
        group=group,
        group_name=None if group is None else str(getattr(groups, "name", None) or "groups"),
        fingerprint=fingerprint(inputs, label.target, sides, category=label.words, sequence=recording, time=when),
        category=codes,
        classes=classes,
        category_name=None if codes is None else label.names[0],
        sequence=recording,
        time=when,
    )
    return wrong_labels(replace(made, geometry=settings.geometry), settings.label_noise, seed)


def array_inputs(X: object, kind: Kind, shape: tuple[int, ...]) -> np.ndarray:
    """Return new arrays in the form that a trained model takes.

    Args:
        X: as for `load_arrays`.
        kind: `image`, `rows` or `signal`, as in training.
        shape: of one sample in training: (h, w, c), (f,) or (c, t).

    Returns:
        (n, h, w, c) uint8, (n, f) float32 or (n, c, t) float32.

    Raises:
        ShapeError: X is not what the model was trained on.

    Example:
        >>> array_inputs([[1, 2]], "rows", (2,)).dtype.name
        'float32'
    """
    inputs, found = _inputs(X, kind == "signal")
    if found != kind or inputs.shape[1:] != shape:
        raise ShapeError(
            f"The model was trained on {kind} of shape {shape}, but X holds {found} of shape {inputs.shape[1:]}. "
            f"Give X the shape of the training data."
        )
    return inputs


def fingerprint(
    inputs: np.ndarray,
    target: Float[np.ndarray, "n k"],
    split: Shaped[np.ndarray, " n"],
    **more: np.ndarray | None,
) -> str:
    """Return a SHA-256 over inputs, labels and split: equal if and only if a resumed run finds the same data.

    Args:
        inputs: (n, ...).
        target: (n, k).
        split: (n,) text.
        more: what else a data set has, by its name; what is None changes nothing.
    """
    digest = hashlib.sha256(repr((inputs.dtype.str, inputs.shape, target.shape)).encode())
    for piece in _pieces(inputs):
        digest.update(piece)
    digest.update(np.ascontiguousarray(target).tobytes())
    digest.update(" ".join(split.tolist()).encode())
    for name, x in more.items():
        if x is not None:
            digest.update(repr((name, x.dtype.str, x.shape)).encode())
            for piece in _pieces(x):
                digest.update(piece)
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------------------


def _sides(
    label: Label,
    split: object,
    group: np.ndarray | None,
    codes: np.ndarray | None,
    settings: DataSettings,
    seed: int,
) -> np.ndarray:
    """The split that was given, or a drawn one, once the labels as a whole are found to be sound."""
    known = label.known
    given = None if split is None else read_split(split, len(known))
    noun = "usable rows" if known.all() else "usable rows with a label"
    marked, words = (None if x is None else x[known] for x in (given, label.words))
    found = whole_problems(label.target[known], label.names, marked, words, noun)
    if any(problem.fatal for problem in found):
        raise DataError([problem for problem in found if problem.fatal])
    if given is not None:
        return given
    return split_labelled(known, label.target, group, settings.val_fraction, settings.test_fraction, seed, codes)


def _pieces(x: np.ndarray) -> Iterator[bytes]:
    """The bytes of an array, piece by piece, as it may be a memory map."""
    return (np.ascontiguousarray(x[start : start + 1024]).tobytes() for start in range(0, len(x), 1024))


def _inputs(X: object, signal: bool) -> tuple[np.ndarray, Kind]:
    values = read_numbers(X, "X")
    if signal:
        return _signals(values), "signal"
    if values.ndim == 2:
        return _rows(values), "rows"
    if values.ndim not in (3, 4):
        raise ShapeError(
            f"X must be images (n, h, w), (n, h, w, c) or (n, c, h, w), or rows (n, f), but has shape {values.shape}. "
            f"Reshape it; one number a sample is X[:, None]."
        )
    return _bytes(values[..., None] if values.ndim == 3 else _channels_last(values)), "image"


def _signals(values: np.ndarray) -> np.ndarray:
    if values.ndim not in (2, 3):
        raise ShapeError(f"X must be signals (n, c, t) or (n, t), but has shape {values.shape}. Reshape it.")
    return _rows(values if values.ndim == 3 else values[:, None])


def _rows(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rows = values.astype(np.float32)
    check_finite(rows, "X")
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
        check_finite(values, "X")
    low, high, most = values.min(), values.max(), 1 if real else 255
    if low < 0 or high > most:
        whole = "Divide by 255" if real else "Scale them to 0 to 255"
        raise ShapeError(
            f"Images of {values.dtype} must lie from 0 to {most}, but X goes from {low:g} to {high:g}. "
            f"{whole}, all images by the same factor."
        )
    return np.ascontiguousarray(np.round(values * 255.0) if real else values).astype(np.uint8)
