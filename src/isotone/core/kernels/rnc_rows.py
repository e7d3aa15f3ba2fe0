"""RnC for scalar targets and Euclidean distances on a CPU: blocks of rows, value and gradient in one pass.

A block of rows costs a matrix product for its distances, the compiled walks of `rnc_compiled`, and two products for the
gradient (one, where a block holds all rows). Only the gradient of the embeddings (n, d) is kept: memory grows as
n d + CELLS, time as n^2 d.

Needs numba (the extra `fast`). Without it, or with other similarities and targets, `contrast` does the same.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from isotone.core.kernels import team

FEWEST_ROWS = 128  # below, importing the compiler costs more than it saves
CELLS = 2**24  # anchors x candidates in a block
LARGEST_LOGIT = 60.0  # above, float32 has no five digits left after the point, and exp(-87) is near: float64 instead
CLOSEST = 4 * 2.220446049250313e-16  # of the targets' range: closer ones may tie by rounding, which groups do not see


def usable(z: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> bool:
    """Return whether `rnc_rows` can take these: scalar targets, enough rows, on a CPU, with numba installed."""
    if targets.shape[1] != 1 or len(z) < FEWEST_ROWS or z.device.type != "cpu" or not installed():
        return False
    y = targets[:, 0].sort().values
    gaps = y.diff()
    return not bool(((gaps > 0) & (gaps < CLOSEST * (y[-1] - y[0]).clamp_min(y.abs().amax()))).any())


def rnc_rows(z: Float[Tensor, "n d"], targets: Float[Tensor, " n"], temperature: float) -> Float[Tensor, ""]:
    """Return RnC with `s_ij = -||z_i - z_j|| / temperature` and `d_ij = |y_i - y_j|`.

    Distances are of float32 where z is no wider and no logit can pass 60, else of float64; their sums are of float64.
    The gradient's products are of float32 there: rows closer than 1e-3 of their length lose digits of its direction.

    Args:
        z: (n, d) embeddings, any float type.
        targets: (n,) float64.
        temperature: above 0.

    Returns:
        A float64 scalar.

    Source: Zha et al. 2023, arXiv 2210.01189, equations 1-3.
    """
    return _Rows.apply(z, targets, temperature)


@cache
def installed() -> bool:
    """Return whether numba is installed."""
    return find_spec("numba") is not None


# ----------------------------------------------------------------------------------------------------------------------


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, targets: Tensor, temperature: float) -> Tensor:
        y, order = targets.sort(stable=True)
        x = z.detach()[order].to(torch.promote_types(z.dtype, torch.float32))
        x -= x.mean(0)  # far from the origin the Gram matrix cancels; moving all rows changes no distance
        lengths = x.square().sum(1)
        if 2 * float(lengths.amax().sqrt()) > LARGEST_LOGIT * temperature:
            x = x.double()
            lengths = x.square().sum(1)
        with torch.autocast(z.device.type, enabled=False):
            value, grad = _all_rows(x, lengths, y, temperature, ctx.needs_input_grad[0])
        if grad is not None:
            ctx.save_for_backward(torch.empty_like(grad).index_copy_(0, order, grad).to(z.dtype))
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None


def _all_rows(
    x: Tensor, lengths: Tensor, y: Tensor, temperature: float, want_grad: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the loss and its gradient (n, d) for rows sorted by target."""
    from isotone.core.kernels.rnc_compiled import kernel

    n, d = x.shape
    values, group, count = torch.unique_consecutive(y, return_inverse=True, return_counts=True)
    start = torch.cat([count.new_zeros(1), count.cumsum(0)])
    weight = 1.0 / (n * (n - 1))
    settings, value = np.array([temperature, weight / temperature]), np.full(n, np.nan)  # what no thread fills shows
    known = [t.numpy() for t in (x, lengths, values, start, group)]
    grad = torch.zeros_like(x) if want_grad else None
    block = max(1, min(n, CELLS // n))
    for first in range(0, n, block):
        last = min(n, first + block)
        gram = x[first:last] @ x.T  # (b, n), becomes dL/ds / (temperature distance)
        team.run(kernel(x.dtype), settings, gram.numpy(), *known, value, numbers=(n, d, len(values), first, last))
        if grad is not None:
            _add_gradient(grad, gram, x, slice(first, last))
    return torch.tensor(weight * value.sum()), grad


def _add_gradient(grad: Tensor, pull: Tensor, x: Tensor, rows: slice) -> None:
    """Add to grad (n, d) what a block's pull (b, n) does to its anchors and to its candidates."""
    if len(pull) == len(x):  # each row is both: one product for the two
        pull = pull + pull.T
        grad.addmm_(pull, x).addcmul_(pull.sum(1, keepdim=True), x, value=-1.0)
        return
    grad[rows] += (pull @ x).addcmul_(pull.sum(1, keepdim=True), x[rows], value=-1.0)
    grad.addmm_(pull.T, x[rows]).addcmul_(pull.sum(0)[:, None], x, value=-1.0)
