"""The one contrast: how much likelier a positive is than everything at least as far from the anchor's label.

RnC, SupCon, SimCLR, MoCo, CLIP and CPC are this function with another distance, mask and set of positives.
Source: Zha et al. 2023, arXiv 2210.01189, equations 1-3 (the denominator S_ij); written for any set of positives.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from isotone.check import wide_dtype
from isotone.errors import ShapeError

_SAFE_RANGE = {torch.float64: 600.0, torch.float32: 60.0}  # exp(-range) and n * exp(range) stay normal numbers


def contrast(
    logits: Float[Tensor, "n m"],
    distance: Float[Tensor, "n m"],
    mask: Bool[Tensor, "n m"],
    positive: Bool[Tensor, "n m"],
) -> Float[Tensor, ""]:
    """Return the mean over anchors i of the mean over their positives j of

    `-log( exp l_ij / sum over kept k with distance_ik >= distance_ij of exp l_ik )`.

    Ties are exact: everything at the same distance as j stays in its denominator. Finite, in value and gradient, for
    finite logits of any size: rows whose logits span more than float64 can exponentiate are summed in log space.

    Args:
        logits: (n, m) similarity / temperature.
        distance: (n, m) >= 0 in label space; only its order within a row counts. Infinity or NaN: not kept.
        mask: (n, m) True where the candidate counts for the anchor.
        positive: (n, m) True where the candidate is a positive; counts only where `mask` does.

    Returns:
        A scalar in the type of the logits, computed in float64. Anchors without a positive have no term; where no
        anchor has one, the value is 0, still joined to the graph.

    Raises:
        ShapeError: unless the four have one shape.

    Example:
        >>> distance = torch.tensor([[0.0, 1.0, 2.0]])
        >>> keep = torch.tensor([[False, True, True]])
        >>> round(contrast(torch.zeros(1, 3), distance, keep, positive=keep).item(), 4)  # (ln 2 + ln 1) / 2
        0.3466
    """
    shapes = {tuple(x.shape) for x in (logits, distance, mask, positive)}
    if len(shapes) != 1 or logits.dim() != 2:
        raise ShapeError(f"contrast expects four tensors of one shape (n, m), got {sorted(shapes)}.")
    return weighted_contrast(logits, distance, mask, _weights(positive & mask & (distance < float("inf"))))


def weighted_contrast(
    logits: Float[Tensor, "n m"],
    distance: Float[Tensor, "n m"],
    mask: Bool[Tensor, "n m"],
    weight: Float[Tensor, "n m"],
) -> Float[Tensor, ""]:
    """Return the weighted sum of the terms of `contrast`: what stands behind weighted samples and blocks of rows.

    `sum_ij weight_ij * -log( exp l_ij / sum over kept k with distance_ik >= distance_ij of exp l_ik )`.

    Args:
        logits: (n, m), `distance`: (n, m), `mask`: (n, m), as in `contrast`.
        weight: (n, m) >= 0 of each term, constant; 0 where the candidate is no positive, or not kept.

    Returns:
        A scalar in the type of the logits, computed in float64; 0, joined to the graph, where all weights are 0.

    Example:
        >>> distance = torch.tensor([[0.0, 1.0, 2.0]])
        >>> keep = torch.ones(1, 3, dtype=torch.bool)
        >>> round(weighted_contrast(torch.zeros(1, 3), distance, keep, torch.tensor([[0.0, 2.0, 0.0]])).item(), 4)
        1.3863
    """
    if not logits.numel():
        return logits.sum()  # 0, and there is no greatest of no logits
    return _Contrast.apply(logits, distance, mask, weight)


def floor(
    distance: Float[Tensor, "n m"], mask: Bool[Tensor, "n m"], positive: Bool[Tensor, "n m"]
) -> Float[Tensor, ""]:
    """Return L*, the value below which no embedding can bring `contrast`: ties cost ln(their number).

    `L* = mean_i mean_{j positive} ln #{positives k : d_ik = d_ij}`. The gap `loss - L*` is comparable across batches,
    the loss is not. For RnC this is the paper's bound; with other positives it is a valid, perhaps loose, bound.

    Args:
        distance: (n, m), `mask`: (n, m), `positive`: (n, m), as in `contrast`.

    Example:
        >>> distance = (torch.arange(8.0)[:, None] - torch.arange(8.0)).abs()
        >>> keep = ~torch.eye(8, dtype=torch.bool)
        >>> round(floor(distance, keep, keep).item(), 6)
        0.297063

    Source: Zha et al. 2023, arXiv 2210.01189, section 4 (Theorem 1).
    """
    positive = positive & mask
    d = distance.to(wide_dtype(distance.device)).masked_fill(~positive, float("inf"))
    ordered = d.sort(1).values
    place = torch.arange(d.shape[1], device=d.device, dtype=d.dtype).expand_as(d)
    tied = _at_last(place, ordered) - place.flip(1)[:, :1] + _at_first(place.flip(1), ordered) + 1
    return (tied.log() * _weights(ordered.isfinite())).sum()


# ----------------------------------------------------------------------------------------------------------------------


class _Contrast(torch.autograd.Function):
    """The gradient has a closed form, so it is computed beside the value; only that (n, m) is kept."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, distance: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        ordered, order = distance.masked_fill(~mask, float("inf")).sort(1)  # near to far, masked behind them all
        kept = ordered < float("inf")
        weight = weight.gather(1, order).to(wide_dtype(logits.device))
        s = logits.gather(1, order).to(wide_dtype(logits.device))
        s -= s.masked_fill(~kept, -torch.inf).amax(1, keepdim=True).nan_to_num(neginf=0.0)
        span = s.masked_fill(~kept, 0.0).amin()
        s.masked_fill_(~kept, -torch.inf)
        pull = _pull_plain if bool(span > -_SAFE_RANGE[s.dtype]) else _pull_log
        log_z, grad = pull(s, weight, ordered)
        value = (weight * (log_z - s).masked_fill_(~kept, 0.0)).sum()
        grad.sub_(weight)
        ctx.save_for_backward(torch.empty_like(grad).scatter_(1, order, grad).to(logits.dtype))
        return value.to(logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.saved_tensors[0] * grads[0], None, None, None


def _pull_plain(s: Tensor, weight: Tensor, ordered: Tensor) -> tuple[Tensor, Tensor]:
    """Return log Z_ij and `exp(s_ik) * sum over j not farther than k of w_ij / Z_ij`, by sums of positive terms."""
    e = s.exp()
    z = _at_first(e.flip(1).cumsum(1).flip(1), ordered)  # summed from far to near
    z.masked_fill_(z == 0, 1.0)  # masked candidates alone
    return z.log(), e.mul_(_at_last((weight / z).cumsum(1), ordered))


def _pull_log(s: Tensor, weight: Tensor, ordered: Tensor) -> tuple[Tensor, Tensor]:
    """The same in log space, for logits that span more than a float can exponentiate."""
    log_z = _at_first(s.flip(1).logcumsumexp(1).flip(1), ordered)
    log_z.masked_fill_(log_z == -torch.inf, 0.0)
    return log_z, (s + _at_last((weight.log() - log_z).logcumsumexp(1), ordered)).exp()


def _at_first(falling: Tensor, ordered: Tensor) -> Tensor:
    """Return each row's falling numbers as they stand at the first place of each tie of the ascending `ordered`.

    The last first place before k holds the smallest number so far, so a running minimum finds it without an index.
    """
    later = ordered[:, 1:] == ordered[:, :-1]
    if not bool(later.any()):
        return falling
    falling = falling.clone()
    falling[:, 1:].masked_fill_(later, torch.inf)
    return falling.cummin(1).values


def _at_last(rising: Tensor, ordered: Tensor) -> Tensor:
    """Return each row's rising numbers as they stand at the last place of each tie."""
    return _at_first(rising.flip(1), ordered.flip(1)).flip(1)


def _weights(positive: Tensor) -> Tensor:
    """Return each term's share of the mean over anchors (that have a positive) of the mean over positives."""
    count = positive.sum(1, keepdim=True)
    anchors = (count > 0).sum().clamp_min(1)
    return positive.to(wide_dtype(positive.device)) / (count.clamp_min(1) * anchors)
