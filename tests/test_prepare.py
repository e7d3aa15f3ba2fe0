"""What is wrong with settings and data shows before there is a folder; a run is built of what the data are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import isotone
from isotone.data.given import Beside, read
from isotone.errors import ConfigError
from isotone.prepare import Prepared, build
from isotone.settings import resolve

IMAGES = (load_digits().images[:150] * 15).astype(np.uint8)
Y = IMAGES.mean((1, 2))
FAST = {"passes": 6, "batch_size": 32, "quiet": True, "device": "cpu", "image_size": 8}


def _built(images: np.ndarray, method: str = "rnc", **values: object) -> Prepared:
    settings = resolve(method, {"image_size": 8, **values})
    dataset = read((images, Y), settings.data, Beside(), seed=0).dataset
    return build(settings, dataset, None, torch.device("cpu"))


def test_a_run_is_built_of_what_the_data_are() -> None:
    run = _built(IMAGES)
    assert run.model.shape == (1, 8, 8)
    assert run.model.encoder_name == "small-cnn"
    assert run.net.head is None
    train = run.dataset.target[run.dataset.rows("train")]
    assert run.model.scaling.mean == pytest.approx(train.mean(0))
    assert _built(IMAGES, "baseline").net.head is not None


def test_the_seed_decides_the_weights_and_the_global_generator_does_not() -> None:
    first = _built(IMAGES).net.state_dict()
    torch.rand(3)
    again, other = _built(IMAGES).net.state_dict(), _built(IMAGES, seed=1).net.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ConfigError) as found:
        _built(IMAGES[:, :, :6])
    assert str(found.value) == "image arrays must be square, got 8 x 6 pixels. Pad or crop them to one side."


def test_intervals_that_too_few_rows_can_promise_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="99 % intervals need validation rows of at least 99 groups"):
        isotone.fit((IMAGES, Y), out=tmp_path / "r", interval=0.99, **FAST)
    assert not (tmp_path / "r").exists()


def test_too_small_a_micro_batch_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few for batch norm"):
        isotone.fit((IMAGES, Y), out=tmp_path / "r", micro_batch=2, norm="batch", **FAST)
    assert not (tmp_path / "r").exists()
