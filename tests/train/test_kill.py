"""SIGKILL at random moments of a real run; `isotone resume` ends with the weights of the run that never was killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 10
SETTINGS = ["--passes", "16", "--batch-size", "16", "--checkpoint-steps", "3", "--image-size", "32", "--norm", "batch"]


def _isotone(*words: str) -> list[str]:
    return [sys.executable, "-m", "isotone", *words]


def _weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def _table(folder: Path) -> Path:
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    lines = ["image,grey"]
    for i in range(120):
        Image.fromarray((found.images[i] * (255 / 16)).astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{found.images[i].mean():.4f}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("method", ["rnc", "baseline"])
def test_ten_kills_resume_to_the_bit(tmp_path: Path, method: str) -> None:
    table = _table(tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    fit = ["fit", str(table), "--target", "grey", "--method", method, *SETTINGS, "--out"]
    began = time.monotonic()
    subprocess.run(_isotone(*fit, str(tmp_path / "straight")), check=True, capture_output=True, env=environment)
    whole_s = time.monotonic() - began
    draw, same, mid = random.Random(method), 0, 0
    for kill in range(KILLS):
        run = tmp_path / f"killed-{kill}"
        process = subprocess.Popen(
            _isotone(*fit, str(run)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment
        )
        time.sleep(draw.uniform(0.25, 0.75) * whole_s)  # the first third is the start of Python and torch
        process.send_signal(signal.SIGKILL)
        mid += process.wait() == -signal.SIGKILL
        if not (run / "run.json").exists():  # killed before there was a run: it is started, not resumed
            subprocess.run(_isotone(*fit, str(run)), check=True, capture_output=True, env=environment)
        workers = str(draw.choice([0, 1, 2]))
        done = subprocess.run(
            _isotone("resume", str(run), "--workers", workers),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        same += _weights(run) == _weights(tmp_path / "straight")
    print(f"{method}: {same} of {KILLS} bit-identical, {mid} killed before their end")
    assert same == KILLS
    assert mid >= KILLS // 2
