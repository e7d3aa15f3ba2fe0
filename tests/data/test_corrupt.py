"""All 19 corruptions run, at every size and on grey, the same on every call, and worse with severity."""

import sys

import numpy as np
import pytest
from PIL import Image

from isotone.data.corrupt import CORRUPTIONS, SEVERITIES, corrupt
from isotone.errors import ConfigError

pytest.importorskip("imagecorruptions", reason="the extra `corruptions` is not installed")


def _images(side: int, channels: int = 3, n: int = 2) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(40, 216, (n, 8, 8, channels), dtype=np.uint8)
    large = [Image.fromarray(x.squeeze()).resize((side, side), Image.Resampling.BICUBIC) for x in coarse]
    return np.stack([np.asarray(x).reshape(side, side, channels) for x in large])


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "glass_blur"])  # compiles: see the slow test
def test_each_changes_an_image_of_48_pixels(name: str) -> None:
    images = _images(48, n=1)
    assert len(CORRUPTIONS) == 19
    found = corrupt(images, name, 5, rows=np.array([5]))
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    assert (found != images).any()


@pytest.mark.slow
@pytest.mark.parametrize("side", [20, 48, 96, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_severity_runs_at_every_size(side: int, channels: int) -> None:
    images = _images(side, channels, n=1)
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            changed = (corrupt(images, name, severity, rows=np.array([0])) != images).any()
            grey = name == "saturate" and channels == 1  # has no saturation
            coarse = name == "pixelate" and side < 224  # has no more pixels than are left
            assert changed or grey or coarse, (name, severity)


def test_a_row_has_the_same_pixels_in_any_order_and_company() -> None:
    images = _images(32, n=3)
    for name in ("gaussian_noise", "impulse_noise", "motion_blur", "spatter"):
        together = corrupt(images, name, 2, rows=np.array([4, 7, 9]))
        alone = corrupt(images[1:2], name, 2, rows=np.array([7]))
        assert (together[1:2] == alone).all(), name
        assert (corrupt(images[::-1], name, 2, rows=np.array([9, 7, 4]))[::-1] == together).all(), name
    assert (corrupt(images, "gaussian_noise", 2, rows=np.array([4, 7, 9]), seed=1) != together).any()


@pytest.mark.slow
def test_glass_blur_and_frost_are_keyed_too() -> None:
    images = _images(32, n=2)
    for name in ("glass_blur", "frost"):
        together = corrupt(images, name, 2, rows=np.array([4, 7]))
        assert (together[1:] == corrupt(images[1:], name, 2, rows=np.array([7]))).all(), name


def test_noise_grows_with_severity_and_the_global_generator_is_left_alone() -> None:
    images = _images(32, 1)
    np.random.seed(3)
    wanted = np.random.random()
    np.random.seed(3)
    moved = [
        np.abs(corrupt(images, "gaussian_noise", s, rows=np.arange(2)).astype(int) - images).mean() for s in SEVERITIES
    ]
    assert np.random.random() == wanted
    assert moved == sorted(moved)
    # the noise of severity 1 has a standard deviation of 0.08 x 255 = 20; 7 x 7 x 3 of its pixels are averaged into one
    assert moved[0] == pytest.approx(20.4 * np.sqrt(2 / np.pi) / np.sqrt(7 * 7 * 3), rel=0.15)


def test_a_severity_is_as_strong_at_every_stored_size() -> None:
    large = _images(240)
    small = large.reshape(2, 48, 5, 48, 5, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    for name in ("defocus_blur", "fog", "contrast"):
        wanted = corrupt(large, name, 4, rows=np.arange(2)).reshape(2, 48, 5, 48, 5, 3).mean(axis=(2, 4))
        assert np.abs(corrupt(small, name, 4, rows=np.arange(2)) - wanted).mean() < 1, name
        assert np.abs(small - wanted).mean() > 1.5, name


def test_what_is_not_corrupted_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotone.data.corrupt._loaded", lambda: lambda image, *_: image)
    for images in (_images(32, 1), _images(50), _images(300)):
        assert (corrupt(images, "fog", 1, rows=np.arange(2)) == images).all()


def test_images_that_are_not_square_keep_their_form() -> None:
    images = _images(64)[:, :40]
    assert corrupt(images, "gaussian_noise", 2, rows=np.arange(2)).shape == (2, 40, 64, 3)
    assert np.abs(corrupt(images, "brightness", 1, rows=np.arange(2)).astype(int) - images).mean() < 40


def test_grey_stays_grey_and_the_images_are_not_changed() -> None:
    images = _images(32, 1)
    before = images.copy()
    assert corrupt(images, "fog", 1, rows=np.arange(2)).shape == (2, 32, 32, 1)
    assert (images == before).all()


@pytest.mark.parametrize(
    ("name", "severity", "side", "message"),
    [
        ("gausian_blur", 1, 32, f"there is no corruption 'gausian_blur'; there are {', '.join(CORRUPTIONS)}. "
         "Did you mean 'gaussian_blur'?"),
        ("fog", 6, 32, "the severity of a corruption must be 1, 2, 3, 4 or 5, got 6."),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(name: str, severity: int, side: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        corrupt(_images(side), name, severity, rows=np.arange(2))
    assert str(caught.value) == message


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(ConfigError) as caught:
        corrupt(_images(32), "fog", 1, rows=np.arange(2))
    assert str(caught.value) == (
        "corruptions need the package imagecorruptions-imaug. Install it with the extra: isotone[corruptions]."
    )
