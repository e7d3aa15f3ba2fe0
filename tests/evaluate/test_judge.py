"""The verdict: rows for every model, target and side; plain JSON."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.evaluate.judge import describe, judge
from isotone.evaluate.shots import shot_bins
from isotone.records import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 4))
    y = np.stack([x[:, 0], 10 * x[:, 1] + 3], 1)
    return load_arrays(x, y, groups=np.arange(120) // 4, target_names=("a", "b"), settings=DataSettings(), seed=0)


def test_every_model_target_and_side_has_a_row(dataset: Dataset) -> None:
    found = judge(dataset, {"mine": ("model", dataset.target + 0.5)}, dataset.inputs, seed=0)
    names = {(r["model"], r["role"], r["target"], r["split"]) for r in found["rows"]}
    assert len(names) == len(found["rows"]) == 3 * 2 * 2
    mine = next(r for r in found["rows"] if r["model"] == "mine" and r["target"] == "b" and r["split"] == "test")
    assert mine["mae"]["value"] == pytest.approx(0.5)
    assert mine["n"] == len(dataset.rows("test"))
    median = next(r for r in found["rows"] if r["model"] == "median of the training targets" and r["split"] == "test")
    expected = np.abs(
        dataset.target[dataset.rows("test"), 0] - np.median(dataset.target[dataset.rows("train"), 0])
    ).mean()
    assert median["mae"]["value"] == pytest.approx(expected)
    assert {bin["target"] for bin in found["by_bin"]} == {"a"}
    assert sum(bin["n"] for bin in found["by_bin"]) == len(dataset.rows("test"))


def test_targets_are_judged_by_how_often_they_were_trained_on(dataset: Dataset) -> None:
    aged = replace(dataset, target=np.full_like(dataset.target, 30.0))
    found = judge(aged, {"mine": ("model", aged.target + 1)}, dataset.inputs, seed=0)
    rows = len(dataset.rows("test"))
    assert [line["name"] for line in found["by_shot"]] == ["all", "many", "medium", "few"]
    assert (found["by_shot"][0]["n"], found["by_shot"][0]["mae"], found["by_shot"][3]["mae"]) == (rows, 1.0, None)
    assert found["shot_bins"] == {"width": 1.0, "many": 100, "few": 20, "published": True}
    # numbers of which no two are the same: the bins of `isotone compare`, not one for each row
    found = judge(dataset, {"mine": ("model", dataset.target)}, dataset.inputs, seed=0)
    trained = dataset.target[dataset.rows("train"), 0]
    assert found["shot_bins"] == asdict(shot_bins([trained]))
    assert sum(line["n"] for line in found["by_shot"][1:]) == rows
    assert found["by_shot"][3]["n"] < rows


def test_everything_is_plain_json_without_nan(dataset: Dataset) -> None:
    collapsed = judge(dataset, {"mine": ("model", dataset.target * 0)}, dataset.inputs * 0, seed=0)
    assert collapsed["order"]["spearman"] is None
    json.dumps([collapsed, describe(dataset, ["a note"], 2)], allow_nan=False)


def test_the_description_counts_rows_and_groups(dataset: Dataset) -> None:
    found = describe(dataset, [], 0)
    assert sum(found["counts"].values()) == 120
    assert sum(found["groups"].values()) == 30
    assert found["shared_groups"] == 0
    assert found["target"]["b"]["median"] == pytest.approx(float(np.median(dataset.target[:, 1])))


def _classes(unlabelled: bool = False) -> Dataset:
    draw = np.random.default_rng(0)
    y = draw.choice(["cat", "dog", "owl"], 120, p=[0.5, 0.3, 0.2])
    y = np.where(draw.random(120) < 0.25, "", y) if unlabelled else y
    settings = DataSettings(category="species", unlabelled=unlabelled)
    return load_arrays(np.eye(120), y, groups=np.arange(120) // 4, settings=settings, seed=0)


def test_classes_are_judged_beside_the_most_frequent_one() -> None:
    data = _classes()
    assert data.category is not None
    own = data.category.astype(np.float64)[:, None]
    own[data.rows("test")[0]] = (own[data.rows("test")[0]] + 1) % 3  # one mistake
    found = judge(data, {"mine": ("model", own), "again": ("refit", own * 0)}, data.inputs, seed=0)
    assert found["task"] == "classes"
    assert [(r["model"], r["role"], r["split"]) for r in found["rows"]] == [
        *(("mine", "model", side) for side in ("test", "val")),
        *(("again", "refit", side) for side in ("test", "val")),
        *(("most frequent class of the training rows", "constant", side) for side in ("test", "val")),
    ]
    n = len(data.rows("test"))
    mine, constant = found["rows"][0], found["rows"][4]
    assert mine["target"] == "species"
    assert mine["n"] == n
    assert mine["accuracy"]["value"] == pytest.approx(1 - 1 / n)
    assert found["rows"][1]["accuracy"]["value"] == 1.0
    share = float((data.category[data.rows("test")] == 0).mean())  # cats are most frequent
    assert constant["accuracy"]["value"] == pytest.approx(share)
    assert constant["balanced_accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["order"] is None
    assert found["classes"] == ["cat", "dog", "owl"]
    assert np.sum(found["confusion"]) == n
    assert np.trace(found["confusion"]) == n - 1
    assert [row["class"] for row in found["by_class"]] == ["cat", "dog", "owl"]
    assert sum(row["n_train"] for row in found["by_class"]) == len(data.rows("train"))
    assert found["by_group"][0]["accuracy"] < 1
    json.dumps(found, allow_nan=False)


def test_rows_without_a_label_are_not_judged() -> None:
    data = _classes(unlabelled=True)
    assert data.category is not None
    found = judge(data, {"mine": ("model", data.category[:, None].astype(float))}, data.inputs, seed=0)
    assert found["rows"][0]["n"] == len(data.labelled("test"))
    assert sum(row["n_train"] for row in found["by_class"]) == len(data.labelled("train")) < len(data.rows("train"))
    about = describe(data, [], 0)
    assert about["labelled"]["train"] < about["counts"]["train"]
    assert about["classes"]["owl"] == {
        side: int((data.category[data.labelled(side)] == 2).sum())  # type: ignore[arg-type]
        for side in ("train", "val", "test")
    }


def test_targets_of_unlabelled_rows_do_not_count(dataset: Dataset) -> None:
    some = dataset.rows("train")[:10]
    target = dataset.target.copy()
    target[some] = np.nan
    data = replace(dataset, target=target)
    found = judge(data, {"mine": ("model", np.zeros_like(target))}, data.inputs, seed=0)
    assert found["task"] == "numbers"
    assert sum(line["n_train"] for line in found["by_bin"]) == len(dataset.rows("train")) - 10
    assert describe(data, [], 0)["target"]["a"]["mean"] == pytest.approx(float(np.nanmean(target[:, 0])))


def test_without_labels_there_is_nothing_to_judge() -> None:
    data = load_arrays(np.eye(30), settings=DataSettings(), seed=0)
    assert judge(data, {}, data.inputs, seed=0) == {"task": "none", "rows": [], "order": None}
    about = describe(data, [], 0)
    assert about["task"] == "none"
    assert about["labelled"] == {"train": 0, "val": 0, "test": 0}
    assert (about["target"], about["classes"], about["category_name"]) == ({}, {}, None)


def _gaze(draw: np.random.Generator, geometry: str) -> Dataset:
    y = draw.uniform(-0.5, 0.5, (120, 2)) if geometry == "gaze" else draw.uniform(0, 360, (120, 1))
    settings, names = DataSettings(geometry=geometry), ("pitch", "yaw")[: y.shape[1]]
    return load_arrays(draw.normal(size=(120, 4)), y, target_names=names, settings=settings, seed=0)


def test_the_error_of_gazes_is_an_angle_too() -> None:
    gaze = _gaze(np.random.default_rng(0), "gaze")
    flat = replace(gaze, target=gaze.target * [0, 1])  # all at eye level, where turning by 0.1 is an angle of 0.1
    found = judge(flat, {"mine": ("model", flat.target + np.array([0, 0.1]))}, flat.inputs, seed=0)
    mine = [row for row in found["rows"] if row["role"] == "model" and row["split"] == "test"]
    assert [row["angle"]["value"] for row in mine] == pytest.approx([np.degrees(0.1)] * 2)
    assert [row["mae"]["value"] for row in mine] == pytest.approx([0.0, 0.1])
    assert describe(flat, [], 0)["geometry"] == "gaze"
    assert all("angle" in row for row in found["rows"])


def test_the_error_on_a_circle_goes_the_short_way() -> None:
    turns = _gaze(np.random.default_rng(0), "circle:360")
    told = np.mod(turns.target + 20, 360)
    h = np.concatenate([np.cos(np.radians(turns.target)), np.sin(np.radians(turns.target))], 1)
    found = judge(turns, {"mine": ("model", told)}, h, seed=0)
    mine = next(row for row in found["rows"] if row["role"] == "model" and row["split"] == "test")
    assert (mine["mae"]["value"], mine["rmse"]["value"]) == pytest.approx((20.0, 20.0))
    assert (mine["r2"]["value"], mine["pearson"]["value"], mine["spearman"]["value"]) == (None, None, None)
    assert found["order"]["spearman"] == pytest.approx(1.0)
    assert sum(bin["mae"] * bin["n"] for bin in found["by_bin"] if bin["n"]) == pytest.approx(20.0 * mine["n"])
    constant = [row["mae"]["value"] for row in found["rows"] if row["role"] == "constant" and row["split"] == "test"]
    assert all(60 < value < 110 for value in constant)  # evenly spread places are 90 away from any


def test_windows_are_judged_as_recordings_too(dataset: Dataset) -> None:
    age = np.repeat(np.arange(30.0), 4)[:, None]
    made = replace(dataset, target=age, target_names=("age",), sequence=dataset.group)
    told = age + np.tile([-3.0, 3.0, -1.0, 2.0], 30)[:, None]  # 0.25 in the mean of a recording
    found = judge(made, {"mine": ("model", told)}, made.inputs, seed=0)
    mine = next(row for row in found["by_recording"] if row["role"] == "model" and row["split"] == "test")
    assert mine["mae"]["value"] == pytest.approx(0.25)
    assert mine["n"] == len(set(made.group[made.rows("test")].tolist()))  # type: ignore[index]
    assert "by_recording" not in judge(dataset, {"mine": ("model", dataset.target)}, dataset.inputs, seed=0)
