"""The baseline: the same encoder and a linear head, trained end to end on the label: a regression, or cross-entropy."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.nets.network import Network
from isotone.predict import TrainedHead, predictor
from isotone.randomness import key
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Baseline:
    """Trains encoder and head end to end on the label: what most people do today.

    Args:
        head: predictor and loss: l1, mse, huber, dex, dldl, or, corn for targets, classify (cross-entropy) for classes;
            auto takes l1 or classify.
        views: augmented copies of each sample in a batch.
    """

    head: TrainedHead = "auto"
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ("label",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.between("views", self.views, 1, 16)

    @property
    def default_lr(self) -> float:
        """0.2; for mse 0.02, since its step grows with the error: at 0.05 it diverged on the turned digits."""
        return 0.02 if self.head == "mse" else 0.2

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top."""
        outputs = predictor(self.head, facts.bins).outputs(facts.classes or facts.k)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key("net", facts.seed))
            return Network(encoder, nn.Linear(facts.width, outputs))

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss over all rows in all processes."""
        del memory
        v = batch.views.shape[0]
        out, answer = net(batch.views.flatten(0, 1)), _answer(batch.tags).repeat(v, 1)
        return LossOutput(predictor(self.head, batch.tags.bins).loss(gather(out), gather(answer)))

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error in standard deviations of the target, or the cross-entropy."""
        answer, head = _answer(tags), predictor(self.head, tags.bins)
        if tags.category is not None:
            return float(head.loss(out, answer))
        return float((head.decode(out) - answer).abs().mean())


# ----------------------------------------------------------------------------------------------------------------------


def _answer(tags: Tags) -> Float[Tensor, "n k"]:
    """Return the class codes (n, 1) where there are classes, else the standardised targets (n, k)."""
    if tags.category is not None:
        return tags.category[:, None].double()
    assert tags.scaled is not None, "the loop fills `scaled` for a regression data set"
    return tags.scaled
