"""Every loss on two and three processes (gloo, uneven rows) has the gradient of one process with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORKER = """
import torch
import torch.distributed as dist
from contract.cases import CASES, answers, views
from isotone.candidates import gather

dist.init_process_group("gloo")
rank, ranks = dist.get_rank(), dist.get_world_size()
for case in CASES:
    z, y = views(11, 6, seed=4, dtype=torch.float32), answers(case, 11, seed=4)
    whole = z.clone().requires_grad_()
    value = case.loss(whole, y)
    (expected,) = torch.autograd.grad(value, whole)
    mine = torch.tensor_split(torch.arange(11), ranks)[rank]  # uneven: 6 + 5, or 4 + 4 + 3
    local = z[mine].clone().requires_grad_()
    found = case.loss(gather(local), gather(y[mine]))
    (gradient,) = torch.autograd.grad(found, local)
    gradient = gradient / ranks  # as data parallel training averages over processes
    error = float((gradient - expected[mine]).norm() / expected.norm())
    print(f"{case.name}: value {abs(float(found - value)):.1e}, gradient {error:.1e}")
    assert torch.allclose(found, value, rtol=1e-6), case.name
    assert error < 1e-6, case.name
dist.destroy_process_group()
"""


@pytest.mark.parametrize("processes", [2, 3])
def test_the_gradient_is_that_of_one_process(tmp_path: Path, processes: int) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
