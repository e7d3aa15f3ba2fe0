"""A saved model predicts what the trained one did, and damage is found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isotone.data.views import Views
from isotone.errors import CheckpointError, ConfigError
from isotone.export.saved import Model, load_model, save_model
from isotone.nets.encoders import build_encoder
from isotone.predict import predictor
from isotone.predict.conformal import Calibration
from isotone.predict.quantile import Band
from isotone.predict.scaling import Scaling

X = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 1), dtype=np.uint8)


def _model(name: str = "small-cnn", norm: str = "batch") -> Model:
    encoder, width = build_encoder("small-cnn", kind="image", shape=(1, 16, 16), norm=norm)  # type: ignore[arg-type]
    torch.manual_seed(0)
    views = Views("image", 16, ("mild",), 0, (0.5,), (0.5,))
    scaling = Scaling.of(np.array([[10.0], [30.0], [50.0]]))
    return Model(encoder, nn.Linear(width, 1), views, scaling, "l1", name, norm, "image", (1, 16, 16), ("age",))


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_round_trip_predicts_the_same(tmp_path: Path, norm: str) -> None:
    model = _model(norm=norm)
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    h = model.embed(X)
    assert np.array_equal(again.embed(X), h)
    assert np.array_equal(again.predict(h), model.predict(h))
    assert again.target_names == ("age",)
    assert np.array_equal(model.embed(X, chunk=4), h) or np.allclose(model.embed(X, chunk=4), h, atol=1e-5)


@pytest.mark.parametrize("head", ["dex", "dldl", "or", "corn"])
def test_a_head_with_bins_comes_back_with_them(tmp_path: Path, head: str) -> None:
    scaling = Scaling.of(np.array([[10.0, -1.0], [30.0, 0.0], [50.0, 3.0]]), bins=9)
    layer = nn.Linear(512, predictor(head, scaling.bins).outputs(2))
    model = replace(_model(), head=layer, head_name=head, scaling=scaling, target_names=("age", "size"))
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    h = 5 * model.embed(X)
    found = model.predict(h)
    assert np.array_equal(again.predict(h), found)
    assert np.all((found > [9.999, -1.001]) & (found < [50.001, 3.001]))
    assert again.scaling.bins == scaling.bins


def test_predictions_are_in_the_users_units(tmp_path: Path) -> None:
    model = _model()
    assert model.head is not None
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    assert model.predict(model.embed(X)).tolist() == [[30.0]] * 9


def test_a_module_of_the_users_is_asked_for(tmp_path: Path) -> None:
    model = _model(name="custom")
    save_model(tmp_path / "model", model)
    with pytest.raises(ConfigError) as caught:
        load_model(tmp_path / "model")
    assert str(caught.value) == "this run was made with an encoder of your own: pass it as load(run, encoder=module)."
    fresh, _ = build_encoder("small-cnn", kind="image", shape=(1, 16, 16), seed=9)
    assert np.array_equal(load_model(tmp_path / "model", fresh).embed(X), model.embed(X))
    with pytest.raises(CheckpointError) as wrong:
        load_model(tmp_path / "model", nn.Linear(3, 3))
    assert str(wrong.value).startswith(f"the weights in {tmp_path / 'model'} do not fit this encoder: ")


def test_weights_that_are_not_finite_are_not_exported(tmp_path: Path) -> None:
    model = _model()
    assert model.head is not None
    nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(CheckpointError) as caught:
        save_model(tmp_path / "model", model)
    assert str(caught.value) == (
        "the trained weights are not finite; nothing was exported. Lower --lr and train again."
    )
    assert not (tmp_path / "model").exists()


def test_damage_is_found(tmp_path: Path) -> None:
    save_model(tmp_path / "model", _model())
    file = tmp_path / "model" / "model.json"
    file.write_bytes(file.read_bytes().replace(b"age", b"ages"))
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path / "model")
    assert str(caught.value) == f"{tmp_path / 'model'} is damaged: model.json changed."


def _classifier() -> Model:
    head = nn.Linear(512, 3)
    nn.init.zeros_(head.weight)
    head.bias.data = torch.tensor([0.0, 2.0, 1.0])
    none = Scaling.of(np.empty((3, 0)))
    classes = ("cat", "dog", "a word longer than the others")
    return replace(
        _model(),
        head=head,
        head_name="classify",
        scaling=none,
        target_names=(),
        classes=classes,
        category_name="species",
    )


def test_classes_are_predicted_by_name(tmp_path: Path) -> None:
    save_model(tmp_path / "model", _classifier())
    model = load_model(tmp_path / "model")
    h = model.embed(X)
    assert model.predict(h).tolist() == [["dog"]] * 9
    assert model.answers(h).tolist() == [[1.0]] * 9
    expected = np.exp([0.0, 2.0, 1.0]) / np.exp([0.0, 2.0, 1.0]).sum()
    np.testing.assert_allclose(model.probabilities(h), np.tile(expected, (9, 1)), rtol=1e-6)
    assert (model.category_name, model.classes) == ("species", ("cat", "dog", "a word longer than the others"))


def test_a_run_without_labels_predicts_nothing(tmp_path: Path) -> None:
    bare = replace(_model(), head=None, head_name="none", scaling=Scaling.of(np.empty((3, 0))), target_names=())
    save_model(tmp_path / "model", bare)
    model = load_model(tmp_path / "model")
    h = model.embed(X)
    assert np.array_equal(h, bare.embed(X))
    for ask in (model.predict, model.answers, model.probabilities):
        with pytest.raises(ConfigError) as caught:
            ask(h)
        assert str(caught.value) == (
            "this run was trained without labels, so it predicts nothing. Use `isotone embed`, or probe it: "
            "`isotone evaluate RUN --category COLUMN`."
        )


def test_a_run_of_numbers_has_no_probabilities() -> None:
    model = _model()
    with pytest.raises(ConfigError) as caught:
        model.probabilities(model.embed(X))
    assert str(caught.value) == "this run predicts numbers, so it has no probabilities of classes. Use `predict`."


def test_intervals_are_saved_with_the_model(tmp_path: Path) -> None:
    found = Calibration.of(np.arange(9.0)[:, None], np.zeros((9, 1)), np.arange(9) // 2)
    save_model(tmp_path / "model", replace(_model(), calibration=found))
    model = load_model(tmp_path / "model")
    assert model.half_width(0.8).tolist() == found.half_width(0.8).tolist()
    with pytest.raises(ConfigError) as caught:
        _model().half_width(0.8)
    assert str(caught.value) == (
        "this run was made before there were intervals, so it has none. Fit it again: --config RUN/config.yaml."
    )
    with pytest.raises(ConfigError) as classes:
        _classifier().half_width(0.8)
    assert str(classes.value) == (
        "this run predicts classes, and intervals are for numbers. Leave out --interval: the probabilities of the "
        "classes are written anyway."
    )


def test_quantile_heads_are_saved_with_the_model(tmp_path: Path) -> None:
    around, h = Calibration.of(np.arange(9.0)[:, None], np.zeros((9, 1))), _model().embed(X)
    weight = np.random.default_rng(0).normal(size=(2, h.shape[1]))
    band = Band(0.8, weight, np.array([0.1, 3.0]), Calibration(around.error - 4, around.group))
    model = replace(_model(), calibration=around, band=band)
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    assert np.array_equal(again.interval(0.8)(h), band.ends(h))
    assert np.array_equal(again.interval(0.8, "quantile")(h), band.ends(h))
    for level in (0.8, 0.5):
        half, middle = around.half_width(level), again.predict(h)
        assert np.array_equal(again.interval(level, "constant")(h), (middle - half, middle + half))
    with pytest.raises(ConfigError, match="the quantile heads of this run are of 80 %"):
        again.interval(0.5)


def test_a_run_without_quantile_heads_says_so() -> None:
    around = Calibration.of(np.arange(9.0)[:, None], np.zeros((9, 1)))
    with pytest.raises(ConfigError) as caught:
        replace(_model(), calibration=around).interval(0.8, "quantile")
    assert str(caught.value) == (
        "this run has no quantile heads, so its intervals are of one width. Leave out --interval-form, or fit it "
        "again: --config RUN/config.yaml --interval 0.9 --interval-form quantile."
    )


def test_models_from_before_there_were_classes_load(tmp_path: Path) -> None:
    from isotone.train.checkpoint import read_folder, write_folder

    model = _model()
    save_model(tmp_path / "model", model)
    files = dict(read_folder(tmp_path / "model"))
    about = json.loads(files["model.json"])
    del about["classes"], about["category_name"]
    write_folder(tmp_path / "old", {**files, "model.json": json.dumps(about).encode()})
    old = load_model(tmp_path / "old")
    assert np.array_equal(old.predict(old.embed(X)), model.predict(model.embed(X)))
    assert (old.classes, old.category_name) == ((), None)
