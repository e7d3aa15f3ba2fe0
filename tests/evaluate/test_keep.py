"""What a run keeps: all test rows first, pictures small, names that no spreadsheet runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.evaluate.keep import MOST_ROWS, keep_features, keep_predictions, keep_views
from isotone.records import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (2100, 64, 64), dtype=np.uint8)
    return load_arrays(images, draw.normal(size=2100), settings=DataSettings(), seed=0)


def test_features_hold_every_test_row_and_small_pictures(tmp_path: Path, dataset: Dataset) -> None:
    h = np.random.default_rng(1).normal(size=(2100, 3))
    keep_features(tmp_path / "features.npz", dataset, h, dataset.target, seed=0)
    kept = np.load(tmp_path / "features.npz", allow_pickle=False)
    assert len(kept["index"]) == MOST_ROWS
    assert (kept["split"] == "test").sum() == len(dataset.rows("test"))
    np.testing.assert_allclose(kept["h"], h[kept["index"]], rtol=1e-6)
    assert kept["thumb"].shape == (MOST_ROWS, 56, 56, 1)


def test_predictions_are_one_line_a_row(tmp_path: Path, dataset: Dataset) -> None:
    named = replace(dataset, label=np.array(["=cmd()"] + ["a"] * 2099))
    keep_predictions(tmp_path / "p.csv", named, dataset.target + 1)
    found = pd.read_csv(tmp_path / "p.csv")
    assert len(found) == 2100
    assert found["label"][0] == "'=cmd()"
    np.testing.assert_allclose(found["predicted_target"] - found["target"], 1.0)


def test_views_are_pixels_of_training_rows(tmp_path: Path, dataset: Dataset) -> None:
    keep_views(tmp_path / "v.npz", dataset, Views("image", 64, ("none",), 0, (0.5,), (0.5,)), seed=0)
    kept = np.load(tmp_path / "v.npz", allow_pickle=False)
    assert kept["image"].shape == (8, 5, 64, 64, 1)
    rows = [int(str(label).split()[1]) for label in kept["label"]]
    assert set(dataset.split[rows]) == {"train"}
    assert np.array_equal(kept["image"][0, 0], dataset.inputs[rows[0]])
