"""Wrong labels: as many as asked for, always wrong, never in the test, the same for the same seed."""

import numpy as np
import pytest

from isotone.data.arrays import load_arrays
from isotone.data.noise import wrong_labels
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.records import Dataset


def _data(noise: float = 0.0, n: int = 4000) -> Dataset:
    y = np.array(["a", "b", "c"])[np.arange(n) % 3]
    settings = DataSettings(label_noise=noise)
    return load_arrays(np.arange(n, dtype=float)[:, None], y, settings=settings, seed=0, category=True)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_share_is_wrong_and_the_test_is_right(share: float) -> None:
    clean, noisy = _data(), _data(share)
    assert clean.category is not None
    assert noisy.category is not None
    wrong = clean.category != noisy.category
    seen = noisy.split != "test"
    assert wrong[~seen].sum() == 0
    assert wrong[seen].mean() == pytest.approx(share, abs=3 * (share * (1 - share) / seen.sum()) ** 0.5)
    moved = (noisy.category - clean.category)[wrong] % 3  # both other classes, equally often
    assert (moved == 1).mean() == pytest.approx(0.5, abs=0.06)
    assert np.array_equal(clean.split, noisy.split)


def test_the_seed_decides() -> None:
    clean = _data()
    a, b, other = (wrong_labels(clean, 0.5, seed).category for seed in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)
    assert wrong_labels(clean, 0.0, 0) is clean


def test_numbers_have_no_wrong_class() -> None:
    with pytest.raises(ConfigError) as caught:
        load_arrays(np.eye(20), np.arange(20.0), settings=DataSettings(label_noise=0.5), seed=0)
    assert str(caught.value) == (
        "`label_noise` replaces classes, but the data name none. Leave it out, or name a --category."
    )
