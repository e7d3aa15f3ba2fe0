"""Two processes that take a few rows at a time, run out of memory one at a time, and still take the steps of one.

The settings are those of `test_two_processes.py`, for the reasons given there.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

FIT = """
import os
import sys
import torch
from sklearn.datasets import load_digits
from isotone.api import fit
from isotone.methods import rnc
from isotone.nets.encoders import build_encoder

out, method, micro_batch, fault = sys.argv[1:]
second = os.environ.get("RANK", "0") == "1"
found = load_digits()
images = (found.images[:160] * (255 / 16)).astype("uint8")
calls = 0


class Short(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        global calls
        calls += self.training
        if fault == "network" and second and self.training and calls in (3, 30):  # on the second process alone
            raise torch.OutOfMemoryError("CUDA out of memory.")
        h = self.net(x)
        if fault == "network" and second and self.training and calls in (9, 10) and h.requires_grad:
            h.register_hook(fail)
        return h


def fail(*_, **__):
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


if fault == "loss" and second:
    rnc.unchecked_rnc = fail
encoder, _ = build_encoder("small-cnn", kind="image", shape=(1, 8, 8), norm="group", seed=0)
run = fit((images, found.images[:160].mean((1, 2))), method=method, out=out, norm="group", device="cpu",
          passes=20 if method == "rnc" else 10, batch_size=55, lr=0.005, augment=["flip", "noise"],
          micro_batch=int(micro_batch), encoder=Short(encoder))
"""

STEP = """
import copy
import torch
import torch.distributed as dist
from torch import nn
from isotone.candidates import gather
from isotone.losses import rnc
from isotone.train import cached_backward

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
whole, (x, y) = copy.deepcopy(net), (torch.randn(21, 8), torch.rand(21))
share = slice(0, 12) if rank == 0 else slice(12, 21)
parallel = nn.parallel.DistributedDataParallel(net)
sent = 0


def hook(state, bucket):
    global sent
    sent += 1
    work = dist.all_reduce(bucket.buffer().div_(2), async_op=True).get_future()
    return work.then(lambda done: done.value()[0])


parallel.register_comm_hook(None, hook)
for step, micro_batch in enumerate((5, 9, 1, 12)):  # 9 and 12: one of the shares, or both, would fit at once
    loss = cached_backward(parallel, x[share], lambda z: rnc(gather(z), gather(y[share])), micro_batch=micro_batch)
    expected = rnc(whole(x), y)
    expected.backward()
    assert sent == step + 1, f"gradients were sent {sent} times in {step + 1} steps"
    assert abs(float(loss) - float(expected.detach())) < 1e-6
    found, right = (torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (net, whole))
    error = float((found - right).norm() / right.norm())
    print(f"micro_batch {micro_batch}: relative gradient error {error:.1e}")
    assert error < 1e-6
    for m in (net, whole):
        torch.optim.SGD(m.parameters(), lr=0.1).step()
        m.zero_grad()
"""


def _launch(folder: Path, worker: str, processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    script = folder / "worker.py"
    script.write_text(worker)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*(launch if processes > 1 else [sys.executable]), str(script), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=250)


def _fit(folder: Path, processes: int, method: str, micro_batch: int, fault: str = "") -> tuple[dict[str, object], str]:
    out = folder / f"{method}-{processes}-{micro_batch}{fault}"
    done = _launch(folder, FIT, processes, str(out), method, str(micro_batch), fault)
    assert done.returncode == 0, done.stdout + done.stderr
    newest = sorted((out / "checkpoints").iterdir())[-1]
    return {"step": newest.name, **load_file(newest / "model.safetensors")}, done.stderr


@pytest.mark.parametrize("method", ["rnc", "baseline"])
def test_two_processes_in_chunks_equal_one_without(tmp_path: Path, method: str) -> None:
    (one, _), (two, _) = _fit(tmp_path, 1, method, 0), _fit(tmp_path, 2, method, 9)
    short, said = _fit(tmp_path, 2, method, 0, "network")
    assert said.count("out of memory at step ") == 3  # once each, from the process that speaks
    for name, other in (("in chunks", two), ("short of memory", short)):
        assert one["step"] == other["step"] == "step-00000020"
        worst = max(float((one[key] - other[key]).abs().max()) for key in one.keys() - {"step"})  # type: ignore[operator]
        print(f"{method}, {name}: largest weight difference after 20 steps {worst:.1e}")
        assert worst < 1e-6


def test_one_process_that_runs_out_in_the_loss_ends_the_run_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    done = _launch(tmp_path, FIT, 2, str(tmp_path / "run"), "rnc", "0", "loss")
    assert done.returncode != 0
    assert time.monotonic() - began < 120
    assert "out of memory at step 1 of 20, in the loss of the whole batch on one process of several" in done.stderr


def test_ones_own_loop_with_distributed_data_parallel_sends_gradients_once(tmp_path: Path) -> None:
    done = _launch(tmp_path, STEP, 2)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
