"""Is one arm better than another? Paired differences on the same held-out rows, over all seeds, with an interval.

What is resampled: whole units (groups where there are groups, else rows), each with all its seeds and with every arm's
error on it, so that hard rows and hard groups cancel. What the seeds differ by beyond that (other first weights, other
training rows) cannot be drawn again from two or three seeds, so it is added as a variance:

    M = mean over seeds s of m_s,   m_s = mean loss difference on the held-out rows of seed s
    tau² = max(0, B - V),   B = sum (m_s - M)² / (S - 1),   V = what resampled rows alone make of B
    draw = M of resampled units + tau / sqrt(S) * normal

The interval is the 2.5th to 97.5th percentile of the draws, stretched about M for few units and few seeds: by
sqrt(units / (units - 1)) and by Student's t over the normal, its degrees of freedom by Satterthwaite from both parts.

`Resampled` gives this interval to any weighted sum of mean losses; the studies' gaps and their growth are such sums.

Source: Efron and Tibshirani 1993, chapters 8 and 13; Hesterberg 2015, doi:10.1080/00031305.2015.1089789 (few units);
Satterthwaite 1946, doi:10.2307/3002019; Holm 1979, Scandinavian Journal of Statistics 6.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import stats

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.metrics import LEVEL, Interval
from isotone.randomness import numpy_generator

SAMPLES = 4000
BLOCK = 2_000_000  # counts held at once: 16 MiB


@dataclass(frozen=True)
class Difference:
    """How an arm's mean loss compares with the reference's.

    Args:
        loss: the arm's own mean loss, the mean over seeds of the mean over rows.
        difference: arm minus reference; negative: the arm is better.
        relative: the difference over the reference's mean loss; -0.1 is 10 % less.
        by_seed: the relative difference of each seed, in the order of the seeds; NaN where the reference's loss is 0.
        p: two-sided, of no difference, from the same variance and degrees of freedom as the interval; NaN where there
            is no interval, 1 for the reference itself.
    """

    loss: Interval
    difference: Interval
    relative: Interval
    by_seed: tuple[float, ...]
    p: float


def paired_differences(
    loss: Float[np.ndarray, "n a"],
    seed: Int[np.ndarray, " n"],
    unit: Shaped[np.ndarray, " n"],
    *,
    reference: int = 0,
    samples: int = SAMPLES,
    draw_seed: int = 0,
) -> tuple[Difference, ...]:
    """Return for each arm its difference to the reference arm, paired on rows and seeds.

    Args:
        loss: (n, a) finite, one line for each held-out row of each seed, one column for each arm: absolute errors, or
            1 where a class is wrong. All arms are judged on the same rows of the same seeds.
        seed: (n,) of the line.
        unit: (n,) what is drawn as a whole: the group, else the row; the same name in every seed.
        reference: column of the arm that the others are compared with.
        samples: resamples, >= 1. 4,000 of 1,000 rows, 3 seeds, 10 arms take about half a second.
        draw_seed: of the resamples.

    Returns:
        One entry an arm. Intervals are NaN with fewer than 2 units.

    Raises:
        ShapeError: shapes that do not fit, no line, a loss that is not finite.
        ConfigError: `samples` < 1.

    Example:
        >>> loss = np.array([[1.0, 0.5], [2.0, 1.0], [3.0, 1.5], [4.0, 2.0]])
        >>> found = paired_differences(loss, np.zeros(4, dtype=int), np.arange(4))
        >>> found[1].relative.value, round(found[1].relative.high, 3)
        (-0.5, -0.5)
    """
    _check(loss, seed, unit, samples)
    seeds, s = np.unique(seed, return_inverse=True)
    units, u = np.unique(unit, return_inverse=True)
    sums = np.zeros((len(units), len(seeds), loss.shape[1] + 1))  # the last column counts the rows
    np.add.at(sums, (u, s), np.concatenate([loss, np.ones((len(loss), 1))], axis=1))
    found = Resampled.of(sums[..., :-1], sums[..., -1:], samples=samples, draw_seed=draw_seed)
    return tuple(_difference(found, arm, reference) for arm in range(loss.shape[1]))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Mean losses of columns (arms, or arms at places) under each seed, as they are and in each resample of the units.

    Args:
        means: (s, c) on the rows as given.
        drawn: (b, s, c), all columns under the same draws; NaN where a resample holds no row of a seed.
        normal: (b,) what the seeds' own part is drawn from.
        units: how many are drawn.
    """

    means: Float[np.ndarray, "s c"]
    drawn: Float[np.ndarray, "b s c"]
    normal: Float[np.ndarray, " b"]
    units: int

    @staticmethod
    def of(
        sums: Float[np.ndarray, "u s c"], rows: Float[np.ndarray, "u s k"], *, samples: int, draw_seed: int = 0
    ) -> "Resampled":
        """Return the resamples of u units.

        Args:
            sums: of the losses of each unit's rows under each seed.
            rows: how many rows that is; k = c, or 1 where it is the same for all columns.
            samples: resamples, >= 1.
            draw_seed: of the resamples.
        """
        units = len(sums)
        drawn = [_means(sums, rows, w) for w in _counts(units, samples, draw_seed)] if units > 1 else []
        normal = numpy_generator("paired", draw_seed, "seeds").standard_normal(samples)
        means = _means(sums, rows, np.ones((1, units)))[0]
        return Resampled(means, np.concatenate(drawn) if drawn else np.zeros((0, *means.shape)), normal, units)

    def interval(
        self, weights: Float[np.ndarray, " c"], over: Float[np.ndarray, " c"] | None = None
    ) -> tuple[Interval, float]:
        """Return a weighted sum of the columns, mean over the seeds, with its interval, and p of a sum of 0.

        Args:
            weights: of the columns: 1 for a loss, 1 and -1 for a difference, 1, -1, -1, 1 for one of differences.
            over: weights of the columns that the sum is divided by; NaN where these are not above 0.

        Returns:
            Ends and p are NaN with fewer than 2 units.

        Example:
            >>> found = Resampled.of(np.array([[[4.0, 2.0]], [[8.0, 6.5]]]), np.ones((2, 1, 1)), samples=100)
            >>> less, _ = found.interval(np.array([1.0, -1.0]), over=np.array([1.0, 0.0]))
            >>> round(less.value, 3), less.low < less.value < less.high
            (0.292, True)
        """
        seeds, drawn = self._of(weights)
        base, below = (np.ones(1), np.ones((len(drawn), 1))) if over is None else self._of(over)
        kept = np.isfinite(drawn).any(axis=1)  # a resample may hold no row of a column
        value, divisor = float(seeds.mean()), float(base.mean())
        if not kept.any():
            return Interval(_ratio(value, divisor), math.nan, math.nan), math.nan
        drawn, below = drawn[kept], np.nanmean(below[kept], axis=1)
        centre, rows, between = _variances(seeds, drawn, self.units)
        total = rows + between
        rounding = 1e-12 * self._size(weights)
        constant = total <= rounding**2  # every draw the same
        if constant and (over is None or abs(value) <= rounding):
            same = _ratio(value, divisor)
            return Interval(same, same, same), 1.0 if abs(value) <= rounding else 0.0
        freedom = self.units - 1.0
        if not constant:
            freedom = total**2 / (rows**2 / (self.units - 1) + between**2 / max(1, len(seeds) - 1))
        few = math.sqrt(self.units / (self.units - 1))
        draws = value + few * (centre - value) + math.sqrt(between) * self.normal[kept]
        below = divisor + few * (below - divisor)  # as the draws above are stretched: a constant ratio stays one
        ratio, draws = _ratio(value, divisor), draws / np.where(below > 0, below, np.nan)
        low, high = np.nanpercentile(draws, LEVEL) if np.isfinite(draws).any() else (np.nan, np.nan)
        stretch = float(stats.t.ppf(LEVEL[1] / 100, freedom) / stats.norm.ppf(LEVEL[1] / 100))
        ends = (ratio + stretch * (float(end) - ratio) for end in (low, high))
        p = 0.0 if constant else float(2 * stats.t.sf(abs(value) / math.sqrt(total), freedom))
        return Interval(ratio, *ends), p

    def _of(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a weighted sum of the columns under each seed (s,), and in each resample (b, s)."""
        used = np.flatnonzero(weights)  # a column that a resample lacks is no matter where it has no weight
        return self.means[:, used] @ weights[used], self.drawn[..., used] @ weights[used]

    def _size(self, weights: np.ndarray) -> float:
        """Return how large the terms of a weighted sum are."""
        used = np.flatnonzero(weights)
        return float((np.abs(self.means[:, used]) @ np.abs(weights[used])).max())


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Return p-values that hold for all comparisons together: Holm's step-down form of Bonferroni.

    Args:
        p: of each comparison; NaN stays NaN and is not counted.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)

    Source: Holm 1979.
    """
    known = [i for i, value in enumerate(p) if not math.isnan(value)]
    result, largest = [float("nan")] * len(p), 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * p[i]))
        result[i] = largest
    return tuple(result)


