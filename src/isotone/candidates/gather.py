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

from isotone.errors import ShapeError

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of a float


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


def same_on_all_processes(owner: str, *tensors: Tensor) -> None:
    """Raise a ShapeError on every process unless all of them call it with the same tensors, bit by bit.

    Sends a checksum, a few integers. Does nothing where there is one process.

    Args:
        owner: who asks, for the message.
        tensors: any number and type, as many on each process.

    Raises:
        ShapeError: where the checksums differ.

    Example:
        >>> same_on_all_processes("Queue.update", torch.zeros(2, 3))
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return
    device = tensors[0].device
    mine = torch.stack([number.to(device) for x in tensors for number in _checksum(x)])
    found = torch.cat([mine, ~mine])  # the largest of ~x is ~ the smallest of x
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    if not torch.equal(found[: len(mine)], ~found[len(mine) :]):
        raise ShapeError(
            f"{owner} expects the rows of the global batch, the same on every process, got different ones. "
            "Pass gather(z) and tags.map(gather)."
        )


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


def _checksum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of rows and a sum of the bits that knows their places; integers, so exact in any order."""
    bits = x.contiguous().view(_BITS[x.element_size()]) if x.is_floating_point() else x
    flat = bits.flatten().long()
    places = torch.arange(1, flat.numel() + 1, device=x.device)
    return torch.tensor(x.shape[0], device=x.device), (flat * places).sum()
