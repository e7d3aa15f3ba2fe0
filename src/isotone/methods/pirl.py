"""PIRL: an image and its transformed copy are one instance, told from all others through a bank of remembered images.

Rotation and Jigsaw predict the transformation, so they must represent it; PIRL represents what the transformation
leaves as it is.

Source: Misra, van der Maaten, "Self-Supervised Learning of Pretext-Invariant Representations", CVPR 2020,
arXiv 1912.01991, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from isotone import check
from isotone.candidates import gather
from isotone.data.draws import sample_draws
from isotone.data.patches import PATCHES, cut_patches, grid, recolour_patches, shuffle, turn
from isotone.losses.bank import BankLoss, form_for
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.nets.patch_heads import PatchHead, check_takes_patches
from isotone.predict import Head
from isotone.randomness import key
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class PIRL:
    """Brings an image's embedding f(I) and its transformed copy's g(It) to one remembered row m_I, far from all others.

    `L = lambda L_NCE(m_I, g(It)) + (1 - lambda) L_NCE(m_I, f(I))`. The bank m is the moving average of f of the image
    that is NOT transformed; f and g are never compared with each other (that did not converge, the authors say).
    `--lam 0 --views 1` is NPID to the last bit at one `--lr`. Logged as `agreement`: the cosine of f and g of one
    image, less that of two images; 0 where they are no more alike than strangers.

    - `rotation` turns by 0 to 270 degrees; `jigsaw` cuts 3 x 3 patches, recolours each by itself and puts them in any
      of the 9! = 362,880 orders; `both` turns, then cuts.
    - Images under 21 pixels have no jigsaw. Patches of 8 pixels (from 32-pixel images) go through the encoder whole:
      use small-cnn or resnet18-small. Batch norm mixes the statistics of patches and images, as published; group norm
      does not, but small-cnn learned nothing with it from patches of 8 pixels (6 epochs of 4,000 images, lr 0.1).
    - To be invariant to what the label depends on (an angle, a place) does harm.

    Args:
        head: predictor on the frozen encoder; auto takes what the labels ask for.
        views: 2, the image and what is transformed are cut out independently, as published; or 1, the same view.
        transform: what f and g are to agree on: jigsaw, rotation or both.
        lam: lambda, the share of the transformed copy's term, 0 to 1; the paper's 0.5. 0 leaves g out.
        width: of the bank's rows; the paper's 128.
        projection: layers from representation to embedding: linear as in the paper, or mlp.
        form: of the loss: pirl-nce (the paper's), nce, softmax over the drawn negatives, full softmax over all
            training rows; auto is full up to 200,000 rows, nce above.
        negatives: drawn from the bank, unused by full; the paper's 32,000.
        z: constant of nce: first-batch, or running.
        temperature: divides the cosine; the paper's 0.07.
        bank_momentum: weight of a bank row's OLD value; the paper's 0.5.
    """

    head: Head = "auto"
    views: int = 2
    transform: Literal["jigsaw", "rotation", "both"] = "jigsaw"
    lam: float = 0.5
    width: int = 128
    projection: Literal["linear", "mlp"] = "linear"
    form: Literal["auto", "nce", "pirl-nce", "softmax", "full"] = "auto"
    negatives: int = 32_000
    z: Literal["first-batch", "running"] = "first-batch"
    temperature: float = 0.07
    bank_momentum: float = 0.5

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.03
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)

    def __post_init__(self) -> None:
        check.between("views", self.views, 1, 2)
        check.choice("transform", self.transform, ("jigsaw", "rotation", "both"))
        check.between("lam", self.lam, 0, 1)
        check.between("width", self.width, 1, 65_536)
        check.choice("projection", self.projection, ("linear", "mlp"))
        check.choice("form", self.form, ("auto", "nce", "pirl-nce", "softmax", "full"))
        check.between("negatives", self.negatives, 1, 1_000_000)
        check.positive("temperature", self.temperature)
        check.between("bank_momentum", self.bank_momentum, 0, 1)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder, with f as the part `z` and, unless lambda is 0, g as the part `transformed`.

        Raises:
            ConfigError: for jigsaw, images that are too small, and an encoder that does not take patches.
        """
        parts: dict[str, nn.Module] = {"z": Projection(facts.width, self.width, self.projection, seed=facts.seed)}
        other = key("transformed", facts.seed)  # g begins with weights of its own
        if self.lam and self.transform == "rotation":
            parts["transformed"] = Projection(facts.width, self.width, self.projection, seed=other)
        elif self.lam:
            check_takes_patches(encoder, facts.shape[0], grid(facts.shape[-1]).patch)
            parts["transformed"] = PatchHead(facts.width, self.width, self.width, self.projection, seed=other)
        return Network(encoder, parts=parts)

    def memory(self, net: nn.Module, facts: Facts) -> BankLoss:
        """Return the bank, with random rows."""
        del net
        return BankLoss(
            facts.instances,
            self.width,
            form=form_for(facts.instances) if self.form == "auto" else self.form,
            negatives=self.negatives,
            z=self.z,
            temperature=self.temperature,
            momentum=self.bank_momentum,
            seed=facts.seed,
        )

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return both terms, against the same rows of the bank, over the rows of all processes."""
        assert isinstance(memory, BankLoss), "the loop hands in what `memory` returned"
        assert batch.tags.instance is not None, "the loop fills `instance`"
        f, index = gather(net(batch.views[0], "z")), gather(batch.tags.instance)
        carry = {"z": f.detach(), "index": index, "step": torch.tensor(batch.step)}
        image = memory(f, index, step=batch.step)
        if not self.lam:
            return LossOutput(image, carry=carry)
        g = gather(net(self._transformed(batch), "transformed"))
        transformed = memory(g, index, step=batch.step)
        parts = {"image": image.detach(), "transformed": transformed.detach(), "agreement": _agreement(f, g)}
        return LossOutput(self.lam * transformed + (1 - self.lam) * image, parts, carry)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Move the bank's rows towards f of the images of the step."""
        del net
        assert isinstance(memory, BankLoss), "the loop hands in what `memory` returned"
        memory.update(out.carry["z"], out.carry["index"], step=int(out.carry["step"]))

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: there is no validation score."""
        del out, tags
        return float("nan")

    def _transformed(self, batch: Batch) -> Tensor:
        """Return It: (b, c, s, s) turned, or (b, 9, c, p, p) in disorder."""
        images = batch.views[-1]
        if self.transform != "jigsaw":
            images = turn(images, (4 * sample_draws(batch, 1, "pirl turn")[:, 0]).long())
        if self.transform == "rotation":
            return images
        place, colour, order = sample_draws(batch, 6 * PATCHES, "pirl patches").split(
            [2 * PATCHES, 3 * PATCHES, PATCHES], dim=1
        )
        patches = recolour_patches(cut_patches(images, place), colour.view(-1, PATCHES, 3))
        return shuffle(patches, order.argsort(1))  # any of 9! orders, each as likely


# ----------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _agreement(f: Float[Tensor, "n d"], g: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Return `mean_i cos(f_i, g_i) - mean_{i != j} cos(f_i, g_j)`, which a direction common to all does not move."""
    f, g = functional.normalize(f.float()), functional.normalize(g.float())
    own, every = (f * g).sum(1).mean(), f.mean(0) @ g.mean(0)
    return (own - every) * len(f) / (len(f) - 1)
