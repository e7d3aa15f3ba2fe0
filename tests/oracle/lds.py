"""The definition of LDS, bin by bin and row by row, with loops.

Source: arXiv 2102.09554, section 3.1.
"""

import math


def place(y: float, low: float, high: float, bins: int) -> int:
    """Return the bin whose centre is nearest; centres are evenly spaced from low to high."""
    if low == high:
        return 0
    centres = [low + (high - low) * b / (bins - 1) for b in range(bins)]
    return min(range(bins), key=lambda b: abs(y - centres[b]))


def kernel(b: int, other: int, window: int, sigma: float) -> float:
    """Return the Gaussian of two bins, 0 outside the window."""
    apart = abs(b - other)
    return math.exp(-(apart**2) / (2 * sigma**2)) if apart <= window // 2 else 0.0


def weights(y: list[float], *, bins: int, window: int, sigma: float, power: float) -> list[float]:
    """Return each row's weight, with mean 1."""
    places = [place(x, min(y), max(y), bins) for x in y]
    share = [places.count(b) / len(y) for b in range(bins)]
    raw = []
    for b in places:
        below = sum(kernel(b, other, window, sigma) for other in range(bins))
        density = sum(kernel(b, other, window, sigma) * share[other] for other in range(bins)) / below
        raw.append(density**-power)
    return [w * len(y) / sum(raw) for w in raw]
