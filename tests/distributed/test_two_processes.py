"""Two processes (gloo, CPU) with the same global batch end with the weights of one; group norm, 20 steps.

The learning rate is one at which training is stable: at 0.1 this small net is chaotic, and the rounding of 1e-7 that
two processes add grows to 1e-3 in 20 steps, as it does between any two orders of summation. Noise keeps the two views
of an image apart: the gradient of a distance is a unit vector, which for all but coincident rows is made of rounding.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

WORKER = """
import sys
import numpy as np
from sklearn.datasets import load_digits
from isotone.api import fit

out, method, batch = sys.argv[1:]
found = load_digits()
images = (found.images[:160] * (255 / 16)).astype(np.uint8)
try:
    more = {"queue": 100} if method == "queue" else {}
    method = "rnc" if method == "queue" else method
    fit((images, found.images[:160].mean((1, 2))), method=method, out=out, quiet=True, norm="group", **more,
        device="cpu", passes=20 if method == "rnc" else 10, batch_size=int(batch), lr=0.005, augment=["flip", "noise"])
except Exception as error:
    print(type(error).__name__, error)
    raise
"""


def _run(folder: Path, processes: int, method: str, batch: int) -> dict[str, object]:
    script = folder / "worker.py"
    script.write_text(WORKER)
    out = folder / f"{method}-{processes}-{batch}"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*(launch if processes > 1 else [sys.executable]), str(script), str(out), method, str(batch)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    newest = sorted((out / "checkpoints").iterdir())[-1]
    return {"step": newest.name, **load_file(newest / "model.safetensors")}


@pytest.mark.parametrize("method", ["rnc", "queue", "baseline"])
@pytest.mark.parametrize("batch", [56, 55])  # 55: the two processes hold 28 and 27 rows
def test_two_processes_equal_one(tmp_path: Path, method: str, batch: int) -> None:
    one, two = _run(tmp_path, 1, method, batch), _run(tmp_path, 2, method, batch)
    assert one.pop("step") == two.pop("step") == "step-00000020"
    worst = max(float((one[name] - two[name]).abs().max()) for name in one)  # type: ignore[operator]
    print(f"{method}, batch {batch}: largest weight difference after 20 steps {worst:.1e}")
    assert worst < (5e-6 if method == "queue" else 1e-6)  # a queue hands the rounding of past steps on


def test_the_command_line_runs_on_two_processes(tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{i * 0.5 + i % 3}" for i in range(80))
    (tmp_path / "t.csv").write_text(f"a,b,y\n{rows}\n")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "isotone"]
    words = ["fit", "t.csv", "--features", "a,b", "--target", "y", "--passes", "4", "--device", "cpu", "--out", "run"]
    done = subprocess.run([*launch, *words], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("report: run/report.html") == 1
