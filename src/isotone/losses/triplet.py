"""Triplet loss: an anchor is nearer to every row of its class than to any row of another, by a margin.

Source: Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015, arXiv 1503.03832 (the loss, semi-hard negatives);
Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", arXiv 1703.07737 (all triplets,
the hardest of a batch, the soft margin).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad, softplus

from isotone import check
from isotone.core.similarity import negative_l2, unit
from isotone.records import LossOutput

Margin = float | Literal["soft"]

AVERAGES = ("all", "active")
BLOCK = 1 << 18  # triplets held at once by the soft form: 2 MiB in float64, which a processor's cache holds
_STRAIGHT = 40.0  # from here on ln(1 + exp x) is x to the last bit of a float64
_CLOSE, _FACTORS = 4.0, 16  # (1 + exp 4)^16 is a normal number, even of float32


def triplet(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: Margin = 0.2,
    mining: str = "all",
    normalize: bool = True,
    average: str = "all",
) -> Float[Tensor, ""]:
    """Bring rows of one class nearer to each other than to rows of other classes, by a margin.

    `L = mean over triplets (a, p, n) of [d_ap - d_an + margin]+`, `d` the Euclidean distance, p another row of a's
    class, n a row of another class. Soft margin: `ln(1 + exp(d_ap - d_an))`, safe at any distance.

    `mining` says which triplets count:
    `all`: every one. With a margin by sorting, O(n^2 log n) time; soft one by one, so time grows with their number.
    `hard`: for each anchor its farthest p and its nearest n. Ties share the gradient.
    `semi-hard`: for each (a, p) the nearest n that is farther than p; where none is, the farthest n. One that is
    farther than p by more than the margin costs 0.
    Memory is O(n^2) in all of them. Computed in float64 inside. Coincident rows get no gradient from each other.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; float of any width.
        labels: (b,) classes, any integers; b = n for (n, d).
        margin: above 0, in the unit of the distance (FaceNet's 0.2), or `soft` (Hermans et al.).
        mining: `all`, `hard`, `semi-hard`.
        normalize: compare unit rows, as FaceNet does (a row of zeros stays zero); else the rows as they come.
        average: the mean over `all` the triplets that count, or over the `active` ones, whose term is above 0.
            The second is the first over the active fraction. With the soft margin every triplet is active.

    Returns:
        A scalar in the type of the embeddings (at least float32). Without a triplet (each row alone in its class, or
        one class) it is 0, still joined to the graph. Collapse shows as `loss == margin`.

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, NaN or infinity, float labels.
        ConfigError: for a margin not above 0 and unknown names.

    Example:
        >>> corners = torch.eye(2).repeat_interleave(2, 0)
        >>> round(triplet(corners, torch.tensor([0, 0, 1, 1]), margin=2.0).item(), 6)  # 2 - sqrt 2
        0.585786

    Source: arXiv 1503.03832, equations 3 and 4 (there of squared distances); arXiv 1703.07737, equation 5 (`hard`),
    batch all and soft margin in the same section.
    """
    output = triplet_output(embeddings, labels, margin=margin, mining=mining, normalize=normalize, average=average)
    return output.total


def triplet_output(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: Margin = 0.2,
    mining: str = "all",
    normalize: bool = True,
    average: str = "all",
) -> LossOutput:
    """Return `triplet` with what to watch beside it.

    Args:
        embeddings: see `triplet`, as the rest.

    Returns:
        `total`, and `parts`: `lonely`, how many rows anchor no triplet for want of a positive or a negative;
        `active`, the fraction of the triplets that count whose term is above 0 (soft: 1; no triplet: 0).

    Raises:
        ShapeError, ConfigError: as `triplet`.

    Example:
        >>> output = triplet_output(torch.eye(3), torch.tensor([0, 0, 1]), margin=0.5)
        >>> output.parts["lonely"].item(), output.parts["active"].item()
        (1, 1.0)
    """
    _check_settings(margin, mining, average)
    rows = check.embeddings(embeddings, "Triplet loss")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.labels(labels, rows.shape[0], views, "Triplet loss")
    z = unit(rows.to(check.wide_dtype(rows.device))) if normalize else rows
    total, active, counted = _MINING[mining](-negative_l2(z, z), y, margin)
    value = total / (active if average == "active" else counted).clamp_min(1)
    positive, negative = _pairs(y)
    lonely = ~(positive.any(1) & negative.any(1))
    parts = {"lonely": lonely.sum(), "active": active / counted.clamp_min(1)}
    return LossOutput(value.to(torch.promote_types(rows.dtype, torch.float32)), parts)


class TripletLoss(nn.Module):
    """`triplet` as a module for anyone's own training loop.

    Args:
        margin: see `triplet`.
        mining: see `triplet`.
        normalize: see `triplet`.
        average: see `triplet`.

    Raises:
        ConfigError: for a margin not above 0 and unknown names, when it is made.

    Example:
        >>> loss = TripletLoss(margin="soft", mining="hard")(torch.randn(8, 2, 16), torch.arange(8) % 4)
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, margin: Margin = 0.2, mining: str = "all", normalize: bool = True, average: str = "all") -> None:
        super().__init__()
        _check_settings(margin, mining, average)
        self.margin: Margin = margin
        self.mining = mining
        self.normalize = normalize
        self.average = average

    def forward(
        self, embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and `labels` (b,)."""
        return triplet(
            embeddings,
            labels,
            margin=self.margin,
            mining=self.mining,
            normalize=self.normalize,
            average=self.average,
        )


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(margin: Margin, mining: str, average: str) -> None:
    if isinstance(margin, str):
        check.choice("margin", margin, ("soft",))
    else:
        check.positive("margin", margin)
    check.choice("mining", mining, _MINING)
    check.choice("average", average, AVERAGES)


def _pairs(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return (n, n) masks: another row of the anchor's class, a row of another class."""
    same = y[:, None] == y[None, :]
    return same.clone().fill_diagonal_(False), ~same


def _positives(positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns of each anchor's positives side by side (n, p), and which of these places are filled."""
    anchor, column = positive.nonzero(as_tuple=True)
    count = positive.sum(1)
    place = torch.arange(len(anchor), device=count.device) - (count.cumsum(0) - count)[anchor]
    most = max(1, int(count.max()))
    columns = anchor.new_zeros(len(count), most)
    columns[anchor, place] = column
    return columns, torch.arange(most, device=count.device) < count[:, None]


def _hard(d: Tensor, y: Tensor, margin: Margin) -> tuple[Tensor, Tensor, Tensor]:
    positive, negative = _pairs(y)
    farthest = d.masked_fill(~positive, -torch.inf).amax(1)
    nearest = d.masked_fill(~negative, torch.inf).amin(1)
    return _tally(farthest - nearest, positive.any(1) & negative.any(1), margin)


def _semi_hard(d: Tensor, y: Tensor, margin: Margin) -> tuple[Tensor, Tensor, Tensor]:
    positive, negative = _pairs(y)
    columns, filled = _positives(positive)
    near, order = d.detach().masked_fill(~negative, torch.inf).sort(1)
    negatives = negative.sum(1, keepdim=True)
    d_ap = d.gather(1, columns)  # (n, p)
    farther = torch.searchsorted(near, d_ap.detach(), right=True)
    farther = farther.minimum(negatives - 1).clamp_min(0)  # none is farther: the farthest
    d_an = d.gather(1, order.gather(1, farther))
    return _tally(d_ap - d_an, filled & (negatives > 0), margin)


def _tally(gap: Tensor, counts: Tensor, margin: Margin) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of the terms of `gap = d_ap - d_an` where it counts, how many are active, how many count."""
    soft = isinstance(margin, str)
    term = softplus(gap, threshold=_STRAIGHT) if soft else (gap + margin).relu()
    active = counts if soft else counts & (term > 0)
    return term.masked_fill(~counts, 0.0).sum(), active.sum(), counts.sum()


def _all(d: Tensor, y: Tensor, margin: Margin) -> tuple[Tensor, Tensor, Tensor]:
    positive, negative = _pairs(y)
    counted = (positive.sum(1) * negative.sum(1)).sum()
    if isinstance(margin, str):
        return _Known.apply(d, *_every_soft(d.detach(), y)), counted, counted
    total, grad, active = _every_hinge(d.detach(), positive, negative, margin)
    return _Known.apply(d, total, grad), active, counted


def _every_hinge(d: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum over all triplets, its gradient (n, n) and how many are active, without listing the triplets.

    With the negatives sorted, those within reach of a positive are the first few: their number is the positive's
    gradient, and their distances are one difference of cumulative sums. The reverse count is the negatives' gradient.
    """
    columns, filled = _positives(positive)
    near = d.masked_fill(~negative, torch.inf).sort(1).values
    reach = d.gather(1, columns) + margin  # (n, p)
    inside = torch.searchsorted(near, reach).masked_fill_(~filled, 0)
    sums = pad(near.masked_fill_(near == torch.inf, 0.0).cumsum(1), (1, 0))
    total = (inside * reach - sums.gather(1, inside)).sum()
    reach = reach.masked_fill_(~filled, -torch.inf).sort(1).values
    held = reach.shape[1] - torch.searchsorted(reach, d, right=True)  # positives whose reach is beyond the negative
    grad = held.neg_().masked_fill_(~negative, 0).to(d.dtype)
    return total, grad.scatter_add_(1, columns, inside.to(d.dtype)), inside.sum()


def _every_soft(d: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum over all triplets and its gradient (n, n), class by class: its anchors have the same negatives."""
    total, grad = d.new_zeros(()), torch.zeros_like(d)
    terms = _soft_close if bool(d.amax() < _CLOSE) else _soft
    classes, sizes = y.unique(return_counts=True)
    for name in classes[sizes > 1]:
        own, other = (y == name).nonzero().flatten(), (y != name).nonzero().flatten()
        near = d[own[:, None], own].fill_diagonal_(-torch.inf)  # an anchor is not its own positive
        far = d[own[:, None], other]
        anchors = max(1, BLOCK // (near.shape[1] * max(1, far.shape[1])))
        for rows in torch.arange(len(own), device=d.device).split(anchors):
            value, pull, push = terms(near[rows], far[rows])
            total += value
            grad[own[rows, None], own] = pull
            grad[own[rows, None], other] = -push
    return total, grad


def _soft(near: Tensor, far: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of ln(1 + exp(near - far)) over triplets, its slopes by positive (a, p) and by negative (a, n)."""
    gap = near[:, :, None] - far[:, None, :]  # (a, p, n)
    value = softplus(gap, threshold=_STRAIGHT).sum()
    gap.sigmoid_()
    return value, gap.sum(2), gap.sum(1)


def _soft_close(near: Tensor, far: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for distances below `_CLOSE`, such as those of unit rows: no exponential and few logarithms a triplet.

    `exp(near - far)` is a product of two factors, and a sum of logarithms the logarithm of a product.
    """
    odds = torch.addcmul(near.new_ones(()), near.exp()[:, :, None], far.neg().exp()[:, None, :])  # (a, p, n)
    whole = odds.numel() - odds.numel() % _FACTORS
    value = odds.view(-1)[:whole].view(_FACTORS, -1).prod(0).log().sum() + odds.view(-1)[whole:].log().sum()
    odds.reciprocal_()
    return value, far.shape[1] - odds.sum(2), near.shape[1] - odds.sum(1)


class _Known(torch.autograd.Function):
    """A sum whose gradient was computed beside it."""

    @staticmethod
    def forward(ctx: Any, _d: Tensor, total: Tensor, grad: Tensor) -> Tensor:
        ctx.save_for_backward(grad)
        return total.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.saved_tensors[0] * grads[0], None, None


_MINING: dict[str, Callable[[Tensor, Tensor, Margin], tuple[Tensor, Tensor, Tensor]]] = {
    "all": _all,
    "hard": _hard,
    "semi-hard": _semi_hard,
}