# ----------------------------------------------------------------------------------------------------------------------


def _means(
    sums: Float[np.ndarray, "u s c"], rows: Float[np.ndarray, "u s k"], w: Float[np.ndarray, "b u"]
) -> np.ndarray:
    """Return each seed's mean of each column (b, s, c) under counts; NaN where no row of a seed is drawn."""
    total, count = ((w @ x.reshape(len(x), -1)).reshape(len(w), *x.shape[1:]) for x in (sums, rows))
    return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)


def _difference(found: Resampled, arm: int, reference: int) -> Difference:
    own, base = np.eye(found.means.shape[1])[[arm, reference]]
    difference, p = found.interval(own - base)
    by_seed = tuple(_ratio(float(a - b), float(b)) for a, b in found.means[:, [arm, reference]])
    return Difference(
        found.interval(own)[0], difference, found.interval(own - base, over=base)[0], by_seed,
        1.0 if arm == reference else p,
    )  # fmt: skip


def _variances(
    seeds: Float[np.ndarray, " s"], drawn: Float[np.ndarray, "b s"], units: int
) -> tuple[Float[np.ndarray, " b"], float, float]:
    """Return the mean over seeds in each resample, the variance that units make of it, and what seeds add: tau² / S."""
    centre = np.nanmean(drawn, axis=1)
    rows = float(np.nanvar(centre)) * units / (units - 1)
    between = 0.0
    if len(seeds) > 1:
        by_rows = float(np.nansum(np.nanvar(drawn - centre[:, None], axis=0))) * units / (units - 1)
        between = max(0.0, float(seeds.var(ddof=1)) - by_rows / (len(seeds) - 1)) / len(seeds)
    return centre, rows, between


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


