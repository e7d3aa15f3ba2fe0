"""DEX: a softmax over bins of the target, trained as a classifier; the prediction is the expectation over the bins."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.predict.bins import apart, at_place, levels
from isotone.records import Bins


@dataclass(frozen=True)
class DEX:
    """Predict by a probability for each bin: deep expectation.

    Formula: with p = softmax(out) over the bins and c their centres, loss = mean over rows and target dimensions of
    -log p_true, the true bin being the one whose centre is nearest; prediction = Σ p_j c_j. It never leaves the bins,
    and a target beyond them counts as in the last one.

    Args:
        bins: of each target dimension, each with outputs of its own.

    Example:
        >>> dex = DEX(Bins((0.0,), (2.0,), 3))
        >>> out = torch.tensor([[0.0, 0.0, 0.0]])
        >>> round(dex.loss(out, torch.tensor([[1.2]])).item(), 4), dex.decode(out).item()  # log 3, (0 + 1 + 2) / 3
        (1.0986, 1.0)

    Source: Rothe, Timofte, Van Gool 2018, doi:10.1007/s11263-016-0940-3; Zha et al. 2023, arXiv 2210.01189, table 2.
    """

    bins: Bins

    def outputs(self, k: int) -> int:
        """Return k times the number of bins: one output for each."""
        return k * self.bins.count

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy on the true bins, in float32 or wider.

        Args:
            out: (n, k * bins) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar.

        Raises:
            ShapeError: the shapes do not fit the bins, or n = 0.
        """
        logits, place = apart(out, target, self.bins, each=self.bins.count, owner="DEX")
        true = levels(place, self.bins).long()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), true.flatten())

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the expectation over the bins."""
        return expectation(out, self.bins)


def expectation(out: Float[Tensor, "n o"], bins: Bins) -> Float[Tensor, "n k"]:
    """Return Σ p_j c_j for each target dimension, p the softmax of its outputs, in float32 or wider.

    Args:
        out: (n, k * bins) the head's outputs.
        bins: of k dimensions.

    Example:
        >>> expectation(torch.tensor([[0.0, 0.0, 99.0]]), Bins((0.0,), (2.0,), 3)).item()
        2.0
    """
    p = out.to(torch.promote_types(out.dtype, torch.float32)).unflatten(1, (-1, bins.count)).softmax(dim=2)
    return at_place(p @ torch.arange(bins.count, device=p.device, dtype=p.dtype), bins)
