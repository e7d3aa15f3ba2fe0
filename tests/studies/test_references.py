"""The reference lines: constants, a linear fit that scikit-learn agrees with, neighbours."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from isotone.records import Dataset
from isotone.settings import resolve
from isotone.studies.references import linear, predicted, raw_features, references, voted


def _data(inputs: np.ndarray, target: np.ndarray, **changes: object) -> Dataset:
    n = len(inputs)
    split = np.array(["train"] * (n - 20) + ["val"] * 10 + ["test"] * 10, dtype=object)
    label = np.array([str(i) for i in range(n)], dtype=object)
    made: dict[str, object] = {"kind": "rows", **changes}
    names = tuple(f"y{j}" for j in range(target.shape[1]))
    return Dataset("t", made.pop("kind"), inputs, target, names, split, label, np.arange(n), **made)  # type: ignore[arg-type]


def test_the_linear_fit_is_scikit_learn_s_ridge_at_the_best_validation_penalty() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(90, 6)).astype(np.float32)
    y = x @ draw.normal(size=(6, 1)) + draw.normal(size=(90, 1))
    found = linear(_data(x, y), x)
    scaled = StandardScaler().fit(x[:70]).transform(x)
    fits = [Ridge(alpha=70 * a).fit(scaled[:70], y[:70]).predict(scaled).reshape(-1, 1) for a in np.logspace(-9, 3, 37)]
    best = min(fits, key=lambda p: np.abs(p[70:80] - y[70:80]).mean())
    # both stand at the penalty of the least validation error; isotone scales a feature by a little more than its std
    assert np.abs(found - best).max() < 0.02 * y.std()


def test_constants_are_those_of_the_training_rows() -> None:
    y = np.concatenate([[0.0, 0.0, 9.0] * 10, np.full(20, 99.0)])[:, None]
    data, settings = _data(np.zeros((50, 2), dtype=np.float32), y), resolve("baseline", {})
    median, mean, raw = references(settings, "numbers")
    assert set(predicted(median, data, settings).ravel().tolist()) == {0.0}
    assert set(predicted(mean, data, settings).ravel().tolist()) == {3.0}
    assert predicted(raw, data, settings) == pytest.approx(3.0)  # constant inputs say no more than the mean
    assert raw.title == "ridge on the raw inputs"


def test_classes_have_the_most_frequent_one_a_logistic_fit_and_neighbours() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 3)).astype(np.float32)
    codes = (x[:, 0] > 0.3).astype(np.int64)
    data = _data(x, np.zeros((80, 0)), category=codes, classes=("no", "yes"), category_name="c")
    settings = resolve("baseline", {})
    frequent, raw = references(settings, "classes")
    assert set(predicted(frequent, data, settings).ravel().tolist()) == {0.0}
    assert (predicted(raw, data, settings)[:, 0] == codes)[70:].mean() >= 0.8
    found = voted(data, x)[:, 0]
    assert (found[70:] == codes[70:]).mean() >= 0.7
    assert np.isnan(found[:60]).all()  # a training row is its own neighbour


def test_pretrained_weights_add_a_line() -> None:
    found = references(resolve("baseline", {"weights": "w.safetensors"}), "numbers")
    assert found[-1].title == "ridge on the pretrained features"


def test_the_features_of_an_encoder_as_it_came_are_fitted() -> None:
    from isotone.studies.arms import Arm

    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 3)).astype(np.float32)
    found = predicted(Arm("linear-pretrained", "", ""), _data(x, x[:, :1] * 2.0), resolve("baseline", {}))
    assert np.abs(found[70:] - 2 * x[70:, :1]).mean() < 0.6  # an untrained mlp: 1.6 is the constant's


def test_raw_features_are_averaged_down() -> None:
    image = np.full((3, 64, 64, 1), 7, dtype=np.uint8)
    data = _data(np.zeros((30, 1)), np.zeros((30, 1)))
    from dataclasses import replace

    pooled = raw_features(replace(data, kind="image", inputs=image))
    assert pooled.shape == (3, 32 * 32)
    assert set(pooled.ravel().tolist()) == {7.0}
    signal = np.arange(2 * 4 * 5000, dtype=np.float32).reshape(2, 4, 5000)
    assert raw_features(replace(data, kind="signal", inputs=signal)).shape == (2, 4 * 1024)
