"""The multi-class N-pair loss, anchor by anchor: slow, and obviously right. Source: Sohn 2016."""

import torch
from torch import Tensor


def n_pair(f: Tensor, g: Tensor, labels: list[int], norm_weight: float) -> Tensor:
    """Return the loss of anchors f (n, d) and positives g (n, d)."""
    n, terms, norms = len(labels), [], []
    for i in range(n):
        gaps = [f[i] @ g[j] - f[i] @ g[i] for j in range(n) if labels[j] != labels[i]]
        terms.append(torch.logsumexp(torch.stack([f.new_zeros(()), *gaps]), 0))  # ln(1 + sum of exp)
        norms += [f[i] @ f[i], g[i] @ g[i]]
    return torch.stack(terms).mean() + norm_weight * torch.stack(norms).mean()
