"""Rotation prediction (RotNet): by how many quarters was this image turned? To say it, one must know what stands up.

Source: Gidaris, Singh, Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018,
arXiv 1803.07728, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from isotone import check
from isotone.candidates import gather
from isotone.data.patches import quarter_turns
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Rotation:
    """Turns every image by 0, 90, 180 and 270 degrees, all four in the batch, and learns to tell which was which.

    `L = mean over images and turns r of -log p(r | image turned by r)`; 4 of 4 wrong guesses cost log 4 = 1.386.

    Needs images with an upright. It learns nothing where there is none (cells under a microscope, satellite images,
    textures: the loss stays at 1.386), or where something else tells the turn: black bars (use `--resize crop` unless
    all images are square), a stamp in a corner. Leave `turn` out of --augment, it makes the answer random. The last
    layer becomes specialised: look at `--probe layers`. A pass is four forward passes here.

    Args:
        head: predictor on the frozen encoder; auto takes what the labels ask for.
        views: augmented copies of each sample in a batch, each turned four times.
    """

    head: Head = "auto"
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)

    def __post_init__(self) -> None:
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder, with a linear layer to the four turns as the part `turns`."""
        return Network(encoder, parts={"turns": Projection(facts.width, 4, "linear", seed=facts.seed)})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the cross-entropy of all turns of all views in all processes, and how many were told right."""
        del memory
        turned = quarter_turns(batch.views.transpose(0, 1).flatten(0, 1))  # (b * v, 4, c, s, s)
        logits = gather(net(turned.flatten(0, 1), "turns"))  # (4 * v * all b, 4)
        label = torch.arange(4, device=logits.device).repeat(len(logits) // 4)
        total = functional.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), label)
        right = logits.detach().argmax(1) == label
        return LossOutput(total, {"accuracy": right.float().mean()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: there is no validation score."""
        del out, tags
        return float("nan")
