"""Fixtures for the data room: a small sound table to damage, and settings that keep the cache in the test's folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotone.data.settings import DataSettings

ROWS = 24


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., DataSettings]:
    """Build settings for the target `age`, 8-pixel images and a cache of the test's own."""

    def build(**changed: object) -> DataSettings:
        given = {"target": ("age",), "image_size": 8, "cache_dir": str(tmp_path / "cache"), **changed}
        return DataSettings(**given)  # type: ignore[arg-type]

    return build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound table: labels.csv with 24 rows (line = number + 2) and images/0.png to images/23.png, all different."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
    lines = ["image,age,person,side"]
    for i in range(ROWS):
        Image.fromarray(noise[i]).save(root / "images" / f"{i}.png")
        lines.append(f"images/{i}.png,{20 + i}.5,p{i // 2:02},{('train', 'train', 'val', 'test')[i // 2 % 4]}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def edit(folder: Path) -> Callable[[int, str, str], None]:
    """Replace a text in one line (header = 1) of the sound table."""

    def change(line: int, old: str, new: str) -> None:
        path = folder / "labels.csv"
        lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        assert old in lines[line - 1], f"line {line} holds no {old!r}: {lines[line - 1]!r}"
        lines[line - 1] = lines[line - 1].replace(old, new)
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))

    return change