def _counts(units: int, samples: int, seed: int) -> Iterator[Float[np.ndarray, "b u"]]:
    """Yield blocks (b, u) of how often each unit is drawn."""
    draw = numpy_generator("paired", seed)
    block = max(1, BLOCK // units)
    for begin in range(0, samples, block):
        b = min(block, samples - begin)
        picked = draw.integers(units, size=(b, units)) + units * np.arange(b)[:, None]
        yield np.bincount(picked.ravel(), minlength=b * units).reshape(b, units).astype(np.float64)


def _check(loss: np.ndarray, seed: np.ndarray, unit: np.ndarray, samples: int) -> None:
    n = len(loss)
    if loss.ndim != 2 or not loss.size or np.shape(seed) != (n,) or np.shape(unit) != (n,):
        raise ShapeError(
            "Paired differences expect losses (n, arms), seeds (n,) and units (n,) with n >= 1, but got "
            f"{np.shape(loss)}, {np.shape(seed)} and {np.shape(unit)}. Give one line for each row of each seed."
        )
    if not np.isfinite(loss).all():
        raise ShapeError(
            f"Paired differences expect finite losses, but {int((~np.isfinite(loss)).sum())} are NaN or infinite. "
            "Leave these rows out for every arm."
        )
    if samples < 1:
        raise ConfigError(f"Paired differences expect samples >= 1, but got {samples}. {SAMPLES} is a good value.")
