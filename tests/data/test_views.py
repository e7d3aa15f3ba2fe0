import json

import numpy as np
import pytest
import torch

from isotone.data.views import CHUNK, Views, feature_statistics, to_float
from isotone.errors import ConfigError, ShapeError

AGEDB = ("crop", "flip", "color", "grayscale")


def raw(count=6, side=20, channels=3):
    size = (count, side, side, channels)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_to_float_divides_by_255():
    x = raw(1, 2, 1).permute(0, 3, 1, 2)
    torch.testing.assert_close(to_float(x), x.float() / 255)


def test_clean_views_are_the_normalised_centre():
    x = raw(2, 20)
    got = Views("image", size=16).clean(x)
    expected = (x[:, 2:18, 2:18].permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    assert got.shape == (1, 2, 3, 16, 16)
    torch.testing.assert_close(got[0], expected, atol=1e-6, rtol=0)


def test_mean_and_std_go_channel_by_channel():
    x = raw(2, 8)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    got = Views("image", size=8, mean=mean, std=std).clean(x)[0]
    for c in range(3):
        torch.testing.assert_close(got[:, c], (x[..., c].float() / 255 - mean[c]) / std[c], atol=1e-6, rtol=0)


def test_a_random_view_knows_only_its_key():
    views = Views("image", size=16, augment=AGEDB, seed=5)
    x, index = raw(), np.array([40, 7, 9, 1, 0, 1000])
    both = views.random(x, index, epoch=3, count=2)
    assert both.shape == (2, 6, 3, 16, 16)
    order = np.array([5, 2, 0])
    some = views.random(x[order], index[order], epoch=3, count=2)
    torch.testing.assert_close(some, both[:, order], atol=1e-5, rtol=0)
    torch.testing.assert_close(views.random(x, index, epoch=3, count=1)[0], both[0], atol=1e-5, rtol=0)
    assert torch.equal(views.random(x, index, epoch=3, count=2), both)


def test_seed_epoch_view_and_row_all_change_the_view():
    x, index = raw(1).expand(2, -1, -1, -1), np.array([0, 1])
    views = Views("image", size=16, augment=AGEDB)
    first = views.random(x, index, epoch=0, count=2)
    assert not torch.allclose(first[0, 0], first[1, 0])
    assert not torch.allclose(first[0, 0], first[0, 1])
    assert not torch.allclose(first, views.random(x, index, epoch=1, count=2))
    assert not torch.allclose(first, Views("image", 16, AGEDB, seed=1).random(x, index, epoch=0, count=2))


def test_more_images_than_a_chunk_are_the_same_images():
    views = Views("image", size=8, augment=("mild", "noise"))
    x, index = raw(CHUNK + 3, 8), np.arange(CHUNK + 3)
    whole = views.random(x, index, epoch=0, count=1)
    torch.testing.assert_close(whole[:, CHUNK:], views.random(x[CHUNK:], index[CHUNK:], 0, 1), atol=1e-5, rtol=0)


def test_random_views_without_transforms_are_the_clean_view():
    views, x = Views("image", size=16), raw()
    assert torch.equal(views.random(x, np.arange(6), epoch=0, count=2)[1], views.clean(x)[0])


def test_rows_are_standardised_then_jittered():
    x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    views = Views("rows", augment=("jitter",), mean=(2.0, 20.0), std=(1.0, 10.0))
    assert views.clean(x).tolist() == [[[-1.0, -1.0], [1.0, 1.0]]]
    got = views.random(x, np.array([0, 1]), epoch=0, count=3)
    assert got.shape == (3, 2, 2)
    assert 0 < (got - views.clean(x)).abs().max() < 0.05 * 5.3  # the noise ends at 5.2 sigma


def test_signals_are_standardised_by_channel_then_augmented():
    x = torch.rand(5, 3, 40, generator=torch.Generator().manual_seed(0))
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)
    views = Views("signal", augment=("mild", "timeshift"), mean=mean, std=std)
    clean = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(views.clean(x), clean[None], atol=1e-6, rtol=0)
    got = views.random(x, np.arange(5), epoch=0, count=2)
    assert got.shape == (2, 5, 3, 40)
    assert not torch.equal(got[0], got[1])
    index = np.array([4, 1])
    assert torch.equal(views.random(x[index], index, 0, 2), got[:, index])
    assert Views.from_json(json.loads(json.dumps(views.to_json()))) == views


