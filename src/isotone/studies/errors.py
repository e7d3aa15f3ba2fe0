"""Test errors of many runs, row by row, and what resampling rows and seeds together says of their means.

Arms of a study are judged on the same rows under the same seeds. Resamples draw seeds and groups (rows, where there are
no groups) independently, each row counts as often as its seed times its group, and every mean is taken under the same
draws: so hard rows and lucky seeds cancel in a difference. With one seed the interval is that of the rows alone.

Source: the two-way bootstrap of Owen 2007, arXiv 0711.2169 (its intervals are a little too wide, never too narrow).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from isotone.evaluate.angles import beside
from isotone.evaluate.metrics import LEVEL, Interval
from isotone.predict.scaling import Scaling
from isotone.randomness import numpy_generator
from isotone.records import Dataset

SAMPLES = 1000


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


def resampled_means(cells: Sequence[Errors], *, samples: int = SAMPLES) -> Float[np.ndarray, "b c"]:
    """Return the mean of each cell, as it is in row 0 and in each resample below; the same draws for all cells.

    Args:
        cells: c of them.
        samples: resamples, b - 1.

    Returns:
        (1 + samples, c); NaN where a resample holds no row of a cell.

    Example:
        >>> both = Errors(np.zeros(2, int), np.array(["a", "b"]), np.array([1.0, 3.0]))
        >>> resampled_means([both, both], samples=5)[0].tolist()
        [2.0, 2.0]
    """
    seeds = np.unique(np.concatenate([cell.seed for cell in cells]))
    units = np.unique(np.concatenate([cell.unit for cell in cells]))
    draw = numpy_generator("study", "bootstrap", len(seeds), len(units))
    seed_counts = np.concatenate([np.ones((1, len(seeds))), _counts(draw, samples, len(seeds))])
    unit_counts = np.concatenate([np.ones((1, len(units))), _counts(draw, samples, len(units))])
    means: list[np.ndarray] = []
    for cell in cells:
        place = np.searchsorted(units, cell.unit) * len(seeds) + np.searchsorted(seeds, cell.seed)
        shape = len(units), len(seeds)
        total = np.bincount(place, cell.error, minlength=shape[0] * shape[1]).reshape(shape)
        count = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
        above, below = (((unit_counts @ x) * seed_counts).sum(axis=1) for x in (total, count))
        means.append(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))
    return np.stack(means, axis=1)


def interval(values: Float[np.ndarray, " b"]) -> Interval:
    """Return the value, row 0, with the 95 % interval of the resamples below it."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, LEVEL) if len(drawn) else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


# ----------------------------------------------------------------------------------------------------------------------


def _counts(draw: np.random.Generator, samples: int, n: int) -> Float[np.ndarray, "b n"]:
    """Return how often each of n things is drawn in each resample; one alone is always there."""
    return draw.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)
