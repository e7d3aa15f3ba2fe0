"""What `bench/losses.py` times: each loss of isotone beside the same loss of others, with the same settings.

Every variant takes rows (n, d) that are not normalised, and labels (n,), and returns a scalar. Where two define a loss
differently, that is said here. The values of one loss agree, and the errors in `bench/losses.csv` show it.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy, log_softmax, normalize

from isotone.losses import info_nce, rnc, supcon, triplet
from isotone.nets.timm_import import import_timm
from isotone.randomness import generator

Loss = Callable[[Tensor, Tensor], Tensor]
RNC_TEMPERATURE = 2.0  # the paper's
TEMPERATURE = 0.1  # of the softmax over cosines, for all who have one
MARGIN = 0.2
ROWS_OF_A_CLASS = 8


def labels(loss: str, n: int) -> Tensor:
    """Return labels (n,): whole ages (ties are frequent), a continuous target, or classes; `n` is a multiple of 8."""
    draw = generator("bench", "labels", loss, n)
    if loss == "rnc-ages":
        return torch.randint(16, 80, (n,), generator=draw)
    if loss == "rnc-continuous":
        return torch.rand(n, generator=draw)
    if loss == "info_nce":
        return torch.arange(n) // 2  # rows 2i and 2i + 1 are the views of sample i
    return (torch.arange(n) // ROWS_OF_A_CLASS)[torch.randperm(n, generator=draw)]


def embeddings(n: int, d: int) -> Tensor:
    """Return rows (n, d) of standard normal numbers, float32."""
    return torch.randn(n, d, generator=generator("bench", "embeddings", n, d))


def products(z: Tensor) -> Tensor:
    """Make three N x N x D products and nothing else: the similarities, and their pull on anchors and on candidates.

    In blocks of rows, so that no N x N matrix is held.
    """
    pull = torch.zeros_like(z)
    for rows in z.split(4096):
        similarity = rows @ z.T
        pull.addmm_(similarity.T, rows)
        similarity @ z
    return pull


def published_rnc(z: Tensor, y: Tensor, lean: bool = False) -> Tensor:
    """Return RnC as published: a loop over positives with an N x N mask for each, autograd through all of them.

    `mean_ij LSE_{k: d_ik >= d_ij} s_ik - s_ij` (arXiv 2210.01189, equations 1-3), written here from the formula. It
    takes the distances as an N x N x D difference; `lean` takes them by `torch.cdist`, in less memory.
    """
    n = len(z)
    far = (y[:, None] - y[None, :]).abs()  # (n, n)
    apart = torch.cdist(z, z) if lean else (z[:, None] - z[None, :]).norm(dim=-1)
    logits = -apart / RNC_TEMPERATURE
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    others = ~torch.eye(n, dtype=torch.bool, device=z.device)
    far, logits = far[others].view(n, n - 1), logits[others].view(n, n - 1)
    exponential = logits.exp()
    total = logits.new_zeros(())
    for j in range(n - 1):
        mask = (far >= far[:, j : j + 1]).to(logits.dtype)  # (n, n - 1)
        total = total - (logits[:, j] - (mask * exponential).sum(dim=1).log()).sum()
    return total / (n * (n - 1))


def plain_info_nce(z: Tensor, _: Tensor) -> Tensor:
    """Return InfoNCE of two views in four lines of torch: what most people have in their training loop."""
    partner = torch.arange(len(z), device=z.device) ^ 1
    return cross_entropy(_cosine_logits(z), partner)


def plain_supcon(z: Tensor, y: Tensor) -> Tensor:
    """Return SupCon (form `out`) in plain torch."""
    positive = (y[:, None] == y[None, :]).fill_diagonal_(False)  # (n, n)
    log_p = log_softmax(_cosine_logits(z), dim=1).masked_fill(~positive, 0.0)
    return -(log_p.sum(1) / positive.sum(1)).mean()


def plain_triplet(z: Tensor, y: Tensor) -> Tensor:
    """Return the mean over all triplets in plain torch, triplet by triplet, anchor after anchor."""
    unit = normalize(z, dim=1)
    apart = torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")  # (n, n)
    same = y[:, None] == y[None, :]  # (n, n)
    positive = same.clone().fill_diagonal_(False)
    total, count = z.new_zeros(()), 0
    for row, near, far in zip(apart, positive, ~same, strict=True):
        terms = (row[near, None] - row[None, far] + MARGIN).relu()  # (positives, negatives)
        total, count = total + terms.sum(), count + terms.numel()
    return total / count


VARIANTS: dict[tuple[str, str], Loss] = {
    ("rnc-ages", "isotone"): lambda z, y: rnc(z, y, temperature=RNC_TEMPERATURE),
    ("rnc-ages", "published"): published_rnc,
    ("rnc-continuous", "isotone"): lambda z, y: rnc(z, y, temperature=RNC_TEMPERATURE),
    ("supcon", "isotone"): lambda z, y: supcon(z, y, temperature=TEMPERATURE),
    ("supcon", "plain torch"): plain_supcon,
    # leaves out anchors whose term is 0, of which there are none here; then the same mean over anchors
    ("supcon", "pytorch-metric-learning"): lambda z, y: _metric_learning("SupConLoss")(z, y),
    ("info_nce", "isotone"): lambda z, _: info_nce(z.view(-1, 2, z.shape[1]), temperature=TEMPERATURE),
    ("info_nce", "plain torch"): plain_info_nce,
    # a mean over positive pairs: with two views of each sample that is the mean over anchors
    ("info_nce", "pytorch-metric-learning"): lambda z, y: _metric_learning("NTXentLoss")(z, y),
    ("info_nce", "lightly"): lambda z, _: _lightly()(z[0::2], z[1::2]),
    ("triplet", "isotone"): lambda z, y: triplet(z, y, margin=MARGIN, mining="all"),
    ("triplet", "plain torch"): plain_triplet,
    ("triplet", "pytorch-metric-learning"): lambda z, y: _metric_learning("TripletMarginLoss")(z, y),
}

EXACT: dict[str, Loss] = {  # in float64, what the errors are measured against
    "rnc-ages": lambda z, y: published_rnc(z, y, lean=True),
    "rnc-continuous": lambda z, y: published_rnc(z, y, lean=True),
    "supcon": plain_supcon,
    "info_nce": plain_info_nce,
    "triplet": plain_triplet,
}


# ----------------------------------------------------------------------------------------------------------------------


def _cosine_logits(z: Tensor) -> Tensor:
    unit = normalize(z, dim=1)
    return (unit @ unit.T / TEMPERATURE).fill_diagonal_(-torch.inf)


@cache
def _metric_learning(name: str) -> Module:
    from pytorch_metric_learning import losses, reducers

    if (
        name == "TripletMarginLoss"
    ):  # on normalised rows; by default a mean over active triplets alone, isotone's over all
        return losses.TripletMarginLoss(margin=MARGIN, reducer=reducers.MeanReducer())
    return getattr(losses, name)(temperature=TEMPERATURE)


@cache
def _lightly() -> Module:
    import_timm()  # lightly too imports torchvision, which beside a CPU-only torch needs the same help
    from lightly.loss import NTXentLoss

    return NTXentLoss(temperature=TEMPERATURE)
