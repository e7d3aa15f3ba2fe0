"""L1: the prediction is the head's output, trained by the mean absolute error; it estimates the conditional median."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError


@dataclass(frozen=True)
class L1:
    """Predict by a linear output trained with the absolute error.

    Formula: loss = mean over rows and target dimensions of |out - target|; prediction = out.

    Example:
        >>> L1().loss(torch.tensor([[1.0], [4.0]]), torch.tensor([[0.0], [2.0]])).item()
        1.5

    Source: Zha et al. 2023, arXiv 2210.01189, table 2, row L1.
    """

    def outputs(self, k: int) -> int:
        """Return k: one output for each target dimension."""
        return k

    def loss(self, out: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean absolute error, in float32 or wider.

        Args:
            out: (n, k) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar; its gradient is 0 where an output meets its target exactly.

        Raises:
            ShapeError: the shapes differ, are not (n, k), or n = 0.
        """
        return residual(out, target).abs().mean()

    def decode(self, out: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the outputs as they are."""
        return out


def residual(out: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return `out - target` in float32 or wider, and refuse every pair of shapes that would only broadcast.

    Args:
        out: (n, k) the head's outputs; half precision is widened to float32.
        target: (n, k) standardised targets; cast to the outputs' (widened) type and device.

    Returns:
        (n, k).

    Raises:
        ShapeError: the shapes differ, are not (n, k), or n = 0; (n,) against (n, 1) would silently become (n, n).

    Example:
        >>> residual(torch.ones(2, 1), torch.zeros(2, 1)).flatten().tolist()
        [1.0, 1.0]
    """
    if out.ndim != 2 or target.ndim != 2 or out.shape != target.shape or not len(out):
        raise ShapeError(
            "A predictor's loss expects outputs and targets of one shape (n, k) with n >= 1, "
            f"but got outputs {tuple(out.shape)} and targets {tuple(target.shape)}.\n"
            "Give both as (n, k); for one target dimension, use target[:, None]."
        )
    wide = torch.promote_types(out.dtype, torch.float32)
    return out.to(wide) - target.to(out.device, wide)
