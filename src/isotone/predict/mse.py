"""MSE: the prediction is the head's output, trained by the mean squared error; it estimates the conditional mean."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.predict.l1 import residual


@dataclass(frozen=True)
class MSE:
    """Predict by a linear output trained with the squared error.

    Formula: loss = mean over rows and target dimensions of (out - target)²; prediction = out.

    Example:
        >>> MSE().loss(torch.tensor([[1.0], [4.0]]), torch.tensor([[0.0], [2.0]])).item()
        2.5

    Source: Zha et al. 2023, arXiv 2210.01189, table 2, row MSE.
    """

    def outputs(self, k: int) -> int:
        """Return k: one output for each target dimension."""
        return k

    def loss(self, out: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean squared error, in float32 or wider.

        Args:
            out: (n, k) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar; infinite in float32 where an error exceeds 1.8e19.

        Raises:
            ShapeError: the shapes differ, are not (n, k), or n = 0.
        """
        return torch.square(residual(out, target)).mean()

    def decode(self, out: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the outputs as they are."""
        return out
