"""Huber: squared error near the target, absolute error far from it, so that outliers pull with a bounded force."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import ConfigError
from isotone.predict.l1 import residual


@dataclass(frozen=True)
class Huber:
    """Predict by a linear output trained with the Huber loss.

    Formula: with e = out - target, loss = mean of ½e² where |e| <= δ, and δ(|e| - ½δ) elsewhere; prediction = out.

    Args:
        delta: δ > 0, in standardised units (1 = one standard deviation of the training targets); 1 is torch's default.

    Raises:
        ConfigError: `delta` is not a positive finite number.

    Example:
        >>> Huber().loss(torch.tensor([[1.0], [4.0]]), torch.tensor([[0.5], [2.0]])).item()  # (0.125 + 1.5) / 2
        0.8125

    Source: Huber 1964, doi:10.1214/aoms/1177703732; Zha et al. 2023, arXiv 2210.01189, table 2, row Huber.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise ConfigError(
                f"Huber expects a finite delta > 0, but got {self.delta}. "
                "It is in standardised units: try a value from 0.1 to 2."
            )

    def outputs(self, k: int) -> int:
        """Return k: one output for each target dimension."""
        return k

    def loss(self, out: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean Huber loss, in float32 or wider.

        Args:
            out: (n, k) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar; its gradient with respect to one error never exceeds δ / (n k).

        Raises:
            ShapeError: the shapes differ, are not (n, k), or n = 0.
        """
        error = residual(out, target)
        return torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=self.delta)

    def decode(self, out: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the outputs as they are."""
        return out
