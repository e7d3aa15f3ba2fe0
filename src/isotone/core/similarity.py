"""Similarities of embeddings, (n, d) and (m, d) to (n, m), computed in float64 whatever autocast or the input says."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from isotone.check import wide_dtype
from isotone.records import Similarity


def negative_l2(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return minus the Euclidean distance, not squared, of rows that are not normalised: RnC's similarity.

    `s_ij = -||a_i - b_j||_2`, with gradient `-(a_i - b_j) / ||a_i - b_j||`, 0 where the rows coincide.

    The distances come from the Gram matrix in float64; differences below 1e-7 of the rows' length count as 0.

    Example:
        >>> negative_l2(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).item()
        -5.0

    Source: Zha et al. 2023, arXiv 2210.01189, section 3 and Table 6.
    """
    return _NegativeL2.apply(a, b)


def cosine(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return the cosine of the angle between rows; a row of zeros has cosine 0 with everything.

    Example:
        >>> cosine(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])).tolist()
        [[1.0, 0.0]]
    """
    return dot(unit(_wide(a)), unit(_wide(b)))


def dot(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return the dot product of rows.

    Example:
        >>> dot(torch.tensor([[2.0, 1.0]]), torch.tensor([[3.0, 1.0]])).item()
        7.0
    """
    return _wide(a) @ _wide(b).T


def unit(x: Float[Tensor, "n d"], length: float | Float[Tensor, ""] = 1.0) -> Float[Tensor, "n d"]:
    """Return rows of one length, in float32 or wider; a row of zeros stays, with the gradient of the identity.

    At any scale: squares of large and small entries neither overflow nor vanish.

    Example:
        >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return _Unit.apply(x, 1.0) * length if isinstance(length, Tensor) else _Unit.apply(x, length)


def of_length(x: Float[Tensor, "n d"], length: float) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n 1"]]:
    """Return the rows at one length, and their norms; the norm of a row of zeros is 1. `unit` without its gradient.

    Example:
        >>> of_length(torch.tensor([[3.0, 4.0]]), 2.0)[1]
        tensor([[5.]])
    """
    norm = x.norm(dim=1, keepdim=True)
    if norm.clamp(1e-15, 1e15).equal(norm):
        return x * (length / norm), norm
    largest = x.abs().amax(1, keepdim=True)  # a square may have overflowed or vanished; or zeros
    largest = torch.where(largest > 0, largest, 1.0)
    norm = (x / largest).norm(dim=1, keepdim=True)
    norm = torch.where(norm > 0, norm, 1.0)
    return (x / largest).mul_(length / norm), norm * largest


def pull_back_(
    g: Float[Tensor, "n d"], y: Float[Tensor, "n d"], norm: Float[Tensor, "n 1"], length: float
) -> Float[Tensor, "n d"]:
    """Turn the gradient of `y, norm = of_length(x, length)` into that of x, `(g - u (u . g)) length / norm`, in place.

    Args:
        g: (n, d) of the caller's own; changed.
        y: (n, d), `norm`: (n, 1): of `of_length`; u is y at length 1.
        length: of the rows of y.
    """
    with torch.autocast(g.device.type, enabled=False):  # it counts as a matrix product
        along = torch.linalg.vecdot(y, g)[:, None]  # (n, 1)
    return g.addcmul_(y, along, value=-(length**-2)).mul_(length / norm)


SIMILARITIES: dict[str, Similarity] = {"l2": negative_l2, "cosine": cosine, "dot": dot}


# ----------------------------------------------------------------------------------------------------------------------


def _wide(x: Tensor) -> Tensor:
    return x.to(wide_dtype(x.device))


class _NegativeL2(torch.autograd.Function):
    """One matrix product forward and one or two back; autograd of `cdist` would differentiate a square root at 0."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        center = _wide(b).mean(0)  # far from the origin the Gram matrix cancels; moving both changes no distance
        x = _wide(a) - center
        y = x if a is b else _wide(b) - center
        xx, yy = x.square().sum(1)[:, None], y.square().sum(1)[None, :]
        squared = (xx + yy).sub_(x @ y.T, alpha=2.0)  # (n, m); addmm takes twice as long
        noise = 64 * torch.finfo(x.dtype).eps * (xx + yy)
        same = squared <= noise
        distance = squared.masked_fill_(same, 0.0).sqrt_()
        # the cancelling is over: float32 is enough for the gradient
        narrow = torch.promote_types(a.dtype, torch.float32)
        inverse = distance.reciprocal().masked_fill_(same, 0.0).to(narrow)
        ctx.save_for_backward(x.to(narrow), y.to(narrow), inverse)
        ctx.same, ctx.dtypes = a is b, (a.dtype, b.dtype)
        return distance.neg_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, inverse = ctx.saved_tensors
        w = grads[0].to(x.dtype) * inverse  # (n, m)
        if ctx.same:  # both roles of a row in one product
            w = w + w.T
        with torch.autocast(w.device.type, enabled=False):
            grad_a = w @ y - w.sum(1, keepdim=True) * x
            grad_b = None if ctx.same else (w.T @ x - w.sum(0)[:, None] * y).to(ctx.dtypes[1])
        return grad_a.to(ctx.dtypes[0]), grad_b


class _Unit(torch.autograd.Function):
    """The gradient `(g - u (u . g)) / |x|` in closed form, in half the time of autograd's; u: the row of length 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, length: float) -> Tensor:
        y, norm = of_length(x, length)
        ctx.save_for_backward(y, norm)
        ctx.length = length
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y, norm = ctx.saved_tensors
        return pull_back_(grads[0].clone(), y, norm, ctx.length), None
