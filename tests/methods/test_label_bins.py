"""Bins of a target: whole numbers keep theirs, rounding moves none; the kernel is a Gaussian in a window."""

import math

import pytest
import torch

from isotone.errors import ConfigError
from isotone.methods.label_bins import LabelBins, check_bins, gaussian_bins


def _column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_each_year_has_its_own_bin_however_it_is_scaled() -> None:
    age = torch.arange(1, 102, dtype=torch.float64)[:, None]
    for mean, std in ((0.0, 1.0), (43.21, 13.7), (44.96, 17.003)):
        y = (age - mean) / std
        assert torch.equal(LabelBins(y, 101)(y), torch.arange(101))


def test_targets_beyond_the_ends_are_in_the_last_bins_and_constant_ones_in_the_first() -> None:
    bins = LabelBins(_column(0, 10), 11)
    assert bins(_column(-5, 0.4, 0.6, 99)).tolist() == [0, 0, 1, 10]
    assert LabelBins(_column(3, 3), 11)(_column(3, 3)).tolist() == [0, 0]


def test_the_kernel_by_hand() -> None:
    # sigma 2: exp(-1/8) = 0.8825 next door, exp(-4/8) = 0.6065 two doors down, and a window of 5 ends there
    row = gaussian_bins(7, 5, 2.0)[3]
    near, far = math.exp(-1 / 8), math.exp(-1 / 2)
    assert row.tolist() == pytest.approx([0, far, near, 1, near, far, 0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((1, 5, 2.0), "`label_bins` must be between 2 and 10,000, got 1."),
        ((9, 0, 2.0), "`kernel_bins` must be between 1 and 999, got 0."),
        ((9, 4, 2.0), "`kernel_bins` must be an odd number, the bin itself and as many on either side, got 4."),
        ((9, 5, 0.0), "`kernel_sigma` must be a finite number above 0, got 0.0."),
    ],
)
def test_settings_out_of_range(settings: tuple[int, int, float], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_bins(*settings)
    assert str(caught.value) == said
