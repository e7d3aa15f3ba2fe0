"""Ordinal entropy: features of unlike targets are spread, the more the further apart these are; of like ones, drawn in.

This is the paper's formula, not the authors' code (github.com/needylove/OrdinalEntropy), which differs from it: there
|y_i - y_j| becomes (|y_i - y_j| - min) / max over the pairs of the batch, so one far target weakens all other pairs. Of
64 normal targets that makes a mean weight of 0.25, here it is 1.13 (256: 0.22 and 1.13): at equal lambda `spread` acts
about 5 times as strongly as in the code; divide a lambda of theirs by 5. Their code for ages squares the distances of
L_t, a pull that fades near the centre and here does not; takes the mean over the rows off their centre alone, here over
all n, so that lone targets weaken it; and averages features before it brings them to length 1, where long ones lead,
here after.

Source: Zhang, Yang, Bi Mi, Zheng, Yao, "Improving Deep Regression with Ordinal Entropy", ICLR 2023, arXiv 2301.08915,
section 3.3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from isotone import check
from isotone.candidates import gather
from isotone.core.similarity import negative_l2, unit
from isotone.methods import end_to_end
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class OrdinalEntropy:
    """Trains end to end with a term that spreads the features by the distance of targets, and one that gathers ties.

    `L = l(out, y) + spread L_d + tightness L_t`, `L_d = -1 / (M (M - 1)) sum over i != j of |y_i - y_j| |c_i - c_j|`
    over the M distinct targets of the batch, `L_t = 1 / n sum over rows of |z - c(y)|`; z are the representations at
    length 1 and c(y) the mean of those with target y, at length 1 again.

    Targets that are all distinct are each their own centre: L_t is 0 then, unless there are several views.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        spread: weight of L_d, the paper's lambda_d; distances of targets are in standard deviations.
        tightness: weight of L_t, the paper's lambda_t.
        views: augmented copies of each sample in a batch.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    spread: float = 0.1
    tightness: float = 0.1
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    default_lr = property(end_to_end.default_lr)
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        end_to_end.check_settings(self.head, self.views)
        check.between("spread", self.spread, 0, 1_000_000)
        check.between("tightness", self.tightness, 0, 1_000_000)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top, and both outputs beside each other as the part `beside`."""
        return end_to_end.beside(self.head, encoder, facts)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss and both terms, over the rows of all processes."""
        del memory
        y = end_to_end.answers(batch)
        h, out = end_to_end.split(end_to_end.outputs(net, batch, "beside"), y.shape[1])
        plain = predictor(self.head).loss(out, y)
        assert batch.tags.target is not None, "the loop fills `target` for a regression data set"
        ties = gather(batch.tags.target).repeat_interleave(batch.views.shape[0], 0)  # unscaled: what ties stays tied
        far, near = ordinal_entropy(h, y, ties)
        parts = {"error": plain.detach(), "spread": far.detach(), "tightness": near.detach()}
        return LossOutput(plain + self.spread * far + self.tightness * near, parts)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error in standard deviations of the target."""
        return end_to_end.error(self.head, out, tags)


def ordinal_entropy(
    h: Float[Tensor, "n d"], y: Float[Tensor, "n k"], ties: Float[Tensor, "n k"] | None = None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return `L_d` and `L_t`: minus the centres' weighted mean distance, and the rows' mean distance from their centre.

    Args:
        h: (n, d) representations of any length.
        y: (n, k) targets, whose Euclidean distances are the weights.
        ties: (n, k) rows with one value have one centre; None takes y.

    Returns:
        Two scalars; `L_d` is 0 with a single distinct target, and 0 is where a row at its centre has its gradient.

    Example:
        >>> far, near = ordinal_entropy(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0], [3.0]]))
        >>> round(far.item(), 4), near.item()  # -3 * sqrt(2): both ordered pairs, over 2
        (-4.2426, 0.0)
    """
    z = unit(h)
    found, which = (y if ties is None else ties).unique(dim=0, return_inverse=True)
    member = functional.one_hot(which, len(found)).to(z.dtype)  # (n, M); a product sums in one order on every device
    size = member.sum(0)[:, None]
    centre = unit(member.T @ z / size)  # (M, d)
    wide = y.to(torch.promote_types(y.dtype, z.dtype))
    y_centre = member.to(wide.dtype).T @ wide / size.to(wide.dtype)
    m = len(found)
    weight = -negative_l2(y_centre, y_centre)
    far = (weight * negative_l2(centre, centre)).sum() / max(1, m * (m - 1))
    near = (z - centre[which]).norm(dim=1).mean()
    return far, near
