"""Binary NCE, term by term, as the papers print it, with loops and probabilities: slow, and obviously right.

Source: arXiv 1805.01978, equations 5-8; arXiv 1912.01991, equations 4 and 5.
"""

import torch
from torch import Tensor


def scores(v: Tensor, m: Tensor, t: float) -> Tensor:
    """Return exp(cosine / t) of one row v (d,) with each row of m (k, d)."""
    return torch.stack([torch.exp((v @ row) / (torch.linalg.norm(v) * torch.linalg.norm(row)) / t) for row in m])


def nce(v: Tensor, positive: Tensor, noise: Tensor, *, n: int, z: float, t: float) -> Tensor:
    """Return the loss of rows v (b, d), positive (b, d), noise (b, k, d)."""
    total = v.new_zeros(())
    for i in range(v.shape[0]):
        k = noise.shape[1]
        p = scores(v[i], positive[i : i + 1], t)[0] / z
        total = total - torch.log(p / (p + k / n))
        for q in scores(v[i], noise[i], t) / z:
            total = total - torch.log((k / n) / (q + k / n))
    return total / v.shape[0]


def first_batch_z(v: Tensor, positive: Tensor, noise: Tensor, *, n: int, t: float) -> float:
    """Return the mean of exp(s) over positives and noise, times n."""
    every = [scores(v[i], torch.cat([positive[i : i + 1], noise[i]]), t) for i in range(v.shape[0])]
    return float(torch.cat(every).detach().mean() * n)


def pirl(v: Tensor, positive: Tensor, noise: Tensor, *, t: float) -> Tensor:
    """Return PIRL's loss: h(x) = e_x / (e_x + sum of the noise's e)."""
    total = v.new_zeros(())
    for i in range(v.shape[0]):
        near, far = scores(v[i], positive[i : i + 1], t)[0], scores(v[i], noise[i], t)
        total = total - torch.log(near / (near + far.sum()))
        for e in far:
            total = total - torch.log(1 - e / (e + far.sum()))
    return total / v.shape[0]
