"""The demo's data; the demo itself is long and marked slow."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.demo import turned_digits

Cli = Callable[..., tuple[int, str, str]]


def test_the_digits_are_turned_by_their_target() -> None:
    one, two = turned_digits(0), turned_digits(1)
    assert one.images.shape == (1797, 32, 32, 1)
    assert np.abs(one.angle).max() <= 60
    assert abs(one.angle.mean()) < 3
    assert {side: int((one.split == side).sum()) for side in ("train", "val", "test")} == {
        "train": 1079,
        "val": 269,
        "test": 449,
    }
    assert not np.array_equal(one.angle, two.angle)
    # ones are bars: their main axis leans by the angle
    ones = one.digit == "digit 1"
    grid = np.arange(32) - 15.5
    x, y = np.meshgrid(grid, -grid)
    w = one.images[ones, :, :, 0].astype(float)
    w /= w.sum((1, 2), keepdims=True)
    sxx, syy, sxy = (w * x * x).sum((1, 2)), (w * y * y).sum((1, 2)), (w * x * y).sum((1, 2))
    lean = np.degrees(0.5 * np.arctan2(-2 * sxy, syy - sxx))
    assert np.corrcoef(lean, one.angle[ones])[0, 1] > 0.9


@pytest.mark.slow
def test_rnc_is_better_and_more_ordered(tmp_path: Path) -> None:
    from isotone.demo import errors, train_demo

    runs = train_demo(tmp_path / "demo", quiet=True)
    rnc, baseline = runs["rnc"].metrics, runs["baseline"].metrics
    assert errors(rnc, "test")["model"] < min(errors(baseline, "test").values())
    assert rnc["order"]["spearman"] > max(0.9, baseline["order"]["spearman"])
    assert json.loads((tmp_path / "demo" / "rnc" / "run.json").read_text())["status"] == "done"
