"""Prediction intervals from the errors of rows that nothing was trained on: split conformal prediction, group by group.

No distribution is assumed. If a new group is drawn as the calibration groups were, a row of it lies in its interval
with at least the probability that was asked for, however bad the predictor is; a bad one only has wide intervals. The
promise is for a predictor that has not seen the calibration rows. In a run they also choose its epoch and its head's
penalty, so their errors are a little small; what that costs was measured for ridge and the L1 head on fixed features
alone (isotone.evaluate.coverage), not for `baseline`, trained end to end, nor for heads with bins.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from isotone.errors import ConfigError, ShapeError

Ends = tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]  # low and high end of each row and target
ROUNDING = 1e-12  # of the sum of weights: 9 rows must give a 90 % interval, and 9 * (1 / 10) may sum to less than 0.9


@dataclass(frozen=True, eq=False)
class Calibration:
    """The errors of the calibration rows, from which the half width of an interval of any level follows.

    Formula: interval = prediction ± q, where q is the smallest error s with sum over rows i with s_i <= s of
    1 / ((G + 1) n_g(i)) >= level; G groups, n_g rows in the group of i. Where every row is its own group, q is the
    ceil((n + 1) level)-th smallest of n errors, as in split conformal prediction. For intervals that have two ends
    before (`isotone.predict.quantile`) the error is how far the target lies outside, below 0 where it lies inside.

    Rows of one group are not independent, so a group counts as one whatever its size, and the guarantee is for a row of
    a group that is new.

    Args:
        error: (n, k) |target - prediction|, user's units; each target has its own intervals.
        group: (n,) number of each row's group, from 0 to G - 1.

    Raises:
        ShapeError: not finite errors (n, k) with one group a row.

    Example:
        >>> found = Calibration.of(np.arange(9.0)[:, None], np.zeros((9, 1)))
        >>> found.half_width(0.9).tolist(), found.half_width(0.5).tolist()
        ([8.0], [4.0])

    Source: Papadopoulos et al. 2002, doi:10.1007/3-540-36755-1_29 (split conformal); Lee, Barber and Willett 2023,
    arXiv 2306.06342, section 3 (groups).
    """

    error: Float[np.ndarray, "n k"]
    group: Shaped[np.ndarray, " n"]

    def __post_init__(self) -> None:
        fits = self.error.ndim == 2 and self.group.shape == self.error.shape[:1]
        if not (fits and np.isfinite(self.error).all()):
            raise ShapeError(
                "A calibration expects finite errors (n, k) and one group a row, "
                f"but got {self.error.shape} and {self.group.shape}. Make it with Calibration.of(target, prediction)."
            )

    @classmethod
    def of(
        cls,
        target: Float[np.ndarray, "n k"],
        prediction: Float[np.ndarray, "n k"],
        group: Shaped[np.ndarray, " n"] | None = None,
    ) -> "Calibration":
        """Return the calibration of predictions on rows that were not trained on.

        Args:
            target: (n, k) user's units.
            prediction: (n, k) of the same rows.
            group: (n,) name of each row's group, or None where every row is its own.
        """
        return cls.outside(target, (prediction, prediction), group)

    @classmethod
    def outside(
        cls, target: Float[np.ndarray, "n k"], ends: Ends, group: Shaped[np.ndarray, " n"] | None = None
    ) -> "Calibration":
        """Return the calibration of intervals that are to be moved: its errors are max(low - target, target - high).

        Args:
            target: (n, k) user's units, of rows that were not trained on.
            ends: low and high (n, k) of the same rows.
            group: (n,) name of each row's group, or None where every row is its own.
        """
        names = np.arange(len(target)) if group is None else np.unique(group, return_inverse=True)[1].reshape(-1)
        y = np.asarray(target, np.float64)
        return cls(np.maximum(ends[0] - y, y - ends[1]), names.astype(np.int64))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def highest(self) -> float:
        """The highest level that so many groups can promise: G / (G + 1)."""
        return self.groups / (self.groups + 1)

    def half_width(self, level: float) -> Float[np.ndarray, " k"]:
        """Return how far the interval of each target reaches to either side of the prediction, in the user's units.

        Args:
            level: share of new rows that are to lie in their interval, above 0 and below 1.

        Raises:
            ConfigError: the level is out of range, or too few groups can promise it.
        """
        check_level(level, self.groups)
        weight = 1.0 / ((self.groups + 1) * np.bincount(self.group)[self.group])  # (n,)
        order = np.argsort(self.error, axis=0, kind="stable")  # (n, k)
        reached = np.cumsum(weight[order], axis=0) >= level - ROUNDING
        return np.take_along_axis(np.take_along_axis(self.error, order, 0), reached.argmax(axis=0)[None], 0)[0]


def check_level(level: float, groups: int | None = None) -> None:
    """Refuse a level that intervals cannot have.

    Args:
        level: of the intervals.
        groups: of the calibration rows; None where they are not known yet.

    Raises:
        ConfigError: not above 0 and below 1, or more than so many groups can promise.

    Example:
        >>> check_level(0.9, 5)
        Traceback (most recent call last):
        isotone.errors.ConfigError: 90 % intervals need validation rows of at least 9 groups (rows, where there are no \
groups), but there are 5. Ask for at most --interval 0.83, or for more of them: --val-fraction.
    """
    if not 0 < level < 1:
        raise ConfigError(
            f"`interval` is a share above 0 and below 1, but got {level:g}. For 90 % intervals, --interval 0.9."
        )
    if groups is not None and groups < level * (groups + 1) - ROUNDING:
        needed = math.ceil(level / (1 - level) - 1e-9)
        highest = math.floor(100 * groups / (groups + 1)) / 100
        most = f"Ask for at most --interval {highest:.2f}, or for" if groups else "Ask for"
        raise ConfigError(
            f"{100 * level:.3g} % intervals need validation rows of at least {needed} groups (rows, where there are no "
            f"groups), but there are {groups}. {most} more of them: --val-fraction."
        )


def widened(ends: Ends, by: Float[np.ndarray, " k"]) -> Ends:
    """Return intervals whose ends lie further out; those that would turn over become their middle.

    Args:
        ends: low <= high, (n, k) each.
        by: (k,) how far each end moves; below 0 inwards.

    Example:
        >>> low, high = widened((np.array([[0.0], [0.0]]), np.array([[4.0], [1.0]])), np.array([-1.0]))
        >>> low.tolist(), high.tolist()
        ([[1.0], [0.5]], [[3.0], [0.5]])
    """
    low, high = ends[0] - by, ends[1] + by
    middle = (low + high) / 2
    return np.minimum(low, middle), np.maximum(high, middle)


def bounds(
    names: Sequence[str],
    ends: Ends | None,
    taken: Collection[str],
) -> dict[str, Float[np.ndarray, " n"]]:
    """Return the columns of a table that hold the intervals: `low_NAME` and `high_NAME` of each target.

    Args:
        names: of the k targets.
        ends: of the intervals, user's units; None gives no column.
        taken: names of columns that there are already.

    Example:
        >>> found = bounds(["age"], (np.array([[26.0]]), np.array([[34.0]])), ["age", "low_age"])
        >>> {name: x.tolist() for name, x in found.items()}
        {'interval_low_age': [26.0], 'high_age': [34.0]}
    """
    found: dict[str, np.ndarray] = {}
    for i, name in enumerate(names):
        for word, end in zip(("low", "high"), ends or (), strict=False):
            column = f"{word}_{name}"
            while column in taken or column in found:
                column = f"interval_{column}"
            found[column] = end[:, i]
    return found
