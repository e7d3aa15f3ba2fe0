"""Bins of one target and the Gaussian over neighbouring bins: what LDS smooths a density with, and FDS statistics.

Source: Yang, Zha, Chen, Wang, Katabi, "Delving into Deep Imbalanced Regression", ICML 2021, arXiv 2102.09554,
sections 3.1 and 3.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.errors import ConfigError


class LabelBins(nn.Module):
    """Bins whose centres are evenly spaced from the smallest to the largest training target, both included.

    Centres, not edges, lie on the ends: whole numbers from 1 to 101 in 101 bins each have the middle of their own,
    where no rounding can push two of them into one.

    Args:
        targets: (n, 1) of the training rows, finite.
        count: of bins, at least 2.

    Example:
        >>> LabelBins(torch.tensor([[0.0], [3.0], [10.0]]), 11)(torch.tensor([[3.2], [12.0]])).tolist()
        [3, 10]
    """

    low: Tensor
    span: Tensor

    def __init__(self, targets: Float[Tensor, "n 1"], count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("low", targets.min())
        self.register_buffer("span", targets.max() - targets.min())

    def forward(self, y: Float[Tensor, "n 1"]) -> Int[Tensor, " n"]:
        """Return the bin (n,) of each target; beyond the ends it is the last one, and constant targets are in bin 0."""
        place = (y[:, 0] - self.low) / torch.where(self.span > 0, self.span, 1.0)
        return (place * (self.count - 1)).round().long().clamp(0, self.count - 1)


def gaussian_bins(count: int, window: int, sigma: float) -> Float[Tensor, "count count"]:
    """Return the symmetric kernel of bins, `k(b, b') = exp(-(b - b')^2 / (2 sigma^2))`, 0 outside the window.

    The authors' code (github.com/YyzHarry/imbalanced-regression) blurs an impulse of `window` taps that is reflected at
    its ends, which flattens it: for 5 and 2 it is 0.86, 0.95, 1, 0.95, 0.86, here 0.61, 0.88, 1, 0.88, 0.61. So equal
    settings smooth a little less here; a sigma of 3.6 has its ends (0.86, 0.96, 1).

    Args:
        count: of bins.
        window: bins that are looked at, an odd number: the bin itself and as many on either side.
        sigma: in bins.

    Returns:
        (count, count) float64, its rows not yet divided by their sums.

    Example:
        >>> gaussian_bins(3, 3, 1.0)[0].round(decimals=3).tolist()
        [1.0, 0.607, 0.0]
    """
    place = torch.arange(count, dtype=torch.float64)
    apart = (place[:, None] - place[None, :]).abs()
    return torch.exp(-apart.square() / (2 * sigma**2)) * (apart <= window // 2)


def check_bins(bins: int, window: int, sigma: float) -> None:
    """Raise a ConfigError unless the settings of bins and kernel are in range."""
    check.between("label_bins", bins, 2, 10_000)
    check.between("kernel_bins", window, 1, 999)
    if window % 2 == 0:
        raise ConfigError(
            f"`kernel_bins` must be an odd number, the bin itself and as many on either side, got {window}."
        )
    check.positive("kernel_sigma", sigma)
