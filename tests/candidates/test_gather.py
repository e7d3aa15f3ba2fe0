"""Gather on one process; two processes are tested in tests/distributed."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor

from isotone.candidates import gather
from isotone.losses import rnc


def test_one_process_gets_its_own_rows() -> None:
    x = torch.randn(3, 2)
    assert gather(x) is x


def _work(rank: int, folder: str, z: Tensor, y: Tensor) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows = slice(0, 3) if rank == 0 else slice(3, 5)  # uneven
    local = z[rows].clone().requires_grad_()
    rnc(gather(local), gather(y[rows])).backward()
    assert local.grad is not None
    torch.distributed.destroy_process_group()
    Path(folder, f"{rank}.txt").write_text("\n".join(" ".join(map(repr, row)) for row in local.grad.tolist()))


@pytest.mark.slow
def test_uneven_rows_of_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    make = torch.Generator().manual_seed(0)
    z = torch.randn(5, 2, generator=make, dtype=torch.float64)
    y = torch.rand(5, generator=make, dtype=torch.float64)
    whole = z.clone().requires_grad_()
    rnc(whole, y).backward()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    mp.spawn(_work, args=(str(tmp_path), z, y), nprocs=2)  # type: ignore[attr-defined]
    lines = (tmp_path / "0.txt").read_text().splitlines() + (tmp_path / "1.txt").read_text().splitlines()
    found = torch.tensor([[float(x) for x in line.split()] for line in lines], dtype=torch.float64)
    assert whole.grad is not None
    torch.testing.assert_close(found / 2, whole.grad)  # data parallel training averages over the two
