"""A network that follows another one slowly: what makes the keys of a queue comparable.

Source: He, Fan, Wu, Xie, Girshick 2020, "Momentum Contrast", arXiv 1911.05722, section 3.2, equation 2.
"""

import copy

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call

from isotone import check


class Momentum(nn.Module):
    """A frozen copy of a network whose weights are a moving average of that network's.

    `theta_k <- m * theta_k + (1 - m) * theta_q`, m weighing the old weights. It starts as an exact copy, and all of it
    is saved with the memory that it belongs to.

    The paper averages before each forward pass of the keys; `update` after each step is the same to the bit, since no
    weight changes between a step and the next forward pass, and before the first step both networks are equal.

    Args:
        net: the network to follow, not kept; the copy's parameters require no gradient.
        momentum: m, 0 (always equal) to 1 (never moves); the paper's 0.999, 0.99 for runs of some thousand steps.

    Raises:
        ConfigError: for a momentum outside 0 to 1.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> keys = Momentum(net, momentum=0.75)
        >>> _ = net.weight.data.add_(4.0)  # a step
        >>> keys.update(net)
        >>> (net.weight - keys.net.weight).round(decimals=3).tolist()  # 0.75 of the way is left
        [[3.0, 3.0]]

    Source: arXiv 1911.05722, equation 2.
    """

    def __init__(self, net: nn.Module, momentum: float) -> None:
        super().__init__()
        check.between("momentum", momentum, 0.0, 1.0)
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def forward(
        self, x: Shaped[Tensor, "b *shape"], part: str | None = None, *, micro_batch: int = 0
    ) -> Float[Tensor, "b o"]:
        """Return the outputs, without a gradient, in train mode: batch norm uses the batch's statistics, as published.

        Nothing changes, not even batch norm's running statistics: the pass may be repeated.

        Args:
            x: (b, ...).
            part: handed on: `net(x, part)`.
            micro_batch: rows at a time, as `isotone.train.cached.Cached` cuts them: batch norm's statistics are then
                those of these rows. 0: all at once.
        """
        self.net.train()
        scratch = {name: buffer.clone() for name, buffer in self.net.named_buffers()}
        chunks = x.tensor_split(max(1, -(-len(x) // micro_batch))) if micro_batch else (x,)
        more = () if part is None else (part,)
        return torch.cat([functional_call(self.net, scratch, (chunk, *more)) for chunk in chunks])

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move the weights towards the network's and copy its buffers, after the step.

        Args:
            net: the network that is followed.
        """
        for old, new in zip(self.net.parameters(), net.parameters(), strict=True):
            old.mul_(self.momentum).add_(new.detach(), alpha=1 - self.momentum)
        for old, new in zip(self.net.buffers(), net.buffers(), strict=True):
            old.copy_(new)
