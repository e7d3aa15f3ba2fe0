"""Classify: one output a class, trained by the cross-entropy; the prediction is the class of the largest output."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError


@dataclass(frozen=True)
class Classify:
    """Tell classes apart by a linear output for each, trained with the cross-entropy.

    Formula: loss = mean over rows of -log softmax(out)_class; prediction = argmax of out. Classes are codes 0 .. c-1,
    kept as numbers (n, 1) where other predictors have targets (n, k).

    Example:
        >>> out = torch.tensor([[0.0, 0.0], [0.0, 9.0]])
        >>> round(Classify().loss(out, torch.tensor([[0.0], [1.0]])).item(), 3)  # (log 2 + log(1 + exp(-9))) / 2
        0.347
        >>> Classify().decode(out).tolist()
        [[0.0], [1.0]]

    Source: Bishop 2006, Pattern Recognition and Machine Learning, equation 4.108.
    """

    def outputs(self, k: int) -> int:
        """Return k, the number of classes: one output for each."""
        return k

    def loss(self, out: Float[Tensor, "n c"], target: Float[Tensor, "n 1"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy, in float32 or wider.

        Args:
            out: (n, c) the head's outputs.
            target: (n, 1) codes of the classes, whole numbers from 0 to c - 1. float32 holds codes up to 16 million,
                bfloat16 only up to 256: do not round them.

        Returns:
            A scalar.

        Raises:
            ShapeError: the shapes are not (n, c) and (n, 1) with n >= 1, or a code is no class.
        """
        if out.ndim != 2 or target.shape != (len(out), 1) or not out.numel():
            raise ShapeError(
                "Classify expects outputs (n, c) and class codes (n, 1) with n >= 1, "
                f"but got outputs {tuple(out.shape)} and targets {tuple(target.shape)}.\n"
                "Give the codes as category[:, None]."
            )
        code, c = target[:, 0].to(out.device).long(), out.shape[1]
        low, high = int(code.min()), int(code.max())
        if low < 0 or high >= c or not bool((code == target[:, 0].to(out.device)).all()):
            raise ShapeError(
                f"Classify expects whole class codes from 0 to {c - 1}, but they go from {target.min():g} to "
                f"{target.max():g}. Leave out the rows without a label."
            )
        return torch.nn.functional.cross_entropy(out.to(torch.promote_types(out.dtype, torch.float32)), code)

    def decode(self, out: Float[Tensor, "n c"]) -> Float[Tensor, "n 1"]:
        """Return the code of the class with the largest output; of equals, the first."""
        return out.argmax(dim=1, keepdim=True).to(torch.promote_types(out.dtype, torch.float32))
