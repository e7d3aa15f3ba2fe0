"""The triplet loss, triplet by triplet: slow, and obviously right.

Source: arXiv 1503.03832, equations 3 and 4; arXiv 1703.07737, equation 5 and its soft margin.
"""

import torch
from torch import Tensor


def triplets(v: Tensor, labels: list[int], mining: str) -> list[tuple[int, int, int]]:
    """Return the (anchor, positive, negative) that count."""
    n, found = len(labels), []
    d = [[float(_distance(v.detach(), i, j)) for j in range(n)] for i in range(n)]
    for a in range(n):
        positives = [p for p in range(n) if p != a and labels[p] == labels[a]]
        negatives = [k for k in range(n) if labels[k] != labels[a]]
        if not positives or not negatives:
            continue
        if mining == "all":
            found += [(a, p, k) for p in positives for k in negatives]
        elif mining == "hard":
            found.append((a, max(positives, key=lambda p: d[a][p]), min(negatives, key=lambda k: d[a][k])))
        else:
            for p in positives:
                farther = [k for k in negatives if d[a][k] > d[a][p]]
                nearest = min(farther, key=lambda k: d[a][k]) if farther else max(negatives, key=lambda k: d[a][k])
                found.append((a, p, nearest))
    return found


def triplet(
    v: Tensor, labels: list[int], margin: float | str, mining: str, normalize: bool, average: str
) -> tuple[Tensor, float]:
    """Return the loss of rows v (n, d), and the active fraction."""
    if normalize:
        v = torch.stack([row / torch.linalg.vector_norm(row) if bool(row.any()) else row for row in v])
    terms = []
    for a, p, k in triplets(v, labels, mining):
        gap = _distance(v, a, p) - _distance(v, a, k)
        if margin == "soft":
            terms.append(torch.logaddexp(gap, torch.zeros_like(gap)))
        else:
            terms.append(torch.clamp(gap + margin, min=0))
    active = sum(bool(term > 0) or margin == "soft" for term in terms)
    count = active if average == "active" else len(terms)
    return sum(terms, v.new_zeros(())) / max(count, 1), active / max(len(terms), 1)


def _distance(v: Tensor, i: int, j: int) -> Tensor:
    return torch.linalg.vector_norm(v[i] - v[j])  # its gradient at 0 is taken as 0
