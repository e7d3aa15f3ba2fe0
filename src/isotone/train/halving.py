"""Out of memory: half as many rows at a time through the network, and the same step again.

The loss does not know how many rows went through at a time (see `cached.py`), so the run goes on as it would have with
more memory; never is the batch made smaller, which would take away its negatives. On several processes all halve
together: an attempt has points where they agree that none ran out, and none waits for another in between.
"""

from collections.abc import Callable
from typing import TextIO, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.nets.norms import has_batch_norm
from isotone.train.buffers import copy_buffers, put_back_buffers
from isotone.train.processes import largest, several

T = TypeVar("T")
FEWEST_WITH_BATCH_NORM = 3  # of two rows normalised by themselves only the sign is left
_TEXTS = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")  # mps and others; CPU; cuBLAS and cuDNN


def out_of_memory(error: BaseException) -> bool:
    """Return whether torch says that memory ran out, on whatever device.

    Example:
        >>> out_of_memory(torch.OutOfMemoryError()), out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)


def fewest_rows(net: nn.Module, micro_batch: int) -> int:
    """Return the fewest rows at a time that the network can be trained with: 3 with batch norm, else 1.

    Args:
        net: the network, or its encoder.
        micro_batch: what the user asks for; 0 for the whole batch.

    Raises:
        ConfigError: where that is fewer.

    Example:
        >>> fewest_rows(nn.Linear(2, 2), micro_batch=1)
        1
    """
    fewest = FEWEST_WITH_BATCH_NORM if has_batch_norm(net) else 1
    if 0 < micro_batch < fewest:
        raise ConfigError(
            f"`micro_batch` {micro_batch} is too few for batch norm, which normalises by the rows that it is "
            "shown at a time. Use --micro-batch 16 or more, or --norm group."
        )
    return fewest


class Halving:
    """Runs a step, and again with half the rows at a time where memory does not suffice.

    Args:
        net: whose buffers and gradients a failed attempt must leave as they were.
        micro_batch: rows at a time to begin with; 0 for the whole batch. The attribute of this name is the one in use.
        device: that the processes talk through.
        stream: where a halving is said, in one line; None is silent.

    Raises:
        ConfigError: for fewer than three rows at a time where the network has batch norm.
    """

    def __init__(self, net: nn.Module, micro_batch: int, *, device: torch.device, stream: TextIO | None) -> None:
        self.net, self.micro_batch, self.device, self.stream = net, micro_batch, device, stream
        self.batch_norm = has_batch_norm(net)
        self.fewest = fewest_rows(net, micro_batch)

    def run(self, attempt: Callable[[int], T], *, rows: int, where: str) -> T:
        """Return what `attempt(micro_batch)` returns, halving until it does not run out of memory.

        Args:
            attempt: forward and backward pass of one step. It draws the same random numbers each time it is called,
                and lets the processes `agree` wherever one of them may run out.
            rows: of this process's batch.
            where: the step, for messages.

        Raises:
            ConfigError: where the fewest rows do not fit; on several processes also where one of them runs out between
                two points of agreement, since the others cannot know.
        """
        while True:
            before = copy_buffers(self.net)
            try:
                return attempt(self.micro_batch)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                reason = " ".join(str(error).split())[:120].rstrip(".")
                if several() and not isinstance(error, _AgreedError):
                    raise ConfigError(_alone(where, reason)) from error
            # here the error is gone, and with it its traceback, which held the graph
            put_back_buffers(self.net, before)
            self.net.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            self._halve(largest(rows, self.device), where, reason)

    def agree(self, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, if no process ran out of memory in it; else all raise.

        Args:
            compute: must not talk to other processes.
        """
        found: list[T] = []
        reason = "on another process"
        try:
            found.append(compute())
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            reason = str(error)
        if largest(int(not found), self.device):
            raise _AgreedError(reason)
        return found[0]

    def agreeing(self, net: nn.Module) -> nn.Module:
        """Return the network with a point of agreement at the end of each call."""
        return _Agreeing(self, net)

    def _halve(self, rows: int, where: str, reason: str) -> None:
        now = min(self.micro_batch or rows, rows)
        if now <= self.fewest:
            raise ConfigError(
                f"out of memory at {where}, with {now} row{'s' if now > 1 else ''} at a time through the encoder "
                f"({reason}).\nTry a smaller --batch-size, --image-size or encoder, or --precision bf16."
            )
        self.micro_batch = max(self.fewest, (now + 1) // 2)
        if self.stream is not None:
            also = ", batch norm's statistics are now of these" if self.batch_norm else ""
            clear = "\r\x1b[K" if self.stream.isatty() else ""
            self.stream.write(
                f"{clear}out of memory at {where}: again with {self.micro_batch} rows at a time through the encoder; "
                f"the loss stays that of the whole batch{also}\n"
            )
            self.stream.flush()


# ----------------------------------------------------------------------------------------------------------------------


class _AgreedError(torch.OutOfMemoryError):
    """Memory ran out on some process, and all of them know."""


class _Agreeing(nn.Module):
    def __init__(self, halving: Halving, net: nn.Module) -> None:
        super().__init__()
        self.halving, self.net = halving, net

    def forward(self, views: Shaped[Tensor, "n *shape"], part: str | None = None) -> Float[Tensor, "n *d"]:
        return self.halving.agree(lambda: self.net(views) if part is None else self.net(views, part))


def _alone(where: str, reason: str) -> str:
    return (
        f"out of memory at {where}, in the loss of the whole batch on one process of several ({reason}).\n"
        "Try --micro-batch, which leaves it more room, or a smaller --batch-size."
    )
