"""Errors of targets that lie on a circle or are gazes, and the constants that such predictions must beat."""

import math

import numpy as np
import torch
from jaxtyping import Float, Shaped

from isotone.evaluate.constant import constant_predictors
from isotone.evaluate.metrics import Interval, bootstrap
from isotone.evaluate.order import Relation
from isotone.relations.geometry import directions, distance_of, period_of
from isotone.relations.target import target_distance

GRID = 720  # places that a circle's median can have
LINEAR = ("r2", "pearson", "spearman")  # what has no meaning where 359 and 1 are neighbours


def angle_errors(target: Float[np.ndarray, "n k"], prediction: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Return the angle between each gaze and its prediction, in degrees from 0 to 180.

    Formula: 2 atan2(|u - v|, |u + v|), which is the arc cosine of u · v without its loss of digits near 0 and 180.

    Args:
        target: (n, 2) pitch and yaw in radians, or (n, 3) vectors of any length.
        prediction: the same; zeros have no direction and count as 90 degrees, NaN stays NaN.

    Example:
        >>> angle_errors(np.array([[0.0, 0.0]]), np.array([[0.0, np.pi / 6]])).round(6).tolist()
        [30.0]
    """
    u, v = _unit(target), _unit(prediction)
    apart, together = np.linalg.norm(u - v, axis=1), np.linalg.norm(u + v, axis=1)
    return np.degrees(2 * np.arctan2(apart, together))


def angle_metric(
    target: Float[np.ndarray, "n k"],
    prediction: Float[np.ndarray, "n k"],
    *,
    group: Shaped[np.ndarray, " n"] | None = None,
    seed: int = 0,
) -> Interval:
    """Return the mean angle in degrees with its 95 % bootstrap interval; groups are drawn whole where there are some.

    Args:
        target: (n, k) as in `angle_errors`, n >= 1.
        prediction: (n, k).
        group: (n,) or None.
        seed: of the resamples.
    """
    errors = angle_errors(target, prediction)
    found = bootstrap(lambda w: (w @ errors / w.sum(1))[:, None], ("angle",), len(errors), group=group, seed=seed)
    return found["angle"]


def beside(
    target: Float[np.ndarray, "n k"], prediction: Float[np.ndarray, "n k"], geometry: str
) -> Float[np.ndarray, "n k"]:
    """Return predictions on a circle moved by whole turns to where their difference from the target is the error.

    Args:
        target: (n, k), user's units; a row of NaN gives NaN.
        prediction: (n, k); returned as it is where the geometry is no circle.
        geometry: of the targets.

    Example:
        >>> beside(np.array([[350.0]]), np.array([[10.0]]), "circle:360").tolist()
        [[370.0]]
    """
    period = period_of(geometry)
    if period is None:
        return prediction
    gap = np.mod(prediction - target, period)
    return target + np.where(gap > period / 2, gap - period, gap)


def constants(train_target: Float[np.ndarray, "n k"], geometry: str) -> dict[str, Float[np.ndarray, " k"]]:
    """Return what `constant_predictors` does; on a circle, the place least far in the mean, and the mean direction.

    Args:
        train_target: (n, k), n >= 1, user's units.
        geometry: of the targets. Of gazes each column has its own median and mean.

    Returns:
        `median` (on a circle to a 720th of it) and `mean`, (k,) each; a mean of opposite places is somewhere on it.

    Example:
        >>> found = constants(np.array([[350.0], [10], [12]]), "circle:360")
        >>> found["median"].tolist(), found["mean"].round(2).tolist()
        ([10.0], [4.03])
    """
    period = period_of(geometry)
    if period is None:
        return constant_predictors(train_target)
    place = np.arange(GRID) * (period / GRID)
    gap = np.mod(np.abs(train_target[:, :, None] - place), period)  # (n, k, GRID)
    median = place[np.minimum(gap, period - gap).mean(0).argmin(1)]
    turn = 2 * math.pi / period * train_target
    mean = np.mod(np.arctan2(np.sin(turn).mean(0), np.cos(turn).mean(0)) * period / (2 * math.pi), period)
    return {"median": median, "mean": mean}


def relation(geometry: str) -> str | Relation:
    """Return the target distance of a geometry in the form that `order` takes.

    Example:
        >>> relation("circle:360")(np.array([[350.0]]), np.array([[10.0]])).tolist()
        [[20.0]]
    """
    if geometry == "line":
        return "l1"
    distance = target_distance(distance_of(geometry))

    def measured(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        both = [torch.from_numpy(np.ascontiguousarray(x)) for x in (a, b)]
        return distance(*(map(directions, both) if geometry == "gaze" else both)).numpy()

    return measured


# ----------------------------------------------------------------------------------------------------------------------


def _unit(x: np.ndarray) -> np.ndarray:
    v = directions(torch.from_numpy(np.asarray(x, dtype=np.float64))).numpy()
    largest = np.abs(v).max(axis=1, keepdims=True)
    v = v / np.where(largest == 0, 1, largest)  # first, so that no square over- or underflows
    length = np.linalg.norm(v, axis=1, keepdims=True)
    return v / np.where(length == 0, 1, length)