def test_statistics_of_signals_are_those_of_each_channel(monkeypatch):
    monkeypatch.setattr("isotone.data.views.STATISTICS_ROWS", 7)
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 2, 30)).astype(np.float32)
    x[:, 1] = 5.0
    mean, std = feature_statistics(x)
    assert mean == pytest.approx((x[:, 0].astype(np.float64).mean(), 5.0))
    assert std == pytest.approx((x[:, 0].astype(np.float64).std(), 1.0))
    assert len(mean) == 2


def test_the_inputs_stay_as_they_are():
    x, rows = raw(), torch.rand(3, 4)
    before = x.clone(), rows.clone()
    Views("image", 16, ("mild",)).random(x, np.arange(6), 0, 2)
    Views("rows", augment=("jitter",)).random(rows, np.arange(3), 0, 2)
    assert torch.equal(x, before[0])
    assert torch.equal(rows, before[1])


def test_pixels_undoes_the_normalisation():
    x = raw(2, 12)
    views = Views("image", size=12, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert torch.equal(views.pixels(views.clean(x))[0], x)


def test_settings_survive_json():
    views = Views("image", 16, AGEDB, seed=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    assert Views.from_json(json.loads(json.dumps(views.to_json()))) == views
    assert Views("image", 8, ("mild",)).to_json()["augment"] == ["flip", "light"]


def test_feature_statistics_give_a_constant_the_deviation_one():
    mean, std = feature_statistics(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]], dtype=np.float32))
    assert mean == pytest.approx((0.1, 3.0))
    assert std == pytest.approx((1.0, np.sqrt(8 / 3)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"size": 0}, "Expected an image size of at least 1 pixel, got 0. Set `image_size`."),
        (
            {"std": (1.0, 0.0)},
            "Expected finite means and positive standard deviations, got mean (0.5), std (1, 0). "
            "Give a constant feature the standard deviation 1.",
        ),
        (
            {"mean": (1.0, 2.0, 3.0, 4.0, float("nan"))},
            "Expected finite means and positive standard deviations, got mean (1, 2, 3, 4, ...), std (0.5). "
            "Give a constant feature the standard deviation 1.",
        ),
    ],
)
def test_wrong_settings_are_refused(change, text):
    with pytest.raises(ConfigError) as error:
        Views(**({"kind": "image", "size": 8} | change))
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"sise": 8},
            "Unknown view setting 'sise'. Did you mean 'size'? Known: kind, size, augment, seed, mean, std.",
        ),
        ({"kind": "pictures"}, "Unknown kind of data 'pictures'. Known: image, rows, signal."),
        ({"mean": None}, "The saved view settings lack mean. Was the file changed by hand?"),
    ],
)
def test_wrong_saved_settings_are_refused(change, text):
    saved = {name: x for name, x in (Views("image", 8).to_json() | change).items() if x is not None}
    with pytest.raises(ConfigError) as error:
        Views.from_json(saved)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("views", "inputs", "text"),
    [
        (
            Views("image", 8),
            torch.zeros(2, 3, 8, 8),
            "Expected inputs (b, h, w, c) uint8 for kind 'image', got (2, 3, 8, 8) float32.",
        ),
        (Views("rows"), torch.zeros(2, 3, 4), "Expected inputs (b, f) float32 for kind 'rows', got (2, 3, 4) float32."),
        (
            Views("signal"),
            torch.zeros(2, 3, 4, dtype=torch.float64),
            "Expected inputs (b, c, t) float32 for kind 'signal', got (2, 3, 4) float64.",
        ),
        (
            Views("signal", mean=(0.0, 0.0), std=(1.0, 1.0)),
            torch.zeros(2, 3, 4),
            "Expected inputs of 2 channels (as `mean` has), got 3. Give the model what it was trained on.",
        ),
        (
            Views("rows", mean=(0.0, 0.0), std=(1.0,)),
            torch.zeros(2, 3),
            "Expected inputs of 2 features (as `mean` has), got 3. Give the model what it was trained on.",
        ),
        (
            Views("image", 8, std=(1.0, 1.0, 1.0)),
            torch.zeros(2, 8, 8, 1, dtype=torch.uint8),
            "Expected inputs of 3 channels (as `std` has), got 1. Give the model what it was trained on.",
        ),
    ],
)
def test_wrong_inputs_are_refused(views, inputs, text):
    for call in (views.clean, lambda x: views.random(x, np.arange(2), 0, 1)):
        with pytest.raises(ShapeError) as error:
            call(inputs)
        assert str(error.value) == text


def test_an_index_of_another_length_is_refused():
    with pytest.raises(ShapeError) as error:
        Views("image", 8).random(raw(2, 8), np.arange(3), 0, 1)
    assert str(error.value) == "Expected one row index for each of 2 inputs, got 3."
