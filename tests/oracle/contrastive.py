"""The contrastive pair loss, pair by pair: slow, and obviously right.

Source: Hadsell et al. 2006, equation 4; Chopra et al. 2005.
"""

import torch
from torch import Tensor


def contrastive(v: Tensor, labels: list[int], margin: float, form: str, bound: float) -> Tensor:
    """Return the loss of rows v (n, d): the mean over pairs i < j."""
    terms = []
    for j in range(len(labels)):
        for i in range(j):
            alike = labels[i] == labels[j]
            if form == "hadsell":
                d = torch.linalg.vector_norm(v[i] - v[j])
                terms.append(0.5 * d**2 if alike else 0.5 * torch.clamp(margin - d, min=0) ** 2)
            else:
                e = (v[i] - v[j]).abs().sum()
                terms.append(2 / bound * e**2 if alike else 2 * bound * torch.exp(-2.77 * e / bound))
    return torch.stack(terms).mean()
