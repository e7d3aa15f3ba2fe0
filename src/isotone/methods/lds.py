"""LDS, label distribution smoothing: rare targets count for more, and neighbouring targets share what is rare.

Source: Yang, Zha, Chen, Wang, Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, arXiv 2102.09554,
section 3.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.methods import end_to_end
from isotone.methods.label_bins import LabelBins, check_bins, gaussian_bins
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class LDS:
    """Trains end to end with each row's error weighted by how rare targets like its own are, in a smoothed density.

    `p~(b) = sum over bins b' of k(b, b') p(b')`, `L = mean over rows of w_i l(out_i, y_i)` with `w_i ~ 1 / p~(bin of
    y_i)`, or one over its root, scaled to a mean of 1 over the training rows.

    The kernel is divided by its sum inside the range of the targets, so that the ends of the range do not look rarer
    than they are. Expect less error where targets are rare and a little more where they are common.

    The authors' code (github.com/YyzHarry/imbalanced-regression) differs in three ways. It takes the root before it
    smooths, here after: a few per cent, but bins among empty ones weigh up to twice as much there. It counts bins
    beyond the ends as empty, so that on flat targets the ends weigh 1.6 times the middle, here as much. And with
    `inverse` it clips counts to 5 to 1000 first, so that no weight is much over 200 times another; here nothing is
    clipped and a few lone rows can drown the rest: take `sqrt` then, or fewer `label_bins`.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        reweight: sqrt, one over the root of the density, as in the paper's tables on ages; or inverse, one over it.
        label_bins: of the targets, from the smallest to the largest; 101 for ages from 1 to 101 makes one of each year.
        kernel_bins: how many the kernel looks at, an odd number; the paper's 5. 1 does not smooth.
        kernel_sigma: of the Gaussian kernel, in bins; the paper's 2.
        views: augmented copies of each sample in a batch.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    reweight: Literal["sqrt", "inverse"] = "sqrt"
    label_bins: int = 100
    kernel_bins: int = 5
    kernel_sigma: float = 2.0
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    default_lr = property(end_to_end.default_lr)
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        end_to_end.check_settings(self.head, self.views)
        check.choice("reweight", self.reweight, ("sqrt", "inverse"))
        check_bins(self.label_bins, self.kernel_bins, self.kernel_sigma)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top.

        Raises:
            ConfigError: for several targets.
        """
        end_to_end.one_target("LDS", facts)
        return end_to_end.network(self.head, encoder, facts)

    def memory(self, net: nn.Module, facts: Facts) -> "RareWeights":
        """Return the weight of each bin, from the training targets; it stays as it is."""
        del net
        assert facts.targets is not None, "the method needs a target"
        power = 0.5 if self.reweight == "sqrt" else 1.0
        return RareWeights(torch.from_numpy(facts.targets), self.label_bins, self.kernel_bins, self.kernel_sigma, power)

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the weighted mean of the head's loss over all rows in all processes."""
        assert isinstance(memory, RareWeights), "LDS is trained with the memory that it made"
        out, y = end_to_end.outputs(net, batch), end_to_end.answers(batch)
        each = torch.vmap(lambda o, t: predictor(self.head).loss(o[None], t[None]))(out, y)  # (n,)
        return LossOutput((memory(y).to(each.dtype) * each).mean(), {"unweighted": each.detach().mean()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing: the density of the targets stays."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the plain mean absolute error in standard deviations of the target."""
        return end_to_end.error(self.head, out, tags)


class RareWeights(nn.Module):
    """Weights of rows by how rare their target is: `w ~ p~ ** -power`, with mean 1 over the training rows.

    Args:
        targets: (n, 1) float64 of the training rows.
        bins: how many.
        window: of the kernel, in bins.
        sigma: of the kernel, in bins.
        power: 1, one over the density, or 0.5, one over its root.

    Example:
        >>> rare = RareWeights(torch.tensor([[0.0], [0.0], [0.0], [1.0]]), 2, 1, 1.0, 1.0)
        >>> rare(torch.tensor([[0.0], [1.0]])).round(decimals=3).tolist()
        [0.667, 2.0]
    """

    weight: Tensor

    def __init__(self, targets: Float[Tensor, "n 1"], bins: int, window: int, sigma: float, power: float) -> None:
        super().__init__()
        self.bins = LabelBins(targets, bins)
        share = torch.bincount(self.bins(targets), minlength=bins).double() / len(targets)  # p
        kernel = gaussian_bins(bins, window, sigma)
        density = (kernel / kernel.sum(1, keepdim=True)) @ share
        # no training row is in a bin without density; it has the rarest bin's weight all the same, for safety
        weight = torch.where(density > 0, density, density[density > 0].min()) ** -power
        self.register_buffer("weight", weight / (share * weight).sum())

    def forward(self, y: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Return the weight (n,) of each target."""
        return self.weight[self.bins(y)]
