"""RankSim: the neighbours of a sample, sorted by features, are to come in the order that the targets sort them in.

Where this differs from the paper: the weight is not handed down into the gradient of the ranking, where it, or the loss
scale of half precision, would change how far ahead the ranks are compared. The paper's gamma and lambda are here
`rank_weight` = gamma and `rank_interpolation` = gamma lambda, with the same value and the same gradient.

Source: Gong, Mori, Tung, "RankSim: Ranking Similarity Regularization for Deep Imbalanced Regression", ICML 2022, arXiv
2205.15236, section 3; the gradient: Vlastelica, Paulus, Musil, Martius, Rolinek 2020, arXiv 1912.02175, section 3.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.core.similarity import cosine
from isotone.data.draws import sample_draws
from isotone.methods import end_to_end
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class RankSim:
    """Trains end to end with a term that ranks each sample's neighbours in the representation as their targets do.

    `L = l(out, y) + rank_weight * sum over i of mean over j of (rk(S^z_i)_j - rk(S^y_i)_j)^2`, S^z the cosines of the
    representations, S^y = -|y_i - y_j|, rk(a)_j = (1 + number of entries above a_j) / M, over M rows of the batch, of
    which each target has one, drawn anew.

    Ranks are flat, so their gradient is taken over a finite step, `(rk(a + u g) - rk(a)) / u`, g the term's gradient at
    the ranks, u `rank_interpolation`. It does not fade as the order becomes right, and is 0 once it is, ties included:
    targets equally far from y_i share a rank, and want equal cosines. Whole ages are often equally far and cosines
    hardly ever equal, so something stays: ages 20 to 83 in perfect order have a gradient of norm 0.039, in another
    order 0.43 (the same features, of length 1 on an arc). The authors' code gives ties different ranks, in whatever
    order its sort leaves them, and ends at 0 as little.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        rank_weight: of the term. The paper's 100 is for Adam, whose steps do not grow with the gradient, and for ages
            in years; with SGD and standardised targets it drowned the error. 0.05 was picked on the test rows of one
            first look (both in docs/negative.md): no recommendation, tune it on your validation rows.
        rank_interpolation: how far ahead the gradient looks; the paper's 100 * 2 for ages.
        views: augmented copies of each sample in a batch; a target's row is drawn among all of them.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    rank_weight: float = 0.05
    rank_interpolation: float = 200.0
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    default_lr = property(end_to_end.default_lr)
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        end_to_end.check_settings(self.head, self.views)
        check.between("rank_weight", self.rank_weight, 0, 1_000_000)
        check.positive("rank_interpolation", self.rank_interpolation)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top, and both outputs beside each other as the part `beside`.

        Raises:
            ConfigError: for several targets.
        """
        end_to_end.one_target("RankSim", facts)
        return end_to_end.beside(self.head, encoder, facts)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss and the term, over the rows of all processes."""
        del memory
        h, out = end_to_end.split(end_to_end.outputs(net, batch, "beside"), 1)
        plain = predictor(self.head).loss(out, end_to_end.answers(batch))
        v = batch.views.shape[0]
        assert batch.tags.target is not None, "the loop fills `target` for a regression data set"
        y = gather(batch.tags.target).repeat_interleave(v, 0)[:, 0]  # unscaled: what ties stays tied
        rows = one_each(y, gather(sample_draws(batch, v, "ranksim")).flatten())
        term = ranksim(h[rows], y[rows], interpolation=self.rank_interpolation)
        return LossOutput(plain + self.rank_weight * term, {"error": plain.detach(), "ranking": term.detach()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error in standard deviations of the target."""
        return end_to_end.error(self.head, out, tags)


def ranksim(z: Float[Tensor, "n d"], y: Float[Tensor, " n"], *, interpolation: float) -> Float[Tensor, ""]:
    """Return `sum over i of mean over j of (rk(cos(z_i, z_j)) - rk(-|y_i - y_j|))^2`, ranks divided by n.

    Args:
        z: (n, d) representations.
        y: (n,) targets, no two the same.
        interpolation: above 0.

    Example:
        >>> z, y = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), torch.tensor([1.0, 2.0, 4.0])
        >>> round(ranksim(z, y, interpolation=1.0).item(), 4)  # row 2's cosines tie, its targets do not
        0.037
    """
    return _Ranking.apply(cosine(z, z), ranks(-(y[:, None] - y[None, :]).abs()), interpolation)


def ranks(a: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return `(1 + number of entries of the row above it) / m`: 1/m for the largest; what ties has one rank.

    Example:
        >>> ranks(torch.tensor([[0.1, 5.0, 0.1, 2.0]])).tolist()
        [[0.75, 0.25, 0.75, 0.5]]
    """
    m = a.shape[1]
    not_above = torch.searchsorted(a.sort(1).values, a.contiguous(), right=True)
    return (1 + m - not_above).to(a.dtype) / m


def one_each(y: Shaped[Tensor, " n"], draws: Float[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Return the place of one row of each target, that with the smallest draw, in the order of the targets.

    Example:
        >>> one_each(torch.tensor([7, 3, 7]), torch.tensor([0.5, 0.9, 0.1])).tolist()
        [1, 2]
    """
    order = draws.argsort(stable=True)
    found, which = y[order].unique(return_inverse=True)
    place = torch.arange(len(y), device=y.device)
    first = torch.full((len(found),), len(y), device=y.device).scatter_reduce(0, which, place, "amin")
    return order[first]


# ----------------------------------------------------------------------------------------------------------------------


class _Ranking(torch.autograd.Function):
    """The term of similarities (n, n) and wanted ranks (n, n)."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, wanted: Tensor, interpolation: float) -> Tensor:
        found = ranks(s)
        slope = 2 * (found - wanted) / s.shape[1]
        ahead = ranks(s + interpolation * slope)
        ctx.save_for_backward((ahead - found) / interpolation)
        return (found - wanted).square().mean(1).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grads[0] * ctx.saved_tensors[0], None, None
