"""Two inputs of each sample, two encoders: each finds the other's output of the same sample in the batch.

Source: Radford et al. (CLIP) 2021, arXiv 2103.00020, section 2.3 and figure 3; Morgado, Vasconcelos, Misra (AVID) 2021,
arXiv 2004.12943 (only terms between the modalities).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.errors import ConfigError
from isotone.losses.info_nce import info_nce
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.randomness import key
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Paired:
    """Lets the two inputs of a sample (two sensors, picture and signal) find each other; needs no labels.

    `L = (mean_i -log softmax_j(s_ij)_i + mean_j -log softmax_i(s_ij)_j) / 2`, s_ij = cosine(first_i, second_j) /
    temperature: the relation `isotone.relations.modality.same_pair`, negatives are the other samples' other inputs.

    What is learned is what the two inputs share. Each has an encoder of its own, made for its kind. Afterwards the
    run's encoder is that of the first input; the second one is dropped. To have that, swap the two columns.

    Args:
        temperature: divides the cosine; CLIP starts from 0.07 and learns it, here it stays.
        width: of what is compared.
        projection: heads that are trained in between and dropped: linear as in CLIP, or mlp.
        views: augmented copies of each sample's first input, each paired with every copy of the second.
        head: predictor on the frozen encoder: auto, l1, mse, huber, dex, dldl, or, corn, knn or classify.
    """

    temperature: float = 0.07
    width: int = 128
    projection: Literal["mlp", "linear"] = "mlp"
    views: int = 1
    head: Head = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.12
    needs: ClassVar[tuple[Need, ...]] = ("second",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.between("width", self.width, 1, 65_536)
        check.choice("projection", self.projection, ("mlp", "linear"))
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the first encoder with its projection as the part `first`, all of the second as the part `second`.

        Raises:
            ConfigError: without a second input.
        """
        if facts.second is None:
            raise ConfigError("paired brings two inputs of each sample together. Name the other one with --second.")
        other, width = facts.second
        first = Projection(facts.width, self.width, self.projection, seed=facts.seed)
        second = Projection(width, self.width, self.projection, seed=key("second", facts.seed))
        return Network(encoder, parts={"first": first, "second": Second(other, second)})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the two-sided InfoNCE of the pairs in all processes, the mean over pairs of copies."""
        del memory
        assert batch.partners is not None, "the loop fills `partners` for data with a second input"
        first, second = (
            # (all b, v, d), the same on any number of processes
            gather(net(x.flatten(0, 1), part).unflatten(0, x.shape[:2]).transpose(0, 1))
            for x, part in ((batch.views, "first"), (batch.partners, "second"))
        )
        each = [
            info_nce(a, b, temperature=self.temperature, sides="two") for a in first.unbind(1) for b in second.unbind(1)
        ]
        return LossOutput(torch.stack(each).mean())

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: rows without their second input have no loss."""
        del out, tags
        return float("nan")


class Second(nn.Module):
    """The second input's encoder and projection, as a part of a network: what it is given as the encoder is not used.

    So the network's own encoder, which stays when training is over, is that of the first input alone, and the second
    is trained, saved and dropped with the other parts.

    Args:
        own: encoder of the second input.
        projection: of its representation.

    Example:
        >>> part = Second(nn.Linear(3, 4), Projection(4, 2))
        >>> part(nn.Identity(), torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, own: nn.Module, projection: Projection) -> None:
        super().__init__()
        self.own, self.projection = own, projection

    def forward(self, encoder: nn.Module, x: Shaped[Tensor, "b *shape"]) -> Float[Tensor, "b o"]:
        """Return the embeddings (b, out) of second inputs."""
        del encoder
        return self.projection(self.own, x)
