"""What the processes of a run do together: agree on a number, start from the same weights, average their gradients.

The gradients are averaged in one go once every process has its own, not while they are computed: so a process that runs
out of memory can repeat its work while the others wait in no half-done exchange. Each function does nothing where there
is one process.
"""

import torch
import torch.distributed as dist
from torch import nn


def several() -> bool:
    """Return whether there is more than one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def largest(number: int, device: torch.device) -> int:
    """Return the largest of the processes' numbers; every process must ask.

    Args:
        number: of this process, between -2^63 and 2^63 - 1.
        device: that the processes talk through.

    Example:
        >>> largest(3, torch.device("cpu"))
        3
    """
    if not several():
        return number
    asked = torch.tensor([number], device=device)
    dist.all_reduce(asked, op=dist.ReduceOp.MAX)
    return int(asked)


@torch.no_grad()
def share_weights(net: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if several():
        for x in (*net.parameters(), *net.buffers()):
            dist.broadcast(x, 0)


@torch.no_grad()
def average_gradients(net: nn.Module) -> None:
    """Replace every gradient by its mean over the processes; a parameter without one counts as 0.

    Where no process has a gradient there is still none, so the optimizer passes that parameter by everywhere.

    Args:
        net: the same on every process.
    """
    if not several():
        return
    parameters = [p for p in net.parameters() if p.requires_grad]
    there = [float(p.grad is not None) for p in parameters]
    flat = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    total = torch.cat([*flat, torch.tensor(there, device=flat[0].device)]) / dist.get_world_size()
    dist.all_reduce(total)
    *means, found = total.split([*(p.numel() for p in parameters), len(parameters)])
    for p, mean, anywhere in zip(parameters, means, found.tolist(), strict=True):
        p.grad = mean.view_as(p).to(p.dtype) if anywhere else None
