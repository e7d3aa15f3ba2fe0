"""What a teacher says of rows, and the runs that cannot be one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.errors import ConfigError
from isotone.export.saved import Model, save_model
from isotone.export.teacher import load_teacher, taught
from isotone.nets.encoders import build_encoder
from isotone.predict.scaling import Scaling

X = np.random.default_rng(0).integers(0, 255, (30, 20, 20), dtype=np.uint8)
CPU = torch.device("cpu")


def _model(encoder: str = "small-cnn") -> Model:
    net, width = build_encoder("small-cnn", kind="image", shape=(1, 16, 16))
    torch.manual_seed(0)
    views, none = Views("image", 16), Scaling.of(np.empty((1, 0)))
    shape, classes = (1, 16, 16), ("cat", "dog")
    return Model(
        net, nn.Linear(width, 2), views, none, "classify", encoder, "batch", "image", shape, (), classes, "species"
    )


def test_a_teacher_tells_representations_and_probabilities(tmp_path: Path) -> None:
    save_model(tmp_path / "model", _model())
    model = load_teacher(tmp_path, "image", (1, 16, 16))
    data = load_arrays(X, settings=DataSettings(), seed=0)  # stored larger: views are cut to the centre
    rows = np.array([7, 3, 20])
    said = taught(model, data, rows, CPU)
    np.testing.assert_array_equal(said.h, model.embed(data.inputs[rows]))
    assert said.h.dtype == np.float32
    assert said.probabilities is not None
    np.testing.assert_array_equal(said.probabilities, model.probabilities(said.h))


def test_a_teacher_without_classes_tells_no_probabilities() -> None:
    data = load_arrays(X, settings=DataSettings(), seed=0)
    assert taught(replace(_model(), head=None, classes=()), data, np.arange(3), CPU).probabilities is None


def test_a_run_that_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_teacher(tmp_path, "image", (1, 16, 16))
    assert str(caught.value) == (f"the teacher {tmp_path} is not finished. Go on with it: isotone resume {tmp_path}")


def test_an_encoder_of_ones_own_is_not_in_the_folder(tmp_path: Path) -> None:
    save_model(tmp_path / "model", _model("custom"))
    with pytest.raises(ConfigError) as caught:
        load_teacher(tmp_path, "image", (1, 16, 16))
    assert str(caught.value) == (
        f"the teacher {tmp_path} was made with an encoder of your own, which its folder does not hold. Use a run "
        "with a named encoder."
    )


@pytest.mark.parametrize(
    ("kind", "shape", "fix"),
    [
        ("image", (1, 32, 32), "Use --image-size 16."),
        ("image", (3, 16, 16), "Use a run on the same inputs."),
        ("rows", (256,), "Use a run on the same inputs."),
    ],
)
def test_other_inputs(tmp_path: Path, kind: str, shape: tuple[int, ...], fix: str) -> None:
    save_model(tmp_path / "model", _model())
    with pytest.raises(ConfigError) as caught:
        load_teacher(tmp_path, kind, shape)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"the teacher {tmp_path} takes inputs of kind image and shape (1, 16, 16), but this run's are of kind {kind} "
        f"and shape {shape}. {fix}"
    )
