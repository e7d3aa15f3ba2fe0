"""Decoding: every mode right, nothing unsafe, geometry kept; the cache is whole, shared and never out of date."""

import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from isotone.data.images import FORMATS, Probe, decode, decode_all, probe_all
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError, DataError, Problem

Build = Callable[..., DataSettings]
DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (8, 8, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def file(image: Image.Image, name: str = "PNG", **more: object) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **more)
    return out.getvalue()


def test_pixels_are_kept_where_the_size_fits(settings: Build) -> None:
    assert np.array_equal(decode(file(Image.fromarray(COLOUR)), settings()), COLOUR)
    assert np.array_equal(decode(file(Image.fromarray(GREY)), settings())[..., 0], GREY)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "JPEG"])
def test_every_format_is_read(name: str, settings: Build) -> None:
    data = file(Image.fromarray(GREY), name, **({"lossless": True} if name == "WEBP" else {}))
    assert abs(decode(data, settings(channels="1"))[..., 0].astype(int) - GREY).max() <= 1


def test_jpeg_is_read(settings: Build) -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None] * 4, 64, axis=0)
    out = decode(file(Image.fromarray(ramp), "JPEG", quality=95), settings())  # also: decoded at a smaller scale
    np.testing.assert_allclose(out[4, :, 0], ramp[0].reshape(8, 8).mean(axis=1), atol=8)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.full((8, 8), 65_535, np.uint16)), 255),
        (Image.fromarray(np.full((8, 8), 257, np.uint16)), 1),  # 257 / 257, where clipping would give 255
        (Image.fromarray(np.full((8, 8), 128 * 257, np.int32)), 128),
        (Image.fromarray(np.full((8, 8), True)), 255),
        (Image.fromarray(np.full((8, 8, 2), (200, 0), np.uint8), "LA"), 0),  # transparent is black
        (Image.fromarray(np.full((8, 8, 2), (200, 255), np.uint8), "LA"), 200),
    ],
    ids=["white 16 bit", "dark 16 bit", "32 bit", "1 bit", "transparent", "opaque"],
)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_greys(image: Image.Image, expected: int, settings: Build) -> None:
    out = decode(file(image, "TIFF" if image.mode == "I" else "PNG"), settings())
    assert out.shape == (8, 8, 1)
    assert np.unique(out).tolist() == [expected]


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("RGBA", (8, 8), (200, 100, 50, 0)), "PNG", (0, 0, 0)),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 255)), "PNG", (200, 100, 50)),
        (Image.new("RGBA", (8, 8), (200, 100, 50, 128)), "PNG", (100, 50, 25)),
        (Image.new("RGB", (8, 8), (200, 100, 50)).quantize(4), "PNG", (200, 100, 50)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("RGB", (8, 8), (200, 100, 50)), "GIF", (200, 100, 50)),
    ],
    ids=["transparent", "opaque", "half", "palette", "cmyk", "gif"],
)
def test_colours(image: Image.Image, name: str, expected: tuple[int, int, int], settings: Build) -> None:
    out = decode(file(image, name), settings())
    assert out.shape == (8, 8, 3)
    np.testing.assert_allclose(out.reshape(-1, 3), np.tile(expected, (64, 1)), atol=1)


def test_channels_are_what_was_asked_for(settings: Build) -> None:
    assert decode(file(Image.new("RGB", (8, 8), (255, 0, 0))), settings(channels="1"))[0, 0, 0] == 76  # 0.299 x 255
    assert decode(file(Image.fromarray(GREY)), settings(channels="3")).shape == (8, 8, 3)


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied(turn: int, settings: Build) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = GREY[:, :4]
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored.T[:, ::-1],
        7: stored[::-1, ::-1].T,
        8: stored.T[::-1],
    }[turn]
    out = decode(file(Image.fromarray(np.ascontiguousarray(stored)), exif=exif), settings())[..., 0]
    expected = np.zeros((8, 8), np.uint8)
    expected[:, 2:6] = upright if turn < 5 else 0
    if turn >= 5:
        expected[:] = 0
        expected[2:6] = upright
    assert np.array_equal(out, expected)


def test_pad_crop_and_squash(settings: Build) -> None:
    wide = np.zeros((8, 16), np.uint8)
    wide[:, 4:12] = 200
    data = file(Image.fromarray(wide))
    pad, crop, squash = (decode(data, settings(resize=name))[..., 0] for name in ("pad", "crop", "squash"))
    assert (pad[:2] == 0).all()
    assert (pad[6:] == 0).all()
    assert pad[3].tolist() == squash[3].tolist()
    assert (squash[0] == squash[3]).all()
    assert (crop == 200).all()
    assert decode(data, settings(stored_size=12)).shape == (12, 12, 1)


def test_extreme_shapes(settings: Build) -> None:
    for size in ((1, 1), (1000, 1), (1, 1000)):
        for resize in ("pad", "crop", "squash"):
            assert decode(file(Image.new("L", size, 9)), settings(resize=resize)).shape == (8, 8, 1)


