"""A paired difference in words, honest about what the data cannot show."""

import math
from dataclasses import dataclass
from typing import Literal

from isotone.evaluate.paired import Difference

SURE = 0.05  # a verdict needs an interval without 0, and this after Holm


@dataclass(frozen=True)
class Verdict:
    """What a comparison says: `better`, `worse` or `open`, and the sentence."""

    kind: Literal["better", "worse", "open"]
    text: str


def verdict(name: str, reference: str, found: Difference, *, seeds: int, p: float, many: int) -> Verdict:
    """Return the sentence for one arm beside the reference arm.

    Args:
        name: of the arm.
        reference: of the arm it is compared with.
        found: from `paired_differences`.
        seeds: how many.
        p: of the comparison, after `holm` over all of them.
        many: comparisons that were made.

    Example:
        >>> from isotone.evaluate.metrics import Interval
        >>> change = Interval(-0.08, -0.11, -0.06)
        >>> found = Difference(Interval(1, 1, 1), Interval(-1, -2, -1), change, (-0.08,) * 5, p=0.0)
        >>> verdict("RnC + L1", "L1", found, seeds=5, p=0.0, many=1).text
        'RnC + L1 beats L1 by 6-11 % (5 seeds).'
    """
    low, high, counted = found.relative.low, found.relative.high, f"{seeds} seed{'s' if seeds > 1 else ''}"
    if math.isnan(low) or math.isnan(high):
        return Verdict("open", f"{name} and {reference}: too few held-out rows or groups to say anything ({counted}).")
    if low <= 0 <= high:
        span = f"{_side(low)} to {_side(high)}"
        return Verdict("open", f"{name} and {reference}: no difference that these data can show ({span}, {counted}).")
    near, far = sorted((abs(low), abs(high)))
    by = f"{name} {'beats' if high < 0 else 'is worse than'} {reference} by {_percents(near, far)} ({counted})"
    if not p < SURE:
        text = f"{by} if it is looked at alone; among {many} comparisons these data cannot show it (Holm)."
        return Verdict("open", text)
    return Verdict("better" if high < 0 else "worse", f"{by}.")


# ----------------------------------------------------------------------------------------------------------------------


def _percents(near: float, far: float) -> str:
    """Return `6-11 %`, with a decimal where whole numbers would say 0 or the same twice."""
    digits = 0 if near >= 0.0095 and round(100 * near) != round(100 * far) else 1
    ends = dict.fromkeys(f"{100 * end:.{digits}f}" for end in (near, far))
    return f"{'-'.join(ends)} %"


def _side(change: float) -> str:
    size = abs(100 * change)
    return f"{size:.{0 if size >= 9.5 else 1}f} % {'better' if change < 0 else 'worse'}"
