"""The definitions of InfoNCE, NT-Xent, CLIP's and MoCo's losses, term by term, with loops.

Source: arXiv 1807.03748, equation 4; arXiv 2002.05709, equation 1; arXiv 2103.00020, Figure 3; arXiv 1911.05722,
equation 1.
"""

import torch
from oracle.supcon import cosine
from torch import Tensor


def views(z: Tensor, t: float, negatives: Tensor | None = None) -> Tensor:
    """Return NT-Xent of views z (b, v, d), the mean over the partners where there are several."""
    b, v, _ = z.shape
    terms = []
    for i in range(b):
        for j in range(v):
            rest = [z[k, u] for k in range(b) for u in range(v) if (k, u) != (i, j)]
            rest += [] if negatives is None else list(negatives)
            terms += [_term(z[i, j], z[i, u], rest, t) / (v - 1) for u in range(v) if u != j]
    return sum(terms, start=z.new_zeros(())) / (b * v)


def pairs(a: Tensor, b: Tensor, t: float, negatives: Tensor | None = None, in_batch: bool = True) -> Tensor:
    """Return the loss of anchors a (n, d) and partners b (n, d)."""
    terms = []
    for i in range(len(a)):
        rest = [b[k] for k in range(len(b)) if in_batch or k == i]
        rest += [] if negatives is None else list(negatives)
        terms.append(_term(a[i], b[i], rest, t))
    return torch.stack(terms).mean()


def _term(anchor: Tensor, partner: Tensor, rest: list[Tensor], t: float) -> Tensor:
    """Return -log of the partner's share; `rest` is the denominator, the partner among it."""
    below = sum(torch.exp(cosine(anchor, c) / t) for c in rest)
    return -torch.log(torch.exp(cosine(anchor, partner) / t) / below)
