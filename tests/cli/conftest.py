"""A small real table of images, and a finished run on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from isotone.cli.main import main

Cli = Callable[..., tuple[int, str, str]]


def write_table(folder: Path, rows: int = 60) -> Path:
    """Write scikit-learn's digits as PNG files and a table: image, grey (the target), person (a group of three)."""
    folder.mkdir(parents=True, exist_ok=True)
    found = load_digits()
    lines = ["image,grey,person"]
    for i in range(rows):
        Image.fromarray((found.images[i] * (255 / 16)).astype(np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{found.images[i].mean():.4f},w{i // 3:03d}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_table(tmp_path / "data")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The table and the folder of a run on it."""
    folder = tmp_path_factory.mktemp("cli")
    made = write_table(folder / "data")
    words = ["fit", str(made), "--target", "grey", "--group", "person", "--passes", "4", "--batch-size", "16"]
    status = main([*words, "--image-size", "16", "--cache-dir", str(folder / "cache"), "--out", str(folder / "run")])
    assert status == 0
    return made, folder / "run"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
