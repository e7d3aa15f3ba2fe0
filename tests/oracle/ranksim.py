"""The definition of RankSim and its blackbox gradient, rank by rank, with loops.

Source: arXiv 2205.15236, section 3; arXiv 1912.02175, algorithm 1.
"""

import torch
from oracle.supcon import cosine
from torch import Tensor


def ranks(a: list[float]) -> list[float]:
    """Return 1 + how many are above, divided by how many there are."""
    return [(1 + sum(other > x for other in a)) / len(a) for x in a]


def value(z: Tensor, y: Tensor, weight: float) -> float:
    """Return the term of representations (n, d) and targets (n,)."""
    total = 0.0
    for i in range(len(z)):
        found, wanted = _pair(z, y, i)
        total += weight * sum((f - w) ** 2 for f, w in zip(found, wanted, strict=True)) / len(z)
    return total


def gradient(z: Tensor, y: Tensor, weight: float, interpolation: float) -> Tensor:
    """Return its gradient for z: the ranks' own by the finite step, the cosines' by autograd."""
    n = len(z)
    z = z.detach().requires_grad_()
    through = z.new_zeros(())
    for i in range(n):
        found, wanted = _pair(z, y, i)
        similar = [cosine(z[i], z[j]) for j in range(n)]
        slope = [weight * 2 * (f - w) / n for f, w in zip(found, wanted, strict=True)]
        ahead = ranks([float(s) + interpolation * g for s, g in zip([x.detach() for x in similar], slope, strict=True)])
        for j in range(n):
            through = through - (found[j] - ahead[j]) / interpolation * similar[j]
    return torch.autograd.grad(through, z)[0]


def _pair(z: Tensor, y: Tensor, i: int) -> tuple[list[float], list[float]]:
    z = z.detach()
    found = ranks([float(cosine(z[i], z[j])) for j in range(len(z))])
    return found, ranks([-abs(float(y[i] - y[j])) for j in range(len(z))])
