"""FDS, feature distribution smoothing: the statistics of features at one target lean on those at its neighbours.

Source: Yang, Zha, Chen, Wang, Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, arXiv 2102.09554,
section 3.2.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from isotone import check
from isotone.methods import end_to_end
from isotone.methods.label_bins import LabelBins, check_bins, gaussian_bins
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags

LARGEST_RATIO = 10.0  # of two variances, as the authors' code clamps it, to [0.1, 10]; the paper sets no bound


@dataclass(frozen=True)
class FDS:
    """Trains end to end on features that are moved from their bin's mean and spread to those smoothed over neighbours.

    `m~_b = sum over bins b' of k(b, b') m_b'`, `v~_b` likewise; for a row of bin b the head sees
    `h~ = sqrt(v~_b / v_b) (h - m_b) + m~_b`. Mean m and variance v of a bin's features are taken over an epoch, and
    follow from epoch to epoch by a moving average; during an epoch they stay. Prediction uses h as it is.

    The first epoch collects and changes nothing. A bin needs two rows in an epoch for a variance; one that never had
    them is left as it is and lends nothing. Variances are of single features, and their ratio is kept in 0.1 to 10.
    With few rows take few `label_bins`: 1,680 images at the paper's settings became worse.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        feature_momentum: share of a bin's old statistics that an epoch leaves, 0 to 1; the paper's 0.9.
        label_bins: of the targets, from the smallest to the largest; 101 for ages from 1 to 101 makes one of each year.
        kernel_bins: how many the kernel looks at, an odd number; the paper's 5. 1 does not smooth.
        kernel_sigma: of the Gaussian kernel, in bins; the paper's 2.
        views: augmented copies of each sample in a batch.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    feature_momentum: float = 0.9
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
        check.between("feature_momentum", self.feature_momentum, 0, 1)
        check_bins(self.label_bins, self.kernel_bins, self.kernel_sigma)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top, and the two beside each other as the part `with_head`.

        Raises:
            ConfigError: for several targets.
        """
        end_to_end.one_target("FDS", facts)
        made = end_to_end.network(self.head, encoder, facts)
        assert made.head is not None, "the baseline has a head"
        return Network(encoder, made.head, {"with_head": WithHead(made.head)})

    def memory(self, net: nn.Module, facts: Facts) -> "Statistics":
        """Return the statistics of each bin, none known yet."""
        del net
        assert facts.targets is not None, "the method needs a target"
        bins = LabelBins(torch.from_numpy(facts.targets), self.label_bins)
        return Statistics(
            bins,
            gaussian_bins(self.label_bins, self.kernel_bins, self.kernel_sigma),
            facts.width,
            self.feature_momentum,
        )

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss on the moved features of all rows in all processes."""
        assert isinstance(memory, Statistics), "FDS is trained with the memory that it made"
        rows, y = end_to_end.outputs(net, batch, "with_head"), end_to_end.answers(batch)
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        h, weight, bias = rows.tensor_split([memory.width, 2 * memory.width], dim=1)
        scale, shift = (x.to(h.dtype) for x in memory(y, batch.epoch))
        out = ((scale * h + shift) * weight).sum(1, keepdim=True) + bias
        carry = {"h": h.detach(), "y": y, "epoch": torch.tensor(batch.epoch)}
        return LossOutput(predictor(self.head).loss(out, y), carry=carry)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Count the step's features in the statistics of the epoch."""
        del net
        assert isinstance(memory, Statistics), "FDS is trained with the memory that it made"
        memory.update(out.carry["h"], out.carry["y"], int(out.carry["epoch"]))

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error in standard deviations of the target, of features as they are."""
        return end_to_end.error(self.head, out, tags)


class WithHead(nn.Module):
    """The part `[h | w | b]`: each row with the head's weights beside it, for features are moved before the head.

    A row of a network can be cut off its graph and computed again (gradient caching), but only whole; so the head's
    gradient goes through the rows, too.

    Args:
        head: of one output; it stays the network's, so that its weights are saved once.
    """

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self._head = (head,)  # a tuple, which torch does not register

    def forward(self, encoder: nn.Module, x: Tensor) -> Float[Tensor, "b two_d_and_1"]:
        """Return (b, 2d + 1)."""
        h, head = encoder(x), self._head[0]
        return torch.cat([h, head.weight.expand(len(h), -1), head.bias.expand(len(h), -1)], dim=1)


class Statistics(nn.Module):
    """Mean and variance of the features of each bin: those in use, and those of the epoch that is under way.

    Args:
        bins: of the targets.
        kernel: (bins, bins), at least 0.
        width: of the features, d.
        momentum: share of the old statistics that an epoch leaves.
    """

    kernel: Tensor
    mean: Tensor
    variance: Tensor
    known: Tensor
    count: Tensor
    epoch_mean: Tensor
    epoch_variance: Tensor
    epoch: Tensor

    def __init__(self, bins: LabelBins, kernel: Float[Tensor, "b b"], width: int, momentum: float) -> None:
        super().__init__()
        self.bins, self.width, self.momentum = bins, width, momentum
        self.register_buffer("kernel", kernel)
        for name in ("mean", "variance", "epoch_mean", "epoch_variance"):
            self.register_buffer(name, torch.zeros(bins.count, width, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(bins.count, 1, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(bins.count, 1, dtype=torch.bool))
        self.register_buffer("epoch", torch.tensor(0))

    @torch.no_grad()
    def forward(self, y: Float[Tensor, "n 1"], epoch: int) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Return the scale and the shift (n, d) that take the features of rows to `h~ = scale h + shift`."""
        mean, variance, known = self._in_use(epoch)
        kernel = self.kernel * known.T
        kernel = kernel / kernel.sum(1, keepdim=True).clamp(min=torch.finfo(kernel.dtype).tiny)
        ratio = torch.where(variance > 0, (kernel @ variance) / variance, 1.0)
        scale = torch.where(known, ratio.clamp(1 / LARGEST_RATIO, LARGEST_RATIO).sqrt(), 1.0)
        shift = torch.where(known, kernel @ mean - scale * mean, 0.0)
        place = self.bins(y)
        return scale[place], shift[place]

    @torch.no_grad()
    def update(self, h: Float[Tensor, "n d"], y: Float[Tensor, "n 1"], epoch: int) -> None:
        """Count rows, the same on every process; the first of an epoch put those of the epoch before to use."""
        if epoch != int(self.epoch):
            for own, new in zip((self.mean, self.variance, self.known), self._in_use(epoch), strict=True):
                own.copy_(new)
            for begun in (self.count, self.epoch_mean, self.epoch_variance):
                begun.zero_()
            self.epoch.fill_(epoch)
        # a product, not index_add: on a GPU that one's sums come in any order
        member, h = functional.one_hot(self.bins(y), self.bins.count).to(self.mean).T, h.to(self.mean)
        n = member.sum(1, keepdim=True)
        mean = member @ h / n.clamp(min=1)
        variance = member @ (h - mean[self.bins(y)]).square() / n.clamp(min=1)
        # two sets of rows as one: their variances, and how far their means are apart
        share = n / (self.count + n).clamp(min=1)
        apart = mean - self.epoch_mean
        self.epoch_variance.lerp_(variance, share).add_(share * (1 - share) * apart.square())
        self.epoch_mean.add_(share * apart)
        self.count += n

    def _in_use(self, epoch: int) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"], Bool[Tensor, "b 1"]]:
        """Return mean, variance and whether there are any, those of the epoch before let in where it has ended."""
        if epoch == int(self.epoch):
            return self.mean, self.variance, self.known
        enough = self.count >= 2
        variance = self.epoch_variance * self.count / (self.count - 1).clamp(min=1)
        share = enough * (1 - self.momentum * self.known.to(self.mean))
        mean = self.mean.lerp(self.epoch_mean, share)
        return mean, self.variance.lerp(variance, share), self.known | enough
