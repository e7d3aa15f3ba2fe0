"""Every method: two processes (gloo, CPU) train the weights and the memory of one; group norm, a few steps.

All methods go through one launch, so that the price of starting is paid once.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from contract.jobs import NAMES
from safetensors.torch import load_file
from torch import Tensor

pytestmark = pytest.mark.slow

# A learning rate at which training is stable: where it is not, rounding of 1e-7 grows with every step.
WORKER = """
import sys
from pathlib import Path
from accelerate import Accelerator
from safetensors.torch import save_file
from contract.jobs import NAMES, build_job, state
from isotone.train.loop import train

accelerator = Accelerator(cpu=True)
for name in NAMES:
    folder = Path(sys.argv[1]) / name
    if accelerator.is_main_process:
        folder.mkdir()
    accelerator.wait_for_everyone()
    job = build_job(folder, name, lr=0.002, passes=4, batch_size=15)
    train(job, accelerator, stream=None)
    if accelerator.is_main_process:
        save_file({key: x.contiguous() for key, x in state(job).items()}, str(folder / "end.safetensors"))
"""


def _run(folder: Path, processes: int) -> Path:
    script, out = folder / "worker.py", folder / f"on-{processes}"
    script.write_text(WORKER)
    out.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, *launch, str(script), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("two")
    return _run(folder, 1), _run(folder, 2)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_equal_one(ends: tuple[Path, Path], name: str) -> None:
    one, two = (load_file(folder / name / "end.safetensors") for folder in ends)
    assert one.keys() == two.keys()
    worst = max(_apart(one[key].double(), two[key].double()) for key in one)
    print(f"{name}: largest difference of weights and memory {worst:.1e}")
    assert worst < 2e-6  # 1.5e-7 was measured


def _apart(a: Tensor, b: Tensor) -> float:
    """Return the largest difference, in units of the largest entry where that is above 1."""
    return float((a - b).abs().max() / a.abs().max().clamp(min=1))
