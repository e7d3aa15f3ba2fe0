"""Batches larger than memory: only a few rows at a time are in the network's graph, and the gradient stays exact.

A contrastive loss compares all rows of a batch, so the gradients of small batches don't add up to its gradient.
Gradient caching splits the chain rule at the embeddings z instead, `dL/dw = sum over chunks c of dL/dz_c dz_c/dw`:

1. embed the batch in chunks, without a graph;
2. compute the loss of all embeddings, and its gradient for each of them;
3. embed each chunk again, now with a graph, and send its share of that gradient through.

The price is a second forward pass; the memory is that of one chunk, beside the batch's inputs and embeddings.

Source: Gao, Zhang, Han, Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021,
arXiv 2101.06983, section 3.2.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import get_device_states, set_device_states

from isotone import check
from isotone.errors import ConfigError, ShapeError
from isotone.train.buffers import copy_buffers, put_back_buffers


def cached_backward(
    net: nn.Module,
    views: Shaped[Tensor, "n *shape"],
    loss: Callable[[Tensor], Tensor],
    *,
    micro_batch: int,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Float[Tensor, ""]:
    """Do `loss(net(views)).backward()` with no more than `micro_batch` rows in the network's graph at any time.

    The gradient is that of the whole batch (to rounding: 1e-6 in float32), added to `.grad` of the network's
    parameters and of those that `loss` uses itself. `Cached` says what holds for dropout, batch norm, mixed precision
    and several processes, and serves losses that call the network themselves or more than once.

    Args:
        net: maps (n, ...) to (n, d), each row by itself but for batch norm.
        views: (n, ...) inputs, without a gradient of their own.
        loss: takes the embeddings (n, d) of all rows to a scalar.
        micro_batch: rows at a time; 0 takes the whole batch at once, without a second pass.
        backward: differentiates a scalar; pass `accelerator.backward` to let Accelerate scale it.

    Returns:
        The loss of the whole batch, detached.

    Raises:
        ConfigError: for a negative `micro_batch`, and views that require a gradient.
        ShapeError: where the network does not return one row for each row.

    Example:
        >>> from isotone.losses import RnCLoss
        >>> net, views, targets = nn.Linear(8, 4), torch.randn(64, 8), torch.rand(64)
        >>> loss = cached_backward(net, views, lambda z: RnCLoss()(z, targets), micro_batch=16)
        >>> loss.shape, net.weight.grad.shape
        (torch.Size([]), torch.Size([4, 8]))

    Source: Gao et al. 2021, arXiv 2101.06983, section 3.2.
    """
    cached = Cached(net, micro_batch=micro_batch, backward=backward)
    total = loss(cached(views))
    cached.backward(total)
    return total.detach()


class Cached(nn.Module):
    """Stands for a network in one loss: call it as often as the loss needs, then `backward(total)` in place of torch's.

    A call embeds in chunks of nearly equal size, at most `micro_batch` rows each, and returns the embeddings as a leaf.
    `backward` differentiates the loss as far as the leaves, and the parameters that it uses itself, then each chunk.
    Calls that together fit in `micro_batch` rows keep their graph and cost no second pass.

    - **Dropout** and other draws from torch's generators: both passes of a chunk draw the same numbers, and the
      generators go on as if there had been one pass. Another `micro_batch` draws other numbers.
    - **Batch norm** normalises each chunk by its own mean and variance, as if the chunk were the batch: the gradient is
      exact for that network, which is not the one that sees the batch as a whole. The running statistics are updated
      once for each chunk. Where that matters use `isotone.nets.norms.group_norm`.
    - **Autocast**: the second pass has the one of the call; nothing is differentiated under it.
    - **DistributedDataParallel** synchronises gradients once, in the second pass of the last chunk, so a parameter of
      `net` must be used by that. `gather` the embeddings and the tags to compare rows of all processes.

    Args:
        net: maps (n, ...) to (n, d), each row by itself but for batch norm.
        micro_batch: rows at a time; 0 calls `net` as it is.
        backward: differentiates a scalar, such as `accelerator.backward`.

    Raises:
        ConfigError: for a negative `micro_batch`.

    Example:
        >>> from isotone.losses import rnc
        >>> net, first, second, targets = nn.Linear(8, 4), torch.randn(32, 8), torch.randn(32, 8), torch.rand(32)
        >>> cached = Cached(net, micro_batch=8)
        >>> total = rnc(torch.stack([cached(first), cached(second)], dim=1), targets)
        >>> cached.backward(total)
        >>> net.weight.grad.shape
        torch.Size([4, 8])

    Source: Gao et al. 2021, arXiv 2101.06983, section 3.2.
    """

    def __init__(
        self, net: nn.Module, *, micro_batch: int, backward: Callable[[Tensor], None] = Tensor.backward
    ) -> None:
        super().__init__()
        check.between("micro_batch", micro_batch, 0, 1_000_000)
        self.net, self.micro_batch = net, micro_batch
        self._backward = backward
        self._calls: list[_Call] = []
        self._held = 0  # rows whose graph is kept

    def forward(self, views: Shaped[Tensor, "n *shape"], part: str | None = None) -> Float[Tensor, "n *d"]:
        """Return the embeddings (n, d) of views (n, ...), as a leaf of the graph unless they all fit.

        Args:
            views: (n, ...).
            part: handed on: `net(views, part)`, for networks with named parts (`isotone.nets.network.Network`).

        Raises:
            ConfigError: for views that require a gradient.
            ShapeError: where the network does not return one row for each row.
        """
        if self.micro_batch == 0 or self._fits(views):
            return self.net(views) if part is None else self.net(views, part)
        if torch.is_grad_enabled() and views.requires_grad:
            raise ConfigError(
                "gradient caching ends at the views, and these require a gradient. Pass views.detach(), or make what "
                "computes them a part of the network."
            )
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.net.parameters())
        buffers = copy_buffers(self.net) if learns else {}
        chunks: list[_Chunk] = []
        embedded: list[Tensor] = []
        with torch.no_grad(), _unsynchronised(self.net):
            for chunk in views.tensor_split(max(1, -(-len(views) // self.micro_batch))):
                chunks.append(_Chunk(chunk, _Draws.now(chunk)))
                embedded.append(_rows(self.net, chunk, part))
        torch.clear_autocast_cache()  # torch 2.10 keeps weights there that were cast without a graph (#158232)
        leaf = torch.cat(embedded)
        if learns:
            leaf.requires_grad_()
            self._calls.append(_Call(leaf, chunks, part, buffers, _autocast(views.device)))
        return leaf

    def backward(self, total: Float[Tensor, ""]) -> None:
        """Add the gradient of `total` to every parameter that it depends on; then forget the calls.

        Args:
            total: scalar computed from what the calls returned.
        """
        with torch.autocast(total.device.type, enabled=False):
            self._backward(total)
        calls = [call for call in self._calls if call.leaf.grad is not None]
        after = copy_buffers(self.net) if calls else {}
        for call in calls:
            draws = _Draws.now(call.leaf)
            put_back_buffers(self.net, call.buffers)
            self._again(call, last=call is calls[-1])
            draws.restore()
        if calls:
            put_back_buffers(self.net, after)
        self._calls, self._held = [], 0

    def _fits(self, views: Tensor) -> bool:
        """Take the rows in if their graph can be kept beside those that are.

        Not with DistributedDataParallel: its first call in a step talks to the other processes, and would do so before
        the loss on one process, after it on another.
        """
        fits = self._held + len(views) <= self.micro_batch and not isinstance(self.net, DistributedDataParallel)
        if fits and torch.is_grad_enabled():
            self._held += len(views)
        return fits

    def _again(self, call: "_Call", *, last: bool) -> None:
        assert call.leaf.grad is not None, "calls without a gradient are left out"
        device = call.leaf.device.type
        for chunk, grad in zip(call.chunks, call.leaf.grad.tensor_split(len(call.chunks)), strict=True):
            final = last and chunk is call.chunks[-1]
            with nullcontext() if final else _unsynchronised(self.net):
                chunk.draws.restore()
                with torch.autocast(device, dtype=call.autocast, enabled=call.autocast is not None):
                    z = _rows(self.net, chunk.views, call.part)
                with torch.autocast(device, enabled=False):
                    torch.autograd.backward(z, grad)


# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Draws:
    """Where torch's generators stood: the CPU's, and those of the device where the rows are."""

    cpu: Tensor
    devices: list[int]
    states: list[Tensor]
    kind: str

    @staticmethod
    def now(rows: Tensor) -> "_Draws":
        return _Draws(torch.get_rng_state(), *get_device_states(rows), rows.device.type)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        set_device_states(self.devices, self.states, device_type=self.kind)


@dataclass(frozen=True)
class _Chunk:
    views: Tensor
    draws: _Draws


@dataclass(frozen=True)
class _Call:
    """What the second pass of a call needs."""

    leaf: Tensor  # (n, d), receives the loss's gradient
    chunks: list[_Chunk]
    part: str | None
    buffers: dict[str, Tensor]  # as they were before the call
    autocast: torch.dtype | None


def _rows(net: nn.Module, views: Tensor, part: str | None) -> Tensor:
    z: object = net(views) if part is None else net(views, part)
    if not isinstance(z, Tensor) or z.dim() < 1 or len(z) != len(views):
        came = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise ShapeError(
            f"gradient caching expects a network that maps {len(views)} rows to one tensor of {len(views)} rows, got "
            f"{came}. Flatten views to rows first: views.flatten(0, 1)."
        )
    return z


def _autocast(device: torch.device) -> torch.dtype | None:
    """Return what autocast computes in at this moment, or None where it is off."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def _unsynchronised(net: nn.Module) -> AbstractContextManager[object]:
    return net.no_sync() if isinstance(net, DistributedDataParallel) else nullcontext()
