"""CORN: each threshold is asked of the rows that passed the one before, so the probabilities of passing only fall."""

from dataclasses import dataclass
from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.predict.bins import apart, at_place, levels
from isotone.records import Bins


@dataclass(frozen=True)
class CORN:
    """Predict by conditional answers to "y > r_j, given y > r_j-1?" for the thresholds r_j between neighbouring bins.

    Formula: task j has the rows with y > r_j-1, the first one all rows; loss = sum over tasks and their rows of
    -log σ(out_j) where y > r_j, -log σ(-out_j) elsewhere, divided by the number of these terms; a task without rows
    adds none. P(y > r_j) = Π_i<=j σ(out_i); prediction = the centre of bin Σ_j 1[P(y > r_j) > ½], counted from 0. It
    never leaves the bins, and it is one of their centres.

    Args:
        bins: of each target dimension, each with outputs of its own.

    Example:
        >>> corn = CORN(Bins((0.0,), (2.0,), 3))
        >>> y = torch.tensor([[0.0], [2.0]])  # two rows in the first task, one in the second
        >>> round(corn.loss(torch.zeros(2, 2), y).item(), 4), corn.decode(torch.tensor([[0.5, 0.3]])).item()
        (0.6931, 1.0)

    Source: Shi, Cao, Raschka 2023, doi:10.1007/s10044-023-01181-9, equations 5 to 7; Zha et al. 2023, table 2.
    """

    bins: Bins

    def outputs(self, k: int) -> int:
        """Return k times the number of thresholds, one less than bins."""
        return k * (self.bins.count - 1)

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean over all rows of all tasks, in float32 or wider; 0, joined to the graph, for a single bin.

        Args:
            out: (n, k * (bins - 1)) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar.

        Raises:
            ShapeError: the shapes do not fit the bins, or n = 0.
        """
        logits, place = apart(out, target, self.bins, each=self.bins.count - 1, owner="CORN")
        if not logits.numel():
            return logits.sum()
        passed, task = levels(place, self.bins)[..., None], torch.arange(logits.shape[2], device=logits.device)
        asked = passed >= task  # (n, k, bins - 1); of the first task everyone
        terms = torch.nn.functional.softplus(torch.where(passed > task, -logits, logits))
        return torch.where(asked, terms, 0.0).sum() / asked.sum()

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the centre of the bin whose number is that of the thresholds passed with a probability above ½."""
        wide = out.to(torch.promote_types(out.dtype, torch.float32))
        steps = wide.reshape(len(out), len(self.bins.low), self.bins.count - 1)
        passed = torch.nn.functional.logsigmoid(steps).cumsum(dim=2) > log(0.5)
        return at_place(passed.sum(dim=2).to(wide.dtype), self.bins)
