"""The definitions of the target distances, pair by pair and column by column: slow, and obviously right.

Sums are exact fractions, so that ties are ties; the last step to a float is the only rounding.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

Pair = Callable[[list[float], list[float]], float]


def pairs(distance: Pair, a: Tensor, b: Tensor) -> Tensor:
    """Return the distance of every row of a from every row of b."""
    return torch.tensor([[distance(x, y) for y in b.tolist()] for x in a.tolist()], dtype=torch.float64)


def angle(x: list[float], y: list[float]) -> float:
    """Return the angle from the exact sine and cosine parts, |x cross y| and x dot y (Lagrange's identity)."""
    if any(map(math.isnan, x + y)):
        return math.nan
    u, v = [Fraction(t) for t in x], [Fraction(t) for t in y]
    dot = sum((s * t for s, t in zip(u, v, strict=True)), Fraction(0))
    cross = sum(t * t for t in u) * sum(t * t for t in v) - dot * dot
    return math.atan2(math.sqrt(cross), dot)


def by_column(
    x: list[float],
    y: list[float],
    *,
    measure: str = "l1",
    period: float | None = None,
    weights: tuple[float, ...] | None = None,
    scales: tuple[float, ...] | None = None,
    categories: tuple[int, ...] = (),
    weight: float = 1.0,
    partial: bool = False,
) -> float:
    """Return the distance of two rows with every setting of `ColumnDistance`, as its docstring defines it."""
    p = 1 if measure == "l1" else 2
    terms: list[Fraction | None] = []
    measured = 0
    for k in range(len(x)):
        known = not (math.isnan(x[k]) or math.isnan(y[k]))
        if k in categories:
            terms.append(Fraction(weight if x[k] != y[k] else 0) ** p if known else None)
            continue
        w = weights[measured] if weights is not None else 1.0
        s = scales[measured] if scales is not None else 1.0
        measured += 1
        if w > 0:
            terms.append(Fraction(w) * (_gap(x[k], y[k], period) / Fraction(s)) ** p if known else None)
    shared = [t for t in terms if t is not None]
    if not shared or (len(shared) < len(terms) and not partial):
        return math.nan
    total = sum(shared, Fraction(0)) * Fraction(len(terms), len(shared))
    return math.sqrt(total) if p == 2 else float(total)


def _gap(x: float, y: float, period: float | None) -> Fraction:
    gap = abs(Fraction(x) - Fraction(y))
    if period is None:
        return gap
    rest = gap % Fraction(period)
    return min(rest, Fraction(period) - rest)
