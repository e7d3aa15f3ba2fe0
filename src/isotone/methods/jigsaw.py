"""Jigsaw prediction: nine patches of an image in disorder; which of a set of permutations put them so?

Source: Noroozi, Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", ECCV 2016,
arXiv 1603.09246; the network and schedule of Goyal et al. 2019, arXiv 1905.01235.
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
from isotone.data.patches import PATCHES, cut_patches, grid, normalise_patches, shuffle
from isotone.data.permutations import Choose, least_distance, permutation_set
from isotone.nets.network import Network
from isotone.nets.patch_heads import PatchHead, check_takes_patches
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Jigsaw:
    """Cuts 3 x 3 patches out of every image, puts them in one of `permutations` orders, and learns to tell which.

    `L = mean -log p(k | patches in the order of permutation k)`; guessing costs the log of the number of permutations.

    Patches have random places in their cells, and each is normalised by its own mean and standard deviation: both
    shut out low-level answers. Colour gives some away too (lenses fringe it): put `grayscale` into --augment.
    `isotone.data.patches.grid` has the geometry; images under 21 pixels are refused, and patches of 8 pixels (from
    32-pixel images) go through the encoder whole: use small-cnn or, slower, resnet18-small. With small-cnn at 32 pixels
    leave --norm at batch: 12 epochs of 4,000 CIFAR-10 images told 13 % of 100 orders apart, with group norm 1 %, which
    is guessing (one seed, lr 0.05). Batch norm has a price: it keeps the statistics of patches, not of whole images.

    Args:
        head: predictor on the frozen encoder; auto takes what the labels ask for.
        views: augmented copies of each sample in a batch, each cut and shuffled by itself.
        permutations: how many orders there are to tell apart, at most 362,880; published are 100, 701, 1,000, 2,000 and
            10,000.
        choose: the orders far from each other by their least distance (max-min, any two of 1,000 differ in 5 places
            or more) or by their mean distance (max-mean, as published: some differ in 2). Logged as least_distance.
        patch_width: numbers that stand for each patch.
    """

    head: Head = "auto"
    views: int = 1
    permutations: int = 1000
    choose: Choose = "max-min"
    patch_width: int = 1000

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)

    def __post_init__(self) -> None:
        check.between("views", self.views, 1, 16)
        check.between("permutations", self.permutations, 2, 362_880)
        check.choice("choose", self.choose, ("max-min", "max-mean"))
        check.between("patch_width", self.patch_width, 1, 100_000)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder, with the layers that join its view of nine patches as the part `order`.

        Raises:
            ConfigError: for images that are too small, and an encoder that does not take patches.
        """
        check_takes_patches(encoder, facts.shape[0], grid(facts.shape[-1]).patch)
        order = PatchHead(facts.width, self.patch_width, self.permutations, "relu", seed=facts.seed)
        return Network(encoder, parts={"order": order})

    def memory(self, net: nn.Module, facts: Facts) -> "Orders":
        """Return the permutation set, so that checkpoints hold what the outputs stand for."""
        del net
        return Orders(self.permutations, self.choose, seed=facts.seed)

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the cross-entropy of the permutations of all views in all processes, and how many were told right."""
        assert isinstance(memory, Orders), "the loop hands in what `memory` returned"
        v = batch.views.shape[0]
        u = sample_draws(batch, v * (1 + 2 * PATCHES), "jigsaw").view(-1, 1 + 2 * PATCHES)  # (b * v, 19)
        patches = normalise_patches(cut_patches(batch.views.transpose(0, 1).flatten(0, 1), u[:, 1:]))
        chosen = (u[:, 0] * self.permutations).long()
        logits, label = gather(net(shuffle(patches, memory.permutations[chosen]), "order")), gather(chosen)
        total = functional.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), label)
        right = logits.detach().argmax(1) == label
        return LossOutput(total, {"accuracy": right.float().mean(), "least_distance": memory.least_distance})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: there is no validation score."""
        del out, tags
        return float("nan")


class Orders(nn.Module):
    """The permutation set as buffers: `permutations` (m, 9) uint8, and `least_distance` of two of them.

    Args:
        count: of permutations, m.
        choose: see `isotone.data.permutations.permutation_set`.
        seed: of the run.

    Example:
        >>> orders = Orders(100)
        >>> orders.permutations.shape, orders.least_distance.item()
        (torch.Size([100, 9]), 6.0)
    """

    permutations: Tensor
    least_distance: Tensor

    def __init__(self, count: int, choose: Choose = "max-min", seed: int = 0) -> None:
        super().__init__()
        found = permutation_set(count, choose=choose, seed=seed)
        self.register_buffer("permutations", torch.from_numpy(found))
        self.register_buffer("least_distance", torch.tensor(float(least_distance(found))))
