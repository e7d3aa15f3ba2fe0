"""Tiny images for the trees of published data sets; a cache of the test's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., None]


def drawer() -> Draw:
    """Return what writes an image whose brightness is given; every file differs, and `broken` cuts it off."""
    noise = np.random.default_rng(0)

    def write(path: Path, grey: float = 100.0, *, broken: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(grey + noise.normal(0, 5, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, format="JPEG")
        if broken:
            path.write_bytes(path.read_bytes()[:200])

    return write


@pytest.fixture
def draw() -> Draw:
    return drawer()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
