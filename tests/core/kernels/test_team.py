"""Every piece of work is done once, on any number of threads, with torch's team and without it."""

import numpy as np
import pytest
import torch

from isotone.core.kernels import team
from isotone.core.kernels.rnc_rows import installed, rnc_rows

pytestmark = pytest.mark.skipif(not installed(), reason="numba, the extra `fast`, is not installed")


@pytest.mark.parametrize("openmp", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_piece_is_done_once(monkeypatch: pytest.MonkeyPatch, openmp: bool, threads: int) -> None:
    if not openmp:
        monkeypatch.setattr(team, "_openmp", lambda: None)
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(203, 4)))
    y = torch.arange(203, dtype=torch.float64) % 50
    before = torch.get_num_threads()
    expected = rnc_rows(z, y, 2.0)
    try:
        torch.set_num_threads(threads)
        found = rnc_rows(z, y, 2.0)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
