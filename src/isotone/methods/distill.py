"""Distillation: a fresh encoder learns what a trained run predicts of each training row.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531, section 2; the
comparison for ClusterFit in arXiv 1912.03330, section 4.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.errors import ConfigError
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Distill:
    """Trains a fresh encoder on the class probabilities that a trained run gives the training rows.

    `L = -T^2 mean sum_c q_c log p_c`, `p = softmax(logits / T)`, `q ~ (teacher's probability)^(1 / T)`.

    The labels are not looked at: where the teacher doubts a wrong label, the doubt is what is learned. The loss cannot
    fall below the entropy of q, logged as `floor` (in the loss's unit).

    Args:
        teacher: folder of a run that tells classes apart, trained on the same table and split.
        temperature: T; 1 takes the teacher's probabilities as they are, more makes them and the answers softer, with
            T^2 keeping the gradient's size.
        views: augmented copies of each sample in a batch.
        head: predictor on the frozen encoder: auto, l1, mse, huber, dex, dldl, or, corn, knn or classify.
    """

    teacher: str = ""
    temperature: float = 1.0
    views: int = 1
    head: Head = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ("teacher",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear layer to the teacher's classes as its part `classes`.

        Raises:
            ConfigError: without a teacher, and with one that tells no classes apart.
        """
        part = Projection(facts.width, _probabilities(facts).shape[1], "linear", seed=facts.seed)
        return Network(encoder, parts={"classes": part})

    def memory(self, net: nn.Module, facts: Facts) -> "SoftTargets":
        """Return the teacher's probabilities of each training row."""
        del net
        return SoftTargets(_probabilities(facts))

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the cross-entropy with the teacher's answer over all views in all processes."""
        assert isinstance(memory, SoftTargets), "the loop hands in what `memory` returned"
        assert batch.tags.instance is not None, "the loop fills `instance`"
        v, t = batch.views.shape[0], self.temperature
        logits = gather(net(batch.views.flatten(0, 1), "classes"))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        q = memory.probabilities[gather(batch.tags.instance.repeat(v))].log().div(t).softmax(1).to(logits.dtype)
        total = -(t**2) * (q * (logits / t).log_softmax(1)).sum(1).mean()
        agreement = (logits.detach().argmax(1) == q.argmax(1)).float().mean()
        return LossOutput(total, {"agreement": agreement, "floor": t**2 * torch.special.entr(q).sum(1).mean()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing: the teacher stays as it is."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: the teacher was not asked about validation rows."""
        del out, tags
        return float("nan")


class SoftTargets(nn.Module):
    """A teacher's probabilities of each training row, in a buffer, so that checkpoints hold them.

    Args:
        probabilities: (n, c).

    Example:
        >>> SoftTargets(torch.tensor([[0.2, 0.8]])).state_dict()["probabilities"].shape
        torch.Size([1, 2])
    """

    probabilities: Tensor

    def __init__(self, probabilities: Float[Tensor, "n c"]) -> None:
        super().__init__()
        self.register_buffer("probabilities", probabilities)


# ----------------------------------------------------------------------------------------------------------------------


def _probabilities(facts: Facts) -> Float[Tensor, "n c"]:
    if facts.teacher is None:
        raise ConfigError("distillation learns what a trained run predicts. Name its folder with --teacher.")
    if facts.teacher.probabilities is None:
        raise ConfigError(
            "distillation learns the class probabilities of a trained run, and the run that --teacher names tells no "
            "classes apart. Name one that was trained with --category, or use clusterfit, which takes any run."
        )
    return torch.tensor(facts.teacher.probabilities)
