"""RnC with weights, few positives, missing targets and further candidates, term by term, in float64.

Source: arXiv 2210.01189, equations 1-3 and Table 6; the rest as `isotone.losses.rnc` defines it.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Pair = Callable[[list[float], list[float]], float]


def l1(x: list[float], y: list[float]) -> float:
    """Return the mean difference of the dimensions that both have, times their number; NaN where they share none."""
    gaps = [abs(p - q) for p, q in zip(x, y, strict=True) if not (math.isnan(p) or math.isnan(q))]
    return sum(gaps) * len(x) / len(gaps) if gaps else math.nan


def rnc(
    v: Tensor,
    y: Tensor,
    t: float = 2.0,
    *,
    distance: Pair = l1,
    weights: list[float] | None = None,
    positives: int | None = None,
    others: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the loss of rows v (n, d) with targets y (n, k) and, behind them, others' rows and targets."""
    n = len(v)
    rows, targets = (v, y) if others is None else (torch.cat([v, others[0]]), torch.cat([y, others[1]]))
    weight = [1.0] * n if weights is None else weights
    weight = weight + [1.0] * (len(rows) - n)
    above, below = v.sum() * 0, 0.0
    for i in range(n):
        d = [distance(targets[i].tolist(), target.tolist()) for target in targets]
        s = [-torch.linalg.vector_norm(v[i] - row) / t for row in rows]
        known = [k for k in range(len(rows)) if k != i and not math.isnan(d[k])]
        reach = sorted(d[k] for k in known)[: len(known) if positives is None else positives]
        chosen = [j for j in known if d[j] <= reach[-1] and weight[j] > 0]
        if not chosen:
            continue
        mean = v.sum() * 0
        for j in chosen:
            farther = torch.stack([s[k] for k in known if d[k] >= d[j]])
            mean = mean + weight[j] * (torch.logsumexp(farther, 0) - s[j])
        above = above + weight[i] * mean / sum(weight[j] for j in chosen)
        below += weight[i]
    return above / below if below else above
