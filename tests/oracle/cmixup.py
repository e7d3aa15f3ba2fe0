"""The definition of C-Mixup's sampling, row by row, with loops.

Source: arXiv 2210.05775, equation 6.
"""

import math


def probabilities(y: list[list[float]], i: int, bandwidth: float) -> list[float]:
    """Return how likely each row is to be the partner of row i."""
    raw = [math.exp(-sum((a - b) ** 2 for a, b in zip(y[i], other, strict=True)) / (2 * bandwidth**2)) for other in y]
    return [p / sum(raw) for p in raw]


def partner(y: list[list[float]], i: int, u: float, bandwidth: float) -> int:
    """Return the first row at which the probabilities up to it exceed u."""
    below = 0.0
    for j, p in enumerate(probabilities(y, i, bandwidth)):
        below += p
        if below > u:
            return j
    return len(y) - 1