def test_a_damaged_exif_block_is_no_fault(settings: Build) -> None:
    data = file(Image.fromarray(GREY), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(7))
    assert np.array_equal(decode(data, settings())[..., 0], GREY)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            Image.fromarray(np.full((8, 8), 70_000, np.int32)),
            "table: has grey values from 70000 to 70000, outside 0 to 65535. Save it with 8 or 16 bits.",
        ),
        (
            Image.fromarray(np.ones((8, 8), np.float32)),
            "table: holds floating-point greys, whose white is not known. Save it with 8 or 16 bits.",
        ),
    ],
)
def test_greys_of_unknown_range_are_refused(image: Image.Image, message: str, settings: Build) -> None:
    with pytest.raises(DataError) as caught:
        decode(file(image, "TIFF"), settings())
    assert str(caught.value) == message


def test_the_pixel_cap_is_the_users(settings: Build) -> None:
    with pytest.raises(DataError) as caught:
        decode(file(Image.fromarray(GREY)), settings(max_pixels=63))
    assert str(caught.value) == (
        "table: has 8 x 8 = 64 pixels; 63 are allowed. Make it smaller, or raise --max-pixels."
    )


def test_every_cut_of_a_file_is_an_error(settings: Build) -> None:
    for name in ("PNG", "JPEG", "BMP", "WEBP", "TIFF"):
        data = file(Image.fromarray(DRAW.integers(0, 256, (32, 32), dtype=np.uint8)), name)
        for share in (0.1, 0.5, 0.9):
            with pytest.raises(DataError):
                decode(data[: int(len(data) * share)], settings())


def test_half_files_never_pass_because_of_another_library(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ConfigError) as caught:
        decode(file(Image.fromarray(GREY)), settings())
    assert str(caught.value) == (
        "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on: half a file would pass as an image with a grey half. "
        "Another library set it; set it to False before calling isotone."
    )


def test_probes_tell_what_an_image_is(folder: Path, settings: Build) -> None:
    sources = [folder / "images" / "0.png", file(Image.fromarray(COLOUR), "JPEG"), folder / "none.png"]
    grey, colour, missing = probe_all(sources, settings())
    assert isinstance(grey, Probe)
    assert (grey.format, grey.mode, grey.width, grey.height, grey.grey, grey.peak) == ("PNG", "L", 8, 8, True, 0)
    assert isinstance(colour, Probe)
    assert (colour.format, colour.grey) == ("JPEG", False)
    assert isinstance(missing, Problem)
    assert missing.kind == "missing-file"


def test_sound_probes_are_kept_until_a_file_changes(folder: Path, settings: Build) -> None:
    sources = sorted((folder / "images").iterdir())
    first = probe_all(sources, settings())
    sources[3].chmod(0o600)  # not what the key depends on
    assert probe_all(sources, settings()) == first
    sources[3].write_bytes(b"")
    assert isinstance(probe_all(sources, settings())[3], Problem)


@pytest.fixture
def sources(folder: Path) -> list[Path]:
    return [folder / "images" / f"{i}.png" for i in range(24)]


def test_all_images_in_order_and_read_only(sources: list[Path], settings: Build) -> None:
    seen: list[tuple[int, int]] = []
    images = decode_all(sources, settings(), 1, lambda done, total: seen.append((done, total)))
    assert isinstance(images, np.memmap)
    assert (images.shape, images.dtype, images.flags.writeable) == ((24, 8, 8, 1), np.uint8, False)
    for i, source in enumerate(sources):
        assert np.array_equal(images[i], decode(source, settings()))
    assert seen == [(24, 24)]


def test_the_second_call_decodes_nothing(sources: list[Path], settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decode_all(sources, settings(), 1)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("an image was opened"))
    assert np.array_equal(decode_all(sources, settings(), 1), first)


@pytest.mark.parametrize("changed", [{"resize": "crop"}, {"stored_size": 12}, {"image_size": 16}])
def test_settings_that_change_pixels_have_their_own_cache(
    changed: dict[str, object], sources: list[Path], settings: Build, tmp_path: Path
) -> None:
    decode_all(sources, settings(), 1)
    decode_all(sources, settings(max_pixels=100), 1)  # changes none
    decode_all(sources, settings(**changed), 1)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_a_changed_file_is_decoded_anew(sources: list[Path], settings: Build) -> None:
    first = decode_all(sources, settings(), 1)
    data = sources[4].read_bytes()
    sources[4].write_bytes(data)
    os.utime(sources[4], ns=(time.time_ns(), time.time_ns() + 10**9))
    Image.fromarray(255 - np.asarray(first[4, ..., 0])).save(sources[4])
    assert np.array_equal(decode_all(sources, settings(), 1)[4], 255 - first[4])


def test_bytes_are_known_by_their_content(settings: Build, tmp_path: Path) -> None:
    data = [file(Image.fromarray(GREY)), file(Image.fromarray(255 - GREY))]
    images = decode_all(data, settings(), 1)
    assert np.array_equal(images[1], 255 - images[0])
    decode_all([bytes(item) for item in data], settings(), 1)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_faulty_image_leaves_no_cache(sources: list[Path], settings: Build, tmp_path: Path) -> None:
    sources[20].write_bytes(b"")
    with pytest.raises(DataError):
        decode_all(sources, settings(), 1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_runs_at_once(sources: list[Path], settings: Build) -> None:
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(decode_all(sources, settings(), 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = np.stack([decode(source, settings()) for source in sources])
    assert len(found) == 4
    for images in found:
        assert np.array_equal(images, expected)
