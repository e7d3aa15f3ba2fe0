"""The lifted structure loss and its generalised form, pair by pair and anchor by anchor: slow, and obviously right.

Source: arXiv 1511.06452, equation 4; arXiv 1703.07737 (there the sum over anchors, here the mean).
"""

import torch
from torch import Tensor


def published(v: Tensor, labels: list[int], margin: float) -> Tensor:
    """Return the loss of rows v (n, d)."""
    n, terms = len(labels), []
    for j in range(n):
        for i in range(j):
            if labels[i] != labels[j]:
                continue
            against = [margin - _distance(v, row, k) for row in (i, j) for k in range(n) if labels[k] != labels[row]]
            if against:
                terms.append(torch.clamp(torch.logsumexp(torch.stack(against), 0) + _distance(v, i, j), min=0) ** 2)
    return torch.stack(terms).mean() / 2 if terms else v.sum() * 0


def generalised(v: Tensor, labels: list[int], margin: float) -> Tensor:
    """Return the loss of rows v (n, d)."""
    n, terms = len(labels), []
    for a in range(n):
        positives = [_distance(v, a, p) for p in range(n) if p != a and labels[p] == labels[a]]
        negatives = [margin - _distance(v, a, k) for k in range(n) if labels[k] != labels[a]]
        if positives and negatives:
            terms.append(
                torch.clamp(
                    torch.logsumexp(torch.stack(positives), 0) + torch.logsumexp(torch.stack(negatives), 0), min=0
                )
            )
    return torch.stack(terms).mean() if terms else v.sum() * 0


def _distance(v: Tensor, i: int, j: int) -> Tensor:
    return torch.linalg.vector_norm(v[i] - v[j])  # its gradient at 0 is taken as 0
