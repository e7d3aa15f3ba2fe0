"""What the regularised regressions share: the baseline's network and score on targets, and rows of all processes.

They differ from the baseline by one term or one step each, so what is not that term is the baseline's own.
"""

from dataclasses import replace
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.errors import ConfigError
from isotone.methods.baseline import Baseline
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

Head = Literal["l1", "mse", "huber"]


class Regularised(Protocol):
    """A method with one of these heads."""

    @property
    def head(self) -> Head:
        """The head's name."""
        ...


def check_settings(head: Head, views: int) -> None:
    """Raise a ConfigError for a head without a plain error of each row, and for too few or too many views."""
    check.choice("head", head, ("l1", "mse", "huber"))
    check.between("views", views, 1, 16)


def one_target(owner: str, facts: Facts) -> None:
    """Raise a ConfigError unless there is one target dimension.

    Args:
        owner: the method's name, for the message.
        facts: of the data.
    """
    if facts.k != 1:
        raise ConfigError(
            f"{owner} is defined for one target, got {facts.k}. Name one --target, or use --method baseline, cmixup, "
            "joint or ordinal-entropy, which take several."
        )


def default_lr(method: Regularised) -> float:
    """Return the learning rate of SGD for batches of 256: the baseline's with the same head."""
    return Baseline(method.head).default_lr


def network(head: Head, encoder: nn.Module, facts: Facts) -> Network:
    """Return the baseline's network for the targets: the encoder with a linear head, the same weights at one seed."""
    return Baseline(head).build(encoder, replace(facts, classes=0))


def error(head: Head, out: Float[Tensor, "n o"], tags: Tags) -> float:
    """Return the baseline's score for the targets: the mean absolute error in standard deviations."""
    return Baseline(head).score(out, replace(tags, category=None))


def outputs(net: nn.Module, batch: Batch, part: str | None = None) -> Float[Tensor, "n o"]:
    """Return the network's outputs (all b * v, o) for all views in all processes, the views of a sample side by side.

    The order is that of one process, whatever the number of them.
    """
    v = batch.views.shape[0]
    x = batch.views.flatten(0, 1)
    out = (net(x) if part is None else net(x, part)).unflatten(0, (v, -1))  # (v, b, o)
    return gather(out.transpose(0, 1)).flatten(0, 1)


def answers(batch: Batch) -> Float[Tensor, "n k"]:
    """Return the standardised targets (all b * v, k) of the rows of `outputs`."""
    assert batch.tags.scaled is not None, "the loop fills `scaled` for a regression data set"
    return gather(batch.tags.scaled).repeat_interleave(batch.views.shape[0], 0)


class Beside(nn.Module):
    """The part of a network that returns the representation and beside it the head's output: `[h | head(h)]`.

    Args:
        head: of the network; it stays the network's, so that its weights are saved once.

    Example:
        >>> Beside(nn.Linear(4, 1))(nn.Linear(3, 4), torch.zeros(5, 3)).shape
        torch.Size([5, 5])
    """

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self._head = (head,)  # a tuple, which torch does not register

    def forward(self, encoder: nn.Module, x: Tensor) -> Float[Tensor, "b d_and_o"]:
        """Return (b, d + o)."""
        h = encoder(x)
        return torch.cat([h, self._head[0](h)], dim=1)


def beside(head: Head, encoder: nn.Module, facts: Facts) -> Network:
    """Return the network with the part `beside`, for a term on the representation; `split` takes the output apart."""
    made = network(head, encoder, facts)
    assert made.head is not None, "the baseline has a head"
    return Network(encoder, made.head, {"beside": Beside(made.head)})


def split(both: Float[Tensor, "n d_and_o"], k: int) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n k"]]:
    """Return the representations (n, d) and the head's outputs (n, k) of `[h | head(h)]`.

    Example:
        >>> [tuple(x.shape) for x in split(torch.zeros(5, 7), 2)]
        [(5, 5), (5, 2)]
    """
    return both[:, :-k], both[:, -k:]
