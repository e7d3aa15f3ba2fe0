"""Test errors of many runs, row by row, and their resamples, from which the intervals of a study come.

Arms of a study are judged on the same rows under the same seeds. Groups (rows, where there are no groups) are drawn
with all their seeds and every arm's error on them, so that hard rows cancel in a difference; what seeds differ by
beyond that is added. It is the interval of `isotone.evaluate.paired`, which has the formulas, and the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from isotone.evaluate.angles import beside
from isotone.evaluate.paired import Resampled
from isotone.predict.scaling import Scaling
from isotone.records import Dataset

SAMPLES = 1000  # a study of robustness draws them again for each of its 25 places


@dataclass(frozen=True, eq=False)
class Errors:
    """Absolute test errors of one arm at one place of a study.

    Args:
        seed: (n,) of the run that made the prediction.
        unit: (n,) text: the row's group, or the row itself; drawn as one.
        error: (n,) in the user's unit.
    """

    seed: Int[np.ndarray, " n"]
    unit: Shaped[np.ndarray, " n"]
    error: Float[np.ndarray, " n"]


def absolute_errors(
    data: Dataset, rows: Int[np.ndarray, " t"], prediction: Shaped[np.ndarray, "t k"]
) -> Float[np.ndarray, " t"]:
    """Return the error of each row: |y - p| of one target (on a circle the short way), 0 or 1 of a class.

    Of several targets it is the mean of |y - p| in standard deviations of the training rows.

    Args:
        data: with the labels.
        rows: rows of it.
        prediction: of these rows, as `Model.answers` gives it.
    """
    if data.category is not None:
        return (prediction[:, 0] != data.category[rows]).astype(np.float64)
    error = np.abs(data.target[rows] - beside(data.target[rows], prediction, data.geometry))
    if error.shape[1] > 1:
        error = error / np.asarray(Scaling.of(data.target[data.labelled("train")]).std)
    return error.mean(axis=1)


def errors_of(
    data: Dataset,
    rows: Int[np.ndarray, " t"],
    error: Float[np.ndarray, " t"],
    *,
    seed: int,
    lines: Int[np.ndarray, " n"] | None = None,
) -> Errors:
    """Return errors with their seed and the unit that each row belongs to.

    Args:
        data: of the run.
        rows: that were judged.
        error: of these rows.
        seed: of the run.
        lines: for each row of `data` its line in the user's table, where `data` is a part of that; None: its own.
    """
    unit = (data.row if lines is None else lines).astype(str) if data.group is None else data.group
    return Errors(np.full(len(rows), seed), unit[rows].astype(str), error)


def joined(parts: Sequence[Errors]) -> Errors:
    """Return the errors of several runs, such as one arm's under all seeds, as one record."""
    return Errors(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("seed", "unit", "error")))


def resampled(cells: Sequence[Errors], *, samples: int = SAMPLES) -> Resampled:
    """Return the mean error of each cell under each seed, as it is and in each resample; the same draws for all cells.

    Args:
        cells: c of them, the columns of what is returned; each with rows under every seed.
        samples: resamples.

    Example:
        >>> a = Errors(np.zeros(2, int), np.array(["a", "b"]), np.array([1.0, 3.0]))
        >>> found = resampled([a, Errors(a.seed, a.unit, a.error + 1)])
        >>> found.means.tolist()
        [[2.0, 3.0]]
        >>> gap, _ = found.interval(np.array([1.0, -1.0]))
        >>> gap.low, gap.high
        (-1.0, -1.0)
    """
    seeds = np.unique(np.concatenate([cell.seed for cell in cells]))
    units = np.unique(np.concatenate([cell.unit for cell in cells]))
    shape = len(units), len(seeds)
    sums, rows = np.zeros((2, *shape, len(cells)))
    for column, cell in enumerate(cells):
        place = np.searchsorted(units, cell.unit) * len(seeds) + np.searchsorted(seeds, cell.seed)
        sums[..., column] = np.bincount(place, cell.error, minlength=shape[0] * shape[1]).reshape(shape)
        rows[..., column] = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    return Resampled.of(sums, rows, samples=samples)
