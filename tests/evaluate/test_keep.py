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


@pytest.fixture(scope="module")
def classes() -> Dataset:
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    y = np.array(["=cat", "dog", "owl", ""] * 10)
    return load_arrays(images, y, settings=DataSettings(category="label", unlabelled=True), seed=0)


def test_classes_are_written_by_name_with_their_probabilities(tmp_path: Path, classes: Dataset) -> None:
    probabilities = np.tile([0.25, 0.5, 0.25], (40, 1))
    keep_predictions(tmp_path / "p.csv", classes, np.ones((40, 1)), probabilities)
    found = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert list(found) == [
        *("row", "label", "split", "true_label", "predicted_label"),  # `label` is how a row is called
        *("probability_=cat", "probability_dog", "probability_owl"),
    ]
    assert found["true_label"].tolist() == ["'=cat", "dog", "owl", ""] * 10
    assert set(found["predicted_label"]) == {"dog"}
    assert set(found["probability_dog"]) == {0.5}


def test_more_than_20_classes_have_no_column_each(tmp_path: Path, classes: Dataset) -> None:
    many = replace(classes, classes=tuple(map(str, range(21))))
    keep_predictions(tmp_path / "p.csv", many, np.ones((40, 1)), np.full((40, 21), 1 / 21))
    assert list(pd.read_csv(tmp_path / "p.csv")) == ["row", "label", "split", "true_label", "predicted_label"]


def test_codes_and_names_of_classes_are_kept(tmp_path: Path, classes: Dataset) -> None:
    keep_features(tmp_path / "f.npz", classes, np.ones((40, 2)), np.ones((40, 1)), seed=0)
    kept = np.load(tmp_path / "f.npz", allow_pickle=False)
    assert kept["target"].shape == (40, 0)
    assert kept["prediction"].shape == (40, 1)
    assert kept["category"].tolist() == [0, 1, 2, -1] * 10
    assert kept["classes"].tolist() == ["=cat", "dog", "owl"]
    keep_views(tmp_path / "v.npz", classes, Views("image", 8, ("none",)), seed=0)
    shown = np.load(tmp_path / "v.npz", allow_pickle=False)
    rows = [int(str(label).split()[1]) for label in shown["label"]]
    assert shown["category"].tolist() == [[0, 1, 2, -1][i % 4] for i in rows]


def test_without_labels_only_features_are_kept(tmp_path: Path) -> None:
    data = load_arrays(np.eye(30), settings=DataSettings(), seed=0)
    nothing = np.zeros((30, 0))
    keep_predictions(tmp_path / "p.csv", data, nothing)
    assert not (tmp_path / "p.csv").exists()
    keep_features(tmp_path / "f.npz", data, np.ones((30, 2)), nothing, seed=0)
    kept = np.load(tmp_path / "f.npz", allow_pickle=False)
    assert kept["prediction"].shape == kept["target"].shape == (30, 0)
    assert "category" not in kept.files
