"""C-Mixup: train on mixtures of two samples, the second drawn the more often the closer its target is.

Where this differs from the paper's algorithm: a partner is drawn from the batch, over all processes, not from the whole
training set, so that no second sample has to be decoded; a rare target in a small batch has few partners but itself.
And each sample has an `a` of its own, where the authors' code (github.com/huaxiuyao/C-Mixup) draws one for the whole
batch: the expected loss is the same, but no step has only plain or only half-and-half mixtures, so steps vary less.

Source: Yao, Wang, Zhang, Zou, Finn, "C-Mixup: Improving Generalization in Regression", NeurIPS 2022, arXiv 2210.05775,
section 3, equation 6.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from scipy.special import betaincinv
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.data.draws import sample_draws
from isotone.methods import end_to_end
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class CMixup:
    """Trains end to end on mixtures of each sample with another of the batch whose target is close.

    `x~ = a x_i + (1 - a) x_j` and `y~ = a y_i + (1 - a) y_j` with `a ~ Beta(alpha, alpha)`; j is drawn with
    probability `p(j | i) ~ exp(-|y_i - y_j|^2 / (2 bandwidth^2))`, i itself included, as in the paper. Each sample has
    its own draws, the same for all its views. Several targets are close by their Euclidean distance.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        alpha: of the Beta distribution, above 0: small ones mix little, 1 any share alike; the paper's 0.5 to 2.
        bandwidth: in standard deviations of the targets; the paper tunes it for each data set.
        views: augmented copies of each sample in a batch.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    alpha: float = 2.0
    bandwidth: float = 0.2
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    default_lr = property(end_to_end.default_lr)
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        end_to_end.check_settings(self.head, self.views)
        check.between("alpha", self.alpha, 0.001, 1000)
        check.positive("bandwidth", self.bandwidth)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top."""
        return end_to_end.network(self.head, encoder, facts)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss of the mixtures of all rows in all processes."""
        del memory
        assert batch.tags.scaled is not None, "the loop fills `scaled` for a regression data set"
        draws, y = sample_draws(batch, 2, "cmixup"), batch.tags.scaled
        all_views = gather(batch.views.transpose(0, 1)).transpose(0, 1)  # (v, all b, ...)
        all_y = gather(y)
        j = partners(y, all_y, draws[:, 0], self.bandwidth)
        share = _beta(draws[:, 1], self.alpha)  # (b,)
        views = _mixed(
            share.to(batch.views.dtype).view(1, -1, *[1] * (batch.views.dim() - 2)), batch.views, all_views[:, j]
        )
        out = net(views.flatten(0, 1))
        target = _mixed(share[:, None], y, all_y[j]).repeat(len(views), 1)
        return LossOutput(predictor(self.head).loss(gather(out), gather(target)))

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error of plain rows, in standard deviations of the target."""
        return end_to_end.error(self.head, out, tags)


def partners(
    y: Float[Tensor, "n k"], others: Float[Tensor, "m k"], u: Float[Tensor, " n"], bandwidth: float
) -> Int[Tensor, " n"]:
    """Return for each target the place j of its partner, with `p(j) ~ exp(-|y - others_j|^2 / (2 bandwidth^2))`.

    Args:
        y: (n, k) float64.
        others: (m, k) float64, y among them, so that no row of probabilities vanishes.
        u: (n,) in [0, 1): which part of the probability is drawn.
        bandwidth: above 0, in the unit of the targets.

    Example:
        >>> y = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        >>> partners(y, y, torch.tensor([0.9, 0.1], dtype=torch.float64), 0.1).tolist()  # too far to be drawn
        [0, 1]
    """
    apart = (y[:, None, :] - others[None, :, :]).square().sum(2)  # (n, m)
    below = torch.softmax(-apart / (2 * bandwidth**2), dim=1).cumsum(1)
    return torch.searchsorted(below, (u * below[:, -1])[:, None], right=True)[:, 0].clamp(max=len(others) - 1)


# ----------------------------------------------------------------------------------------------------------------------


def _beta(u: Float[Tensor, " n"], alpha: float) -> Float[Tensor, " n"]:
    """Return draws from Beta(alpha, alpha), by its inverse distribution function at uniform draws."""
    return torch.from_numpy(betaincinv(alpha, alpha, u.cpu().numpy())).to(u.device)


def _mixed(share: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return share * first + (1 - share) * second
