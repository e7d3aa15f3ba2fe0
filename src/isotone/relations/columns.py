"""A target distance that adds up over the columns: circles, weights, scales, class codes, missing entries.

It is one record, so that every combination has one definition: `circular`, `weighted`, `mixed` and `partial` set its
fields, and a module that holds it prints them.
"""

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.check import choice, positive, wide_dtype
from isotone.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class ColumnDistance:
    """The distance `d(a, b) = (sum_k w_k (delta_k / s_k)^p)^(1/p)`, with p = 1 for l1 and p = 2 for l2.

    `delta_k = |a_k - b_k|`, on a circle the shorter way round, and `weight` or 0 for class codes that differ or agree.
    A column of weight 0 is not looked at. NaN (missing) makes the pair's distance NaN (unknown); with `partial` the sum
    runs over the columns that both rows have and is multiplied by (columns that count) / (columns that both have), and
    only a pair that shares none is unknown.

    Computed in float64, in blocks of rows and column by column: memory for twice the result, whatever k. Equal
    differences give equal distances, bit for bit, and so do integers whose sums are equal, after `partial` has scaled
    them too.

    Args:
        measure: `l1` or `l2`, how columns are joined.
        period: length of the circle, in the targets' unit; None for a line.
        weights: w_k >= 0 of the columns that are no categories, in their order; None for 1.
        scales: s_k > 0 of the same columns, in the targets' units; None for 1.
        categories: columns that hold class codes, counted from 0; whole numbers.
        weight: how far two different classes are apart, in units of the distance.
        partial: whether a pair is compared by the columns that both rows have.

    Raises:
        ConfigError: for settings outside these ranges; when it is made.
        ShapeError: where the targets have other columns or class codes are no whole numbers; when it is called.

    Example:
        >>> distance = ColumnDistance("l1", weights=(1.0, 0.5), scales=(10.0, 2.0))
        >>> distance(torch.tensor([[20.0, 1.0]]), torch.tensor([[30.0, 5.0]])).item()  # 10 / 10 + 0.5 * 4 / 2
        2.0
        >>> distance
        ColumnDistance(measure='l1', weights=(1.0, 0.5), scales=(10.0, 2.0))
    """

    measure: str
    period: float | None = None
    weights: tuple[float, ...] | None = None
    scales: tuple[float, ...] | None = None
    categories: tuple[int, ...] = ()
    weight: float = 1.0
    partial: bool = False

    def __post_init__(self) -> None:
        choice("measure", self.measure, ("l1", "l2"))
        if self.period is not None:
            positive("period", self.period)
        positive("weight", self.weight)
        _check_numbers(self.weights, self.scales)
        if len(set(self.categories)) < len(self.categories) or min(self.categories, default=0) < 0:
            raise ConfigError(f"`categories` must be different columns counted from 0, got {self.categories}.")

    def __repr__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"ColumnDistance({', '.join(shown)})"

    def __call__(self, a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
        """Return the distances of all rows of `a` (n, k) from all rows of `b` (m, k), float64; NaN = unknown."""
        a, b = a.to(wide_dtype(a.device)), b.to(wide_dtype(b.device))
        columns = self._columns(a.shape[1])
        self._check_codes(a, b)
        return torch.cat([self._block(columns, rows, b) for rows in row_blocks(a, len(b))])

    def _block(self, columns: list[tuple[int, float, float]], a: Tensor, b: Tensor) -> Tensor:
        p = 1 if self.measure == "l1" else 2
        total = a.new_zeros(a.shape[0], b.shape[0])
        for k, weight, scale in columns:
            # Differences first: scaled or weighted targets would round equal differences apart.
            term = self._apart(k, a, b).pow_(p).mul_(weight).div_(scale**p)  # (n, m)
            total += term.nan_to_num_(0.0, posinf=math.inf) if self.partial else term
        if self.partial:
            total.mul_(len(columns)).div_(_shared([k for k, _, _ in columns], a, b))  # 0 / 0 = NaN: nothing shared
        return total.sqrt_() if p == 2 else total

    def _columns(self, k: int) -> list[tuple[int, float, float]]:
        """Return index, weight and scale of the columns that count."""
        if max(self.categories, default=-1) >= k:
            raise ShapeError(
                f"column {max(self.categories)} was named as a category, but the targets have columns 0 to {k - 1}."
            )
        measured = [c for c in range(k) if c not in self.categories]
        weights, scales = self.weights or (1.0,) * len(measured), self.scales or (1.0,) * len(measured)
        for name, given in (("weights", weights), ("scales", scales)):
            if len(given) != len(measured):
                besides = " besides the categories" if self.categories else ""
                raise ShapeError(
                    f"the target distance has {len(given)} {name}, but the targets have {len(measured)} "
                    f"columns{besides}. Give one for each."
                )
        counting = [(c, w, s) for c, w, s in zip(measured, weights, scales, strict=True) if w > 0]
        return counting + [(c, 1.0, 1.0) for c in self.categories]

    def _apart(self, k: int, a: Tensor, b: Tensor) -> Tensor:
        """Return how far the rows are apart in column k, (n, m), a new tensor; NaN where either is missing."""
        gap = (a[:, k, None] - b[None, :, k]).abs_()
        if k in self.categories:
            return gap.clamp_(max=1.0).mul_(self.weight)  # codes are whole numbers: 1 or more where they differ
        if self.period is None:
            return gap
        gap.remainder_(self.period)
        return torch.minimum(gap, self.period - gap, out=gap)

    def _check_codes(self, a: Tensor, b: Tensor) -> None:
        for k in self.categories:
            codes = torch.cat([a[:, k], b[:, k]])
            broken = codes[(codes - codes.round()).abs() > 0]  # NaN is no code and no mistake
            if len(broken):
                raise ShapeError(
                    f"column {k} of the targets was named as a category and must hold whole numbers, got "
                    f"{broken[0].item():g}. Number the classes, or leave the column out of `categories`."
                )


def row_blocks(a: Float[Tensor, "n k"], m: int) -> tuple[Tensor, ...]:
    """Return the rows in blocks whose (rows, m) temporaries stay in the processor's cache; on a GPU, larger ones.

    Example:
        >>> [len(block) for block in row_blocks(torch.zeros(300, 3), 2048)]
        [128, 128, 44]
    """
    entries = 2**18 if a.device.type == "cpu" else 2**24
    return a.split(max(1, entries // max(1, m)))


# ----------------------------------------------------------------------------------------------------------------------


def _shared(columns: list[int], a: Tensor, b: Tensor) -> Tensor:
    """Return how many of the columns both rows have, (n, m)."""
    known_a, known_b = ((~x[:, columns].isnan()).to(x.dtype) for x in (a, b))
    return known_a @ known_b.T


def _check_numbers(weights: tuple[float, ...] | None, scales: tuple[float, ...] | None) -> None:
    if weights is not None and not (all(0 <= w < math.inf for w in weights) and any(w > 0 for w in weights)):
        raise ConfigError(f"`weights` must be finite and at least 0, one of them above 0, got {weights}.")
    if scales is not None and not (scales and all(0 < s < math.inf for s in scales)):
        raise ConfigError(f"`scales` must be finite numbers above 0, got {scales}.")
    if weights is not None and scales is not None and len(weights) != len(scales):
        raise ConfigError(
            f"`weights` and `scales` hold one number for each column of the targets, got {len(weights)} and "
            f"{len(scales)}."
        )
