"""The definition of ordinal entropy, pair by pair, with loops.

Source: arXiv 2301.08915, section 3.3.
"""

import torch
from torch import Tensor


def terms(h: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return L_d and L_t of representations h (n, d) and targets y (n, k)."""
    z = [row / row.norm() for row in h]
    labels = [tuple(row.tolist()) for row in y]
    distinct = sorted(set(labels))
    centre = {}
    for label in distinct:
        mean = torch.stack([z[i] for i in range(len(z)) if labels[i] == label]).mean(0)
        centre[label] = mean / mean.norm()
    m = len(distinct)
    far = h.new_zeros(())
    for a in distinct:
        for b in distinct:
            if a != b:
                apart = sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5
                far = far - apart * (centre[a] - centre[b]).norm() / (m * (m - 1))
    near = h.new_zeros(())
    for i in range(len(z)):
        gap = z[i] - centre[labels[i]]
        near = near + (gap.norm() if float(gap.detach().abs().max()) > 1e-12 else 0.0) / len(z)
    return far, near
