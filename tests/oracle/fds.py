"""The definition of FDS, bin by bin and feature by feature, with loops.

Source: arXiv 2102.09554, section 3.2.
"""

import math
from dataclasses import dataclass

from oracle.lds import kernel

Row = list[float]


@dataclass
class Bin:
    """Mean and variance of each feature of a bin's rows, or None where they never were known."""

    mean: Row
    variance: Row


def epoch(rows: list[tuple[int, Row]], old: list[Bin | None], momentum: float) -> list[Bin | None]:
    """Return the statistics after an epoch with these rows (their bin, their features)."""
    new: list[Bin | None] = []
    for b, before in enumerate(old):
        here = [h for place, h in rows if place == b]
        if len(here) < 2:
            new.append(before)
            continue
        columns = list(zip(*here, strict=True))
        mean = [sum(x) / len(x) for x in columns]
        variance = [sum((v - m) ** 2 for v in x) / (len(x) - 1) for x, m in zip(columns, mean, strict=True)]
        if before is not None:
            mean = [momentum * a + (1 - momentum) * m for a, m in zip(before.mean, mean, strict=True)]
            variance = [momentum * a + (1 - momentum) * v for a, v in zip(before.variance, variance, strict=True)]
        new.append(Bin(mean, variance))
    return new


def moved(h: Row, b: int, bins: list[Bin | None], *, window: int, sigma: float, largest: float) -> Row:
    """Return the features of a row of bin b, whitened by its bin and coloured again by its neighbours."""
    own = bins[b]
    if own is None:
        return h
    known = [(kernel(b, other, window, sigma), found) for other, found in enumerate(bins) if found is not None]
    below = sum(k for k, _ in known)
    out = []
    for i, x in enumerate(h):
        mean = sum(k * found.mean[i] for k, found in known) / below
        variance = sum(k * found.variance[i] for k, found in known) / below
        ratio = variance / own.variance[i] if own.variance[i] > 0 else 1.0
        ratio = min(max(ratio, 1 / largest), largest)
        out.append(math.sqrt(ratio) * (x - own.mean[i]) + mean)
    return out
