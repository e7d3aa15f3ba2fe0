"""Intervals are made of validation errors and checked on test rows, by target and by group."""

from dataclasses import replace

import numpy as np
import pytest

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.evaluate.coverage import calibrate, check_interval, coverage, quantile_band
from isotone.predict.conformal import Calibration, Ends, widened
from isotone.records import Dataset


def _around(prediction: np.ndarray, calibration: Calibration, level: float) -> Ends:
    return widened((prediction, prediction), calibration.half_width(level))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 4))
    y = np.stack([x[:, 0], 10 * x[:, 1] + 3], 1)
    return load_arrays(x, y, groups=np.arange(400) // 4, target_names=("a", "b"), settings=DataSettings(), seed=0)


def test_the_width_is_that_of_the_validation_errors(dataset: Dataset) -> None:
    prediction = dataset.target.copy()
    val = dataset.rows("val")
    prediction[val] += 2.0  # every validation error is 2
    prediction[dataset.rows("test")[:10], 0] += 3.0  # ten test rows lie outside
    calibration = calibrate(dataset, prediction)
    found = coverage(dataset, _around(prediction, calibration, 0.9), calibration, 0.9, seed=0)["intervals"]
    n = len(dataset.rows("test"))
    assert (found["level"], found["form"]) == (0.9, "constant")
    assert (found["calibrated_on"], found["calibrated_on_groups"]) == (len(val), len(set(dataset.group[val])))  # type: ignore[index]
    first, second = found["rows"]
    assert (first["target"], first["width"], first["n"]) == ("a", pytest.approx(4.0), n)
    assert first["coverage"]["value"] == pytest.approx(1 - 10 / n)
    assert first["coverage"]["low"] < 1 - 10 / n < first["coverage"]["high"]
    assert second["coverage"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    shares = [line["coverage"] for line in found["by_group"]]
    assert shares == sorted(shares)
    assert [line["width"] for line in found["by_group"]] == pytest.approx([4.0] * len(shares))
    assert sum(round(line["n"] * (1 - line["coverage"])) for line in found["by_group"]) == 10


def test_rows_without_a_label_are_left_out(dataset: Dataset) -> None:
    target = dataset.target.copy()
    target[dataset.rows("val")[:5]] = np.nan
    target[dataset.rows("test")[:5]] = np.nan
    some = replace(dataset, target=target, group=None)
    prediction = np.nan_to_num(target) + 1.0
    calibration = calibrate(some, prediction)
    found = coverage(some, _around(prediction, calibration, 0.5), calibration, 0.5, seed=0)["intervals"]
    assert found["calibrated_on"] == found["calibrated_on_groups"] == len(dataset.rows("val")) - 5
    assert found["rows"][0]["n"] == len(dataset.rows("test")) - 5
    assert found["by_group"] == []


def test_nothing_is_refused_where_nothing_was_asked(dataset: Dataset) -> None:
    check_interval(dataset, 0.0)


def test_quantile_heads_see_training_rows_and_are_moved_by_groups_of_validation_rows(dataset: Dataset) -> None:
    h = np.asarray(dataset.inputs, np.float32)
    band = quantile_band(dataset, h, calibrate(dataset, dataset.target + 0.1), 0.8)
    assert len(band.calibration.error) == len(dataset.rows("val"))
    assert band.calibration.groups == len(set(dataset.group[dataset.rows("val")]))  # type: ignore[index]
    other = dataset.target.copy()
    other[dataset.rows("test")] = 1e6  # no test row is looked at
    again = quantile_band(replace(dataset, target=other), h, calibrate(dataset, dataset.target + 0.1), 0.8)
    assert np.array_equal(again.weight, band.weight)
    found = coverage(dataset, band.ends(h), band.calibration, 0.8, form="quantile", seed=0)["intervals"]
    assert found["form"] == "quantile"
    assert [row["target"] for row in found["rows"]] == ["a", "b"]


def test_what_the_data_cannot_have_is_refused(dataset: Dataset) -> None:
    classes = load_arrays(np.eye(60), np.resize(["x", "y"], 60), settings=DataSettings(category="c"), seed=0)
    with pytest.raises(ConfigError) as caught:
        check_interval(classes, 0.9)
    assert str(caught.value) == (
        "`interval` gives intervals around predicted numbers, but these data have no target of numbers. Leave out "
        "--interval, or name the column: --target COLUMN."
    )
    with pytest.raises(ConfigError) as few:
        check_interval(dataset, 0.99)
    assert str(few.value) == (
        "99 % intervals need validation rows of at least 99 groups (rows, where there are no groups), but there are 15."
        " Ask for at most --interval 0.93, or for more of them: --val-fraction."
    )
    with pytest.raises(ConfigError) as circle:
        check_interval(replace(dataset, geometry="circle:360"), 0.9)
    assert str(circle.value) == (
        "`interval` gives intervals on a line, but the targets lie on a circle (geometry circle:360). Leave out "
        "--interval."
    )
    check_interval(replace(dataset, group=None), 0.98)  # 60 rows, each its own group


@pytest.mark.slow
def test_ninety_per_cent_intervals_cover_88_to_92_per_cent_of_new_groups() -> None:
    """Handwritten digits, whose groups are ten rows each: 20 draws of which groups pick and calibrate, which test."""
    import torch
    from sklearn.datasets import load_digits

    from isotone.evaluate.stage_two import HeadSettings, fit_head
    from isotone.predict import predictor
    from isotone.predict.scaling import Scaling

    images = load_digits().images
    h = torch.from_numpy(np.delete(images.reshape(len(images), 64), [27, 36], axis=1)).float()
    ink = images[:, 3, 3] + images[:, 4, 4]  # two pixels that are left out of the features
    found = []
    for seed in range(20):
        side = np.random.default_rng(seed).permutation(np.repeat(["train", "val", "test"], 60))[np.arange(1797) // 10]
        data = Dataset("digits", "rows", h.numpy(), ink[:, None], ("ink",), side, np.arange(1797).astype(str),
                       np.arange(1797), group=(np.arange(1797) // 10).astype(str))  # fmt: skip
        scaling = Scaling.of(data.target[data.rows("train")])
        layer = fit_head(data, h, lambda *_: h, scaling, "l1", HeadSettings(head_epochs=10), seed=seed).layer
        with torch.no_grad():
            prediction = scaling.restore(predictor("l1").decode(layer(h)).double().numpy())
        calibration = calibrate(data, prediction)
        shown = coverage(data, _around(prediction, calibration, 0.9), calibration, 0.9, seed=seed)["intervals"]
        found.append(shown["rows"][0]["coverage"]["value"])
    assert 0.88 <= np.mean(found) <= 0.92
