"""Rows of all processes, with the gradient of the local ones: the loss of the global batch on any number of them.

Every process computes the same loss of the gathered rows. Distributed data parallel averages the gradients of the
W processes, so the local gradient is multiplied by W here: the average is then the gradient of one process with the
whole batch. PyTorch's own differentiable gather is deprecated and Accelerate's carries no gradient.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor


def gather(x: Shaped[Tensor, "n *shape"]) -> Shaped[Tensor, "m *shape"]:
    """Return the rows of all processes in the order of their ranks; just `x` where there is one process.

    Args:
        x: (n, ...) local rows; n may differ between processes, the other dimensions may not.

    Returns:
        (m, ...), the same on every process; its gradient reaches the local rows only, multiplied by the number of
        processes, so that averaging over processes gives the gradient of the global batch.

    Example:
        >>> gather(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    return _Gather.apply(x)


# ----------------------------------------------------------------------------------------------------------------------


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportExplicitAny]
        ranks = dist.get_world_size()
        sizes = [torch.zeros(1, dtype=torch.int64, device=x.device) for _ in range(ranks)]
        dist.all_gather(sizes, torch.tensor([x.shape[0]], device=x.device))
        counts = [int(size) for size in sizes]
        padded = x.new_zeros(max(counts), *x.shape[1:])
        padded[: x.shape[0]] = x
        parts = [torch.empty_like(padded) for _ in range(ranks)]
        dist.all_gather(parts, padded)
        ctx.start, ctx.rows, ctx.ranks = sum(counts[: dist.get_rank()]), x.shape[0], ranks
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportExplicitAny]
        return grads[0][ctx.start : ctx.start + ctx.rows] * ctx.ranks
