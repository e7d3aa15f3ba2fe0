"""Supervised contrastive learning, stage 1: rows of one class together, against all others, through a projection head.

Stage 2 drops the head and fits a linear classifier on the frozen encoder: see `isotone.predict.linear`.

Source: Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv 2004.11362, section 3; settings of the
authors' CIFAR-10 experiment.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.losses.supcon import unchecked_supcon
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class SupCon:
    """Groups the representation by class, then fits a linear classifier on the frozen encoder (two stages).

    The representation is brought to length 1 before the projection head, as in the paper; the authors' code does not.
    Trains on the rows that have a class. In a loop of your own, a row of class -1 is related to its own other views
    alone, as in SimCLR, and still stands in the denominators of all others.

    Args:
        head: predictor on the frozen encoder: classify, l1, mse, huber, dex, dldl, or, corn, knn; auto takes what the
            labels ask for.
        temperature: divides the cosine; the paper's 0.1.
        form: mean over the positives outside the logarithm (out, the better one in the paper) or inside it (in).
        width: of what is compared; the paper's 128.
        projection: head that is trained in between and dropped: mlp as in the paper, or linear.
        views: augmented copies of each sample in a batch; the paper's 2.
    """

    head: Head = "auto"
    temperature: float = 0.1
    form: Literal["out", "in"] = "out"
    width: int = 128
    projection: Literal["mlp", "linear"] = "mlp"
    views: int = 2

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.125
    needs: ClassVar[tuple[Need, ...]] = ("category",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.choice("form", self.form, ("out", "in"))
        check.between("width", self.width, 1, 65_536)
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the projection `z` of the normalised representation."""
        part = Projection(facts.width, self.width, self.projection, seed=facts.seed, normalise=True)
        return Network(encoder, parts={"z": part})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the SupCon loss of all views in all processes; `lonely` counts the rows without any positive."""
        del memory
        v, b = batch.views.shape[:2]
        z = net(batch.views.flatten(0, 1), "z").unflatten(0, (v, b))  # (v, b, d)
        z = gather(z.transpose(0, 1))  # (all b, v, d), the same on any number of processes
        y = gather(_related(batch.tags)).repeat_interleave(v)
        return unchecked_supcon(z.flatten(0, 1), y, temperature=self.temperature, form=self.form)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: the loss of clean rows, which have a single view, says nothing of the representation."""
        del out, tags
        return float("nan")


# ----------------------------------------------------------------------------------------------------------------------


def _related(tags: Tags) -> Int[Tensor, " b"]:
    """Return the classes, and for a sample without one a number that no other sample has."""
    assert tags.category is not None, "the loop fills both where a method needs the category"
    assert tags.instance is not None, "the loop fills both where a method needs the category"
    return torch.where(tags.category < 0, -1 - tags.instance, tags.category)
