"""A network's buffers (running statistics, power iterations) kept aside and put back: a pass that leaves no trace."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def copy_buffers(net: nn.Module) -> dict[str, Tensor]:
    """Return a copy of every buffer of the network, by name.

    Example:
        >>> sorted(copy_buffers(nn.BatchNorm1d(2)))
        ['num_batches_tracked', 'running_mean', 'running_var']
    """
    return {name: x.detach().clone() for name, x in net.named_buffers()}


@torch.no_grad()
def put_back_buffers(net: nn.Module, copies: Mapping[str, Tensor]) -> None:
    """Write the copies into the network's buffers.

    Args:
        net: the network that they were copied from.
        copies: from `copy_buffers`.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> before, _ = copy_buffers(norm), norm(torch.ones(4, 2))
        >>> put_back_buffers(norm, before)
        >>> norm.running_mean.tolist()
        [0.0, 0.0]
    """
    for name, x in net.named_buffers():
        x.copy_(copies[name])
