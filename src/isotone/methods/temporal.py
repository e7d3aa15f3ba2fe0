"""Neighbours in time: two moments of one recording, video or track belong together, other recordings do not.

Source: Wang, Gupta, "Unsupervised Learning of Visual Representations using Videos", ICCV 2015, arXiv 1505.00687 (the
tracks and the triplets); Sermanet et al., "Time-Contrastive Networks", 2018, arXiv 1704.06888 (near in time); the
InfoNCE form of van den Oord, Li, Vinyals 2018, arXiv 1807.03748.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import batch_candidates, gather
from isotone.core.rows import Anchors, contrast_rows
from isotone.core.similarity import cosine
from isotone.losses.triplet import triplet_output
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags
from isotone.relations.time import neighbours


@dataclass(frozen=True)
class Temporal:
    """Lets two near moments of a recording find each other among the rows of other recordings; needs no labels.

    `infonce: L = mean -log( exp s_ip / (exp s_ip + sum over rows k of other sequences of exp s_ik) )`, s = cosine /
    temperature, p the neighbour (--lag says how far it may be; a row that has none is its own). Other rows of the same
    sequence are left out: they are neither positives nor negatives. `triplet: L = mean over (a, p, n) of [d_ap - d_an +
    margin]+`, p any other row of the sequence, as in tracking.

    Two sequences or more must be in a batch, or there is nothing to tell apart: `negatives`, the mean number of them,
    is logged. With batch norm, rows of one recording that come together in a batch give themselves away: use --norm
    group.

    Args:
        form: infonce, or triplet (Wang and Gupta).
        temperature: divides the cosine; infonce only.
        margin: triplet only, in the distance of unit rows; Wang and Gupta's 0.5 is of 1 - cosine, half its square.
        width: of what is compared.
        projection: head that is trained in between and dropped: mlp or linear.
        views: augmented copies of each sample; they and the neighbour are all each other's positives.
        head: predictor on the frozen encoder: auto, l1, mse, huber, dex, dldl, or, corn, knn or classify.
    """

    form: Literal["infonce", "triplet"] = "infonce"
    temperature: float = 0.1
    margin: float = 0.5
    width: int = 128
    projection: Literal["mlp", "linear"] = "mlp"
    views: int = 1
    head: Head = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.12
    needs: ClassVar[tuple[Need, ...]] = ("sequence",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.choice("form", self.form, ("infonce", "triplet"))
        check.positive("temperature", self.temperature)
        check.positive("margin", self.margin)
        check.between("width", self.width, 1, 65_536)
        check.choice("projection", self.projection, ("mlp", "linear"))
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the projection as its part `z`."""
        return Network(encoder, parts={"z": Projection(facts.width, self.width, self.projection, seed=facts.seed)})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the loss of all samples and their neighbours in all processes."""
        del memory
        assert batch.partners is not None, "the loop fills `partners` for data with sequences"
        assert batch.tags.sequence is not None, "the loop fills `sequence` for data with sequences"
        assert batch.tags.instance is not None, "the loop fills `instance`"
        both = torch.cat([batch.views, batch.partners])  # (v + w, b, ...), w copies of the neighbour
        z = net(both.flatten(0, 1), "z").unflatten(0, both.shape[:2])  # (v + w, b, d)
        z = gather(z.transpose(0, 1)).flatten(0, 1)  # (all b * (v + w), d)
        sequence = gather(batch.tags.sequence).repeat_interleave(len(both))
        # sample and neighbour stand for one moment, so that no other pair of the sequence is taken for near
        moment = gather(batch.tags.instance).repeat_interleave(len(both)).to(check.wide_dtype(z.device))
        out = self._contrast(z, Tags(sequence=sequence, time=moment))
        others = (sequence[:, None] != sequence[None, :]).sum(1).float().mean()
        return LossOutput(out.total, {**out.parts, "negatives": others})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: the loss of clean rows, which have no neighbour beside them, says nothing."""
        del out, tags
        return float("nan")

    def _contrast(self, z: Float[Tensor, "n d"], tags: Tags) -> LossOutput:
        if self.form == "triplet":
            assert tags.sequence is not None, "the caller fills it"
            found = triplet_output(z, tags.sequence, margin=self.margin)
            return LossOutput(found.total, {"active": found.parts["active"]})
        # at distance 0 stands the moment alone, so the nearest one and its ties are the positives
        return LossOutput(
            contrast_rows(
                Anchors(z, tags),
                batch_candidates(z, tags),
                similarity=cosine,
                temperature=self.temperature,
                relation=neighbours(lag=0.0),
                positives=1,
            ).total.to(torch.promote_types(z.dtype, torch.float32))
        )
