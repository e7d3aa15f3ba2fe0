"""Errors by how often a target was trained on: many, medium and few, and errors in which each target counts the same.

Source: deep imbalanced regression, Yang et al., ICML 2021, arXiv 2102.09554; balanced error: Ren et al., CVPR 2022.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from isotone.errors import ConfigError, ShapeError

MANY, FEW = 100, 20  # rows of a target in training: many is more than 100, few less than 20
EPSILON = 1e-10  # added to each error in the geometric mean, so that one exact prediction does not make it 0


@dataclass(frozen=True)
class Shot:
    """The error of the rows whose target was trained on often, or seldom.

    Args:
        name: all, many, medium or few.
        n: rows.
        bins: different whole targets among them.
        mae: mean absolute error; NaN without rows.
        g_mean: geometric mean of the absolute errors + 1e-10; NaN without rows.
        balanced_mae: mean over whole targets of their mean absolute error; NaN without rows.
    """

    name: str
    n: int
    bins: int
    mae: float
    g_mean: float
    balanced_mae: float


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

    A target's bin is floor(target / width). Many: more than `many` training rows in the bin; few: fewer than `few`, or
    none; medium: the rest, both ends included.

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
    place, trained = (np.floor(np.asarray(y, dtype=np.float64) / width) for y in (target, train_target))
    names, counts = np.unique(trained, return_counts=True)
    known = dict(zip(names.tolist(), counts.tolist(), strict=True))
    count = np.array([known.get(value, 0) for value in place.tolist()], dtype=np.int64)
    sides = {"all": count >= 0, "many": count > many, "medium": (count >= few) & (count <= many), "few": count < few}
    return [_shot(name, error[rows], place[rows]) for name, rows in sides.items()]


# ----------------------------------------------------------------------------------------------------------------------


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
