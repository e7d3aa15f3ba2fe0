"""Outputs for chosen rows: in any chunks the same, the network left as it was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from isotone.train.forward import forward
from isotone.train.loop import Job


def test_chunks_do_not_matter_and_the_mode_comes_back(tmp_path: Path, job: Callable[..., Job]) -> None:
    made = job(tmp_path / "x")
    made.net.train()
    rows = np.array([5, 3, 9, 100, 7])
    device = torch.device("cpu")
    whole = forward(made.net, made.dataset, rows, made.views, device=device)
    parts = forward(made.net, made.dataset, rows, made.views, device=device, chunk=2)
    torch.testing.assert_close(whole, parts)
    assert made.net.training
    assert not whole.requires_grad
    seen = forward(made.net, made.dataset, rows, made.views, device=device, epoch=0)
    assert not torch.equal(seen, whole)
