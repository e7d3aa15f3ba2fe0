"""Synthetic representations that are hard for a linear fit; the mark of tests that the shape hook would spoil."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

Data = tuple[torch.Tensor, ...]


@pytest.fixture(scope="session")
def curve() -> Callable[..., Data]:
    """A maker of RnC-like data: h, y of train, validation and test; the targets are standardised.

    One large direction holds a noisy copy of the target, a curve bends through four more, and what corrects the noise
    lies in a direction 1,000 times smaller; every feature has its own large mean and a little noise of its own.
    """

    def make(seed: int, n: int = 600, d: int = 128, heavy: bool = False) -> Data:
        draw = np.random.default_rng(seed)
        rows = n + 300 + 1000
        y = draw.uniform(-1.7, 1.7, rows)
        main = y + 0.25 * draw.normal(size=rows)
        side = 0.6 * (y - main) + 0.1 * draw.normal(size=rows)
        low = np.stack([30 * main, 10 * np.sin(2 * main), 5 * np.cos(2 * main), 0.03 * side], axis=1)
        noise = 0.003 * draw.normal(size=(rows, d))
        h = low @ draw.normal(size=(4, d)) + noise + 50 * draw.normal(size=d)
        if heavy:
            y = y + 0.3 * draw.standard_cauchy(rows).clip(-30, 30)
        mean, std = y[:n].mean(), y[:n].std()
        h_all, y_all = torch.from_numpy(h).float(), torch.from_numpy((y - mean) / std).float()[:, None]
        return tuple(
            x for part in (slice(n), slice(n, n + 300), slice(n + 300, None)) for x in (h_all[part], y_all[part])
        )

    return make


@pytest.fixture
def unhooked(request: pytest.FixtureRequest) -> None:
    """Skip a test of refused shapes where the type-checking hook, which is not there for users, refuses them first."""
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("the type-checking hook refuses the argument first")
