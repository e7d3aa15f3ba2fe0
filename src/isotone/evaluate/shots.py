"""Errors by how often a target was trained on: many, medium and few, and errors in which each target counts the same.

Source: deep imbalanced regression, Yang et al., ICML 2021, arXiv 2102.09554; balanced error: Ren et al., CVPR 2022,
arXiv 2203.16427.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from isotone.errors import ConfigError, ShapeError

MANY, FEW = 100, 20  # rows of a target in training: many is more than 100, few less than 20
BINS = 20  # at most, where the published ones do not fit
EPSILON = 1e-10  # added to each error in the geometric mean, so that one exact prediction does not make it 0


@dataclass(frozen=True)
class Shot:
    """The error of the rows whose target was trained on often, or seldom.

    Args:
        name: all, many, medium or few.
        n: rows.
        bins: different bins of the target among them.
        mae: mean absolute error; NaN without rows.
        g_mean: geometric mean of the absolute errors + 1e-10; NaN without rows.
        balanced_mae: mean over these bins of their mean absolute error; NaN without rows.
    """

    name: str
    n: int
    bins: int
    mae: float
    g_mean: float
    balanced_mae: float


@dataclass(frozen=True)
class ShotBins:
    """The bins of a target and their bounds, named as in `shots`.

    Args:
        width: of a bin.
        many: a bin with more training rows is many.
        few: a bin with fewer is few.
        published: whether they are those of the publication; else they were fitted to the training rows.
    """

    width: float = 1.0
    many: int = MANY
    few: int = FEW
    published: bool = True


def shot_bins(train_targets: Sequence[Float[np.ndarray, " _"]]) -> ShotBins:
    """Return the bins by which a target's errors can be told apart: the published ones where there are rows for them.

    Published: bins of width 1 and the bounds 100 and 20, where all training targets are whole numbers and those from
    the lowest to the highest have 20 training rows or more in the mean. Else the smallest width of 1, 2 or 5 times a
    power of ten (for whole numbers at least 1) that leaves at most 20 bins; many is more than the equal share of a bin,
    few less than a fifth of it, as 20 is of 100.

    Args:
        train_targets: for each seed the (t,) finite targets of its training rows, t >= 1; all get the same bins.

    Example:
        >>> shot_bins([np.repeat([30.0, 31.0], [30, 10])])
        ShotBins(width=1.0, many=100, few=20, published=True)
        >>> shot_bins([np.linspace(0, 9.9, 100)])
        ShotBins(width=0.5, many=5, few=1, published=False)
    """
    y = np.concatenate(train_targets).astype(np.float64)
    whole = bool((y == np.floor(y)).all())
    if whole and len(y) >= FEW * len(train_targets) * _span(y, 1.0):
        return ShotBins()
    power = math.floor(math.log10(np.ptp(y) / BINS)) if np.ptp(y) > 0 else 0
    widths = [float(f"{digit}e{power + more}") for more in range(3) for digit in (1, 2, 5)]
    width = next(x for x in widths if _span(y, x) <= BINS and (x >= 1 or not whole))
    bins = len(train_targets) * _span(y, width)
    return ShotBins(width, max(1, len(y) // bins), math.ceil(len(y) / (MANY // FEW * bins)), published=False)


def shots(
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    train_target: Float[np.ndarray, " t"],
    *,
    many: int = MANY,
    few: int = FEW,
    width: float = 1.0,
) -> list[Shot]:
    """Return the errors of all rows, and of those whose target has many, medium or few training rows.

    A target's bin is floor(target / width), the quotient rounded to 9 decimals first, so that 0.3 / 0.1 is 3. Many:
    more than `many` training rows in the bin; few: fewer than `few`, or none; medium: the rest, both ends included.

    Args:
        target: (n,) finite, user's units.
        prediction: (n,) finite, user's units.
        train_target: (t,) finite targets of the training rows.
        many: bound of many.
        few: bound of few, at most `many`.
        width: of a bin; 1 as published, for years.

    Raises:
        ShapeError: not (n,), (n,) and (t,), or not finite.
        ConfigError: `few` above `many`, or a width of 0 or less.

    Example:
        >>> found = shots(np.array([20.0, 90.0]), np.array([21.0, 86.0]), np.repeat(20.0, 101))
        >>> [(shot.name, shot.n, shot.mae) for shot in found]
        [('all', 2, 2.5), ('many', 1, 1.0), ('medium', 0, nan), ('few', 1, 4.0)]
    """
    _check(target, prediction, train_target, many, few, width)
    error = np.abs(np.asarray(target, dtype=np.float64) - prediction)
    place, trained = _bin(target, width), _bin(train_target, width)
    names, counts = np.unique(trained, return_counts=True)
    known = dict(zip(names.tolist(), counts.tolist(), strict=True))
    count = np.array([known.get(value, 0) for value in place.tolist()], dtype=np.int64)
    sides = {"all": count >= 0, "many": count > many, "medium": (count >= few) & (count <= many), "few": count < few}
    return [_shot(name, error[rows], place[rows]) for name, rows in sides.items()]


# ----------------------------------------------------------------------------------------------------------------------


def _bin(y: np.ndarray, width: float) -> np.ndarray:
    return np.floor(np.round(np.asarray(y, dtype=np.float64) / width, 9))


def _span(y: np.ndarray, width: float) -> int:
    """Return how many bins there are from the lowest to the highest."""
    place = _bin(np.array([y.min(), y.max()]), width)
    return int(place[1] - place[0]) + 1


def _shot(name: str, error: np.ndarray, place: np.ndarray) -> Shot:
    if not len(error):
        return Shot(name, 0, 0, float("nan"), float("nan"), float("nan"))
    values, code, count = np.unique(place, return_inverse=True, return_counts=True)
    by_bin = np.bincount(code, weights=error) / count
    g_mean = float(np.exp(np.log(error + EPSILON).mean()))
    return Shot(name, len(error), len(values), float(error.mean()), g_mean, float(by_bin.mean()))


def _check(
    target: np.ndarray, prediction: np.ndarray, train_target: np.ndarray, many: int, few: int, width: float
) -> None:
    shapes = [np.shape(x) for x in (target, prediction, train_target)]
    if any(len(shape) != 1 for shape in shapes) or shapes[0] != shapes[1]:
        raise ShapeError(
            f"Errors by shot expect target and prediction (n,) and training targets (t,), but got {shapes[0]}, "
            f"{shapes[1]} and {shapes[2]}. Score one target dimension at a time: y[:, 0]."
        )
    if not all(np.isfinite(x).all() for x in (target, prediction, train_target)):
        raise ShapeError("Errors by shot expect finite numbers, but some are NaN or infinite. Leave these rows out.")
    if few > many or width <= 0:
        raise ConfigError(
            f"Errors by shot expect few <= many and a width above 0, but got few {few}, many {many}, width {width}."
        )
