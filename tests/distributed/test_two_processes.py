"""Two processes (gloo, CPU) with the same global batch end with the weights of one; group norm, 20 steps."""

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
    fit((images, found.images[:160].mean((1, 2))), method=method, out=out, quiet=True, norm="group", device="cpu",
        passes=20 if method == "rnc" else 10, batch_size=int(batch), lr=0.1, image_size=8)
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


@pytest.mark.parametrize("method", ["rnc", "baseline"])
@pytest.mark.parametrize("batch", [56, 55])  # 55: the two processes hold 28 and 27 rows
def test_two_processes_equal_one(tmp_path: Path, method: str, batch: int) -> None:
    one, two = _run(tmp_path, 1, method, batch), _run(tmp_path, 2, method, batch)
    assert one.pop("step") == two.pop("step") == "step-00000020"
    worst = max(float((one[name] - two[name]).abs().max()) for name in one)  # type: ignore[operator]
    print(f"{method}, batch {batch}: largest weight difference after 20 steps {worst:.1e}")
    assert worst < 1e-6
