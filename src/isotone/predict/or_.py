"""OR: one yes-or-no question for each threshold, "is the target above it?"; the prediction counts the yeses."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.predict.bins import apart, at_place, levels
from isotone.records import Bins


@dataclass(frozen=True)
class OR:
    """Predict by independent answers to "y > r_j?" for the thresholds r_j between neighbouring bins.

    Formula: loss = mean over rows, target dimensions and thresholds of -log σ(out_j) where y > r_j, -log σ(-out_j)
    elsewhere; prediction = the centre of bin Σ_j 1[σ(out_j) > ½], counted from 0. Niu et al. sum over the thresholds;
    the mean lets one learning rate suit any number of them. The answers need not be monotone, the prediction never
    leaves the bins, and it is one of their centres.

    Args:
        bins: of each target dimension, each with outputs of its own.

    Example:
        >>> niu = OR(Bins((0.0,), (2.0,), 3))
        >>> out = torch.tensor([[0.0, 0.0]])
        >>> round(niu.loss(out, torch.tensor([[1.2]])).item(), 4), niu.decode(torch.tensor([[4.0, -4.0]])).item()
        (0.6931, 1.0)

    Source: Niu, Zhou, Wang, Gao, Hua 2016, doi:10.1109/CVPR.2016.532; Zha et al. 2023, arXiv 2210.01189, table 2.
    """

    bins: Bins

    def outputs(self, k: int) -> int:
        """Return k times the number of thresholds, one less than bins."""
        return k * (self.bins.count - 1)

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean binary cross-entropy, in float32 or wider; 0, joined to the graph, for a single bin.

        Args:
            out: (n, k * (bins - 1)) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar.

        Raises:
            ShapeError: the shapes do not fit the bins, or n = 0.
        """
        logits, place = apart(out, target, self.bins, each=self.bins.count - 1, owner="OR")
        if not logits.numel():
            return logits.sum()
        above = levels(place, self.bins)[..., None] > torch.arange(logits.shape[2], device=logits.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, above.to(logits.dtype))

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the centre of the bin whose number is that of the probabilities above ½."""
        k = len(self.bins.low)
        yes = (out.reshape(len(out), k, self.bins.count - 1) > 0).sum(dim=2)
        return at_place(yes.to(torch.promote_types(out.dtype, torch.float32)), self.bins)
