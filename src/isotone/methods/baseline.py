"""The baseline: the same encoder and a linear head, trained end to end with L1, MSE or Huber."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, LossOutput, Tags


@dataclass(frozen=True)
class Baseline:
    """Trains encoder and head end to end on the target: what most people do today.

    Args:
        head: predictor and loss: l1, mse or huber.
        views: augmented copies of each sample in a batch.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    default_lr: ClassVar[float] = 0.2

    def __post_init__(self) -> None:
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, width: int, k: int) -> Network:
        """Return the encoder with a linear head on top."""
        return Network(encoder, nn.Linear(width, predictor(self.head).outputs(k)))

    def memory(self, width: int, k: int) -> None:
        """Return None: nothing is remembered between steps."""
        del width, k

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss over all rows in all processes."""
        del memory
        v = batch.views.shape[0]
        out, target = net(batch.views.flatten(0, 1)), _target(batch.tags).repeat(v, 1)
        return LossOutput(predictor(self.head).loss(gather(out), gather(target).to(out.dtype)))

    def after_step(self, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error on clean validation rows, in standard deviations of the target."""
        return float((predictor(self.head).decode(out) - _target(tags)).abs().mean())


# ----------------------------------------------------------------------------------------------------------------------


def _target(tags: Tags) -> Tensor:
    assert tags.scaled is not None, "the loop fills `scaled` for a regression data set"
    return tags.scaled
