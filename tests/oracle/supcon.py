"""The definition of SupCon, term by term, with loops: slow, and obviously right.

Source: arXiv 2004.11362, equations 2 and 3, as means over the anchors that have a positive.
"""

import torch
from torch import Tensor


def supcon(z: Tensor, y: Tensor, t: float, form: str = "out") -> Tensor:
    """Return the loss of rows z (n, d) with classes y (n,)."""
    n = len(z)
    anchors = []
    for i in range(n):
        others = [k for k in range(n) if k != i]
        positives = [k for k in others if y[k] == y[i]]
        if not positives:
            continue
        below = sum(torch.exp(cosine(z[i], z[k]) / t) for k in others)
        fractions = [torch.exp(cosine(z[i], z[p]) / t) / below for p in positives]
        if form == "out":
            anchors.append(-sum(f.log() for f in fractions) / len(fractions))
        else:
            anchors.append(-torch.log(sum(fractions) / len(fractions)))
    return torch.stack(anchors).mean() if anchors else z.sum() * 0


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine of two vectors, 0 where one of them is 0."""
    return a @ b / (_length(a) * _length(b))


def _length(a: Tensor) -> Tensor:
    return torch.sqrt(a @ a) if bool(a.any()) else a.new_ones(())
