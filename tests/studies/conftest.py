"""Small tables for the studies' tests: rows, so that a run takes about a second."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SETTINGS = {"target": ["y"], "features": ["a", "b", "c"], "group": "who", "passes": 2, "head_epochs": 3}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 rows of 40 groups; y is nearly linear in a, b and c; kind is a nuisance."""
    x = np.random.default_rng(0).normal(size=(120, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).round(4)
    frame["y"] = (x @ [3.0, 2.0, 1.0] + 0.1 * x[:, 0] ** 2).round(4)
    frame["who"] = [f"p{i // 3:02d}" for i in range(120)]
    frame["kind"] = ["left" if i % 2 else "right" for i in range(120)]
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return path
