"""The definition of RnC, term by term, in float64, with loops: slow, and obviously right.

Source: arXiv 2210.01189, equations 1-3 and the bound of Theorem 1.
"""

import math

import torch
from torch import Tensor


def rnc(v: Tensor, y: Tensor, t: float) -> Tensor:
    """Return the loss of rows v (n, d) with targets y (n, k)."""
    n = v.shape[0]
    total = v.new_zeros(())
    for i in range(n):
        d = (y - y[i]).abs().sum(1)
        # the norm's gradient at 0 is taken as 0, as torch's norm does
        s = torch.stack([-torch.linalg.vector_norm(v[i] - v[k]) / t for k in range(n)])
        for j in range(n):
            if j == i:
                continue
            farther = [k for k in range(n) if k != i and d[k] >= d[j]]
            total = total + torch.logsumexp(s[farther], 0) - s[j]
    return total / (n * (n - 1))


def floor(y: Tensor) -> float:
    """Return L* by counting: for each anchor, each distinct distance and the number of rows that share it."""
    n, total = y.shape[0], 0.0
    for i in range(n):
        d = (y - y[i]).abs().sum(1).tolist()
        others = d[:i] + d[i + 1 :]
        total += sum(others.count(x) * math.log(others.count(x)) for x in set(others))
    return total / (n * (n - 1))
