"""From windows to recordings: where all windows of a recording share their target, their predictions are averaged."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from isotone.records import Dataset


def by_recording(dataset: Dataset) -> tuple[Dataset, np.ndarray] | None:
    """Return the data set with one row for each recording, and which of them each row is of; None where that is none.

    None: no sequences, fewer than two rows in each, a target that changes within one (a heart rate does, an age does
    not), a sequence on two sides of the split, or a circle, on which the mean of places is no place between them.

    Args:
        dataset: with numbers to predict; rows without a label count for no recording.

    Example:
        >>> words, side = np.array(["a", "a", "b"]), np.array(["test", "test", "val"])
        >>> age = np.array([[30.0], [30.0], [50.0]])
        >>> data = Dataset("t", "rows", np.eye(3), age, ("age",), side, words, np.arange(3), sequence=words)
        >>> small, of = by_recording(data)
        >>> small.target[:, 0].tolist(), of.tolist()
        ([30.0, 50.0], [0, 0, 1])
    """
    if dataset.sequence is None or dataset.geometry.startswith("circle"):
        return None
    known = np.asarray(np.isfinite(dataset.target).all(axis=1))
    if not known.any():
        return None
    _, first, code = np.unique(dataset.sequence[known], return_index=True, return_inverse=True)
    rows = np.flatnonzero(known)[first]
    of = np.full(len(known), -1)
    of[known] = code.reshape(-1)
    same = (dataset.target[known] == dataset.target[rows][of[known]]).all()
    torn = (dataset.split[known] != dataset.split[rows][of[known]]).any()
    if not same or torn or len(rows) == known.sum():
        return None
    small = replace(
        dataset,
        inputs=dataset.inputs[rows],
        target=dataset.target[rows],
        split=dataset.split[rows],
        label=dataset.sequence[rows],
        row=dataset.row[rows],
        group=None if dataset.group is None else dataset.group[rows],
        sequence=None,
        time=None,
        second=None,
    )
    return small, of


def averaged(prediction: Float[np.ndarray, "n k"], of: np.ndarray) -> Float[np.ndarray, "m k"]:
    """Return the mean prediction of the rows of each recording.

    Args:
        prediction: (n, k).
        of: (n,) which recording each row is of, -1 for none.

    Example:
        >>> averaged(np.array([[1.0], [3.0], [7.0], [9.0]]), np.array([0, 0, 1, -1])).tolist()
        [[2.0], [7.0]]
    """
    rows = of >= 0
    count = np.bincount(of[rows])
    return np.stack([np.bincount(of[rows], weights=column[rows]) / count for column in prediction.T], axis=1)
