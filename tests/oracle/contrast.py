"""The definition of `contrast`, term by term: slow, and obviously right."""

import torch
from torch import Tensor


def contrast(logits: Tensor, distance: Tensor, mask: Tensor, positive: Tensor) -> Tensor:
    """Return the mean over anchors that have positives of the mean over their positives."""
    anchors = []
    for i in range(logits.shape[0]):
        kept = mask[i].nonzero().flatten().tolist()
        terms = []
        for j in kept:
            if positive[i, j]:
                farther = [k for k in kept if distance[i, k] >= distance[i, j]]
                terms.append(torch.logsumexp(logits[i, farther], 0) - logits[i, j])
        if terms:
            anchors.append(torch.stack(terms).mean())
    return torch.stack(anchors).mean() if anchors else logits.sum() * 0
