"""The verdict: rows for every model, target and side; plain JSON."""

import json

import numpy as np
import pytest

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.evaluate.judge import describe, judge
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
