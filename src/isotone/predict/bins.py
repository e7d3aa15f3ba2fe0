"""What the predictors with bins share: where a target lies among the bins, the outputs apart, and back again.

Everything is in places: 0 is the centre of a dimension's first bin, `count` - 1 that of its last. The thresholds
between neighbouring bins lie halfway, so a target's level is the number of thresholds below it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Bins


def apart(
    out: Float[Tensor, "n o"], target: Float[Tensor, "n k"], bins: Bins, *, each: int, owner: str
) -> tuple[Float[Tensor, "n k each"], Float[Tensor, "n k"]]:
    """Return the outputs of each target dimension, in float32 or wider, and the targets' places.

    Args:
        out: (n, k * each) the head's outputs, those of one dimension side by side.
        target: (n, k) standardised targets; beyond the bins they have places below 0 or above `count` - 1.
        bins: of k dimensions.
        each: outputs of a dimension.
        owner: the predictor's name, for the message.

    Returns:
        (n, k, each), and places (n, k) in the targets' type or wider, since float32 could round one past a threshold.

    Raises:
        ShapeError: the shapes do not fit the bins, or n = 0.

    Example:
        >>> y = torch.tensor([[0.0], [1.5]])
        >>> apart(torch.zeros(2, 3), y, Bins((0.0,), (2.0,), 3), each=3, owner="DEX")[1].tolist()
        [[0.0], [1.5]]
    """
    k = len(bins.low)
    if (
        out.ndim != 2
        or target.ndim != 2
        or not len(out)
        or out.shape != (len(target), k * each)
        or target.shape[1] != k
    ):
        raise ShapeError(
            f"{owner} with {bins.count} bins expects outputs (n, {k * each}) and targets (n, {k}) with n >= 1, "
            f"but got outputs {tuple(out.shape)} and targets {tuple(target.shape)}.\n"
            "Give both by row; for one target dimension, use target[:, None]."
        )
    wide = torch.promote_types(out.dtype, torch.float32)
    y = target.to(out.device, torch.promote_types(target.dtype, wide))
    low, width = _scale(bins, y)
    return out.to(wide).reshape(len(out), k, each), (y - low) / torch.where(width > 0, width, 1.0)


def levels(place: Float[Tensor, "n k"], bins: Bins) -> Float[Tensor, "n k"]:
    """Return the number of thresholds below each place: the nearest bin counted from 0, of two equal the lower.

    Args:
        place: (n, k).
        bins: their count.

    Example:
        >>> levels(torch.tensor([[-3.0], [0.5], [0.6], [9.0]]), Bins((0.0,), (2.0,), 3)).flatten().tolist()
        [0.0, 0.0, 1.0, 2.0]
    """
    return (place - 0.5).ceil().clamp(0, bins.count - 1)


def at_place(place: Float[Tensor, "n k"], bins: Bins) -> Float[Tensor, "n k"]:
    """Return the standardised values at these places; from 0 to `count` - 1 they lie between `low` and `high`.

    Args:
        place: (n, k).
        bins: of k dimensions.

    Example:
        >>> at_place(torch.tensor([[0.0], [1.5]]), Bins((10.0,), (12.0,), 3)).flatten().tolist()
        [10.0, 11.5]
    """
    low, width = _scale(bins, place)
    return low + width * place


# ----------------------------------------------------------------------------------------------------------------------


def _scale(bins: Bins, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first centres and the widths of the bins, (k,) each; a width is 0 where all targets are equal."""
    low, high = like.new_tensor(bins.low), like.new_tensor(bins.high)
    return low, (high - low) / max(1, bins.count - 1)
