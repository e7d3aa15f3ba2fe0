"""The normalised form of MPIIFaceGaze: planes turned the right way round, colours, angles, and what is damaged."""

import builtins
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isotone.data.datasets import mpii_face_gaze
from isotone.data.datasets.gaze_matlab import direction, to_rgb
from isotone.data.datasets.mpii_face_gaze import pitch_yaw
from isotone.data.load import load_table
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError

h5py = pytest.importorskip("h5py", reason="the extra gaze is not installed")
SIDE = 24


def _write(base: Path, people: int = 4, rows: int = 6) -> np.ndarray:
    """Files as h5py shows the published ones: data (n, 3, h, w) in BGR, label (n, 16) with gaze, then head."""
    base.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    label = draw.uniform(-0.6, 0.6, (people, rows, 16))
    for p in range(people):
        data = draw.integers(0, 30, (rows, 3, SIDE, SIDE)).astype(np.uint8)
        data[:, 0, :, : SIDE // 2] = 250  # blue, the left half of each picture
        with h5py.File(base / f"p0{p}.mat", "w") as file:
            file["Data/data"], file["Data/label"] = data, label[p]
    return label


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(dataset="mpii-face-gaze", image_size=12, on_bad="error", **changed)


def test_pictures_and_angles(tmp_path: Path) -> None:
    label = _write(tmp_path / "MPIIFaceGaze_normalizad")
    found = mpii_face_gaze.read(tmp_path, _settings())
    assert len(found.frame) == 24
    np.testing.assert_allclose(found.frame[["pitch", "yaw"]], label[..., :2].reshape(-1, 2), atol=1e-12)
    np.testing.assert_array_equal(found.frame[["head_pitch", "head_yaw"]], label[..., 2:4].reshape(-1, 2))
    cell = found.frame["path"].iloc[7]
    assert cell["path"] == "MPIIFaceGaze_normalizad/p01.mat#1"
    pixels = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
    assert pixels.shape == (12, 12, 3)
    assert pixels[:, :5, 2].min() > 240  # blue, on the left
    assert pixels[:, 7:].max() < 40


def test_it_becomes_a_data_set(tmp_path: Path) -> None:
    _write(tmp_path, rows=8)
    dataset, found = load_table(tmp_path, _settings(hold_out="p02", cache_dir=str(tmp_path / "cache")), seed=0)
    assert dataset.inputs.shape == (32, 12, 12, 3)
    assert dataset.target_names == ("pitch", "yaw")
    assert set(dataset.split[dataset.group == "p02"].tolist()) == {"test"}
    assert found.keep.all()
    assert dataset.label[0] == "p00.mat#0"


def test_directions_are_the_inverse_of_angles() -> None:
    angle = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 2))
    np.testing.assert_allclose(pitch_yaw(direction(angle)), angle, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(direction(angle), axis=1), 1)


def test_planes_become_colours() -> None:
    stored = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    found = to_rgb(stored)
    assert found.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(found[1, 2, 3], stored[1, ::-1, 2, 3])


def test_damaged_files_are_told_together(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "p00.mat").write_bytes(b"no HDF5")
    with h5py.File(tmp_path / "p01.mat", "w") as file:
        file["Data/data"], file["Data/label"] = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 4))
    found = mpii_face_gaze.read(tmp_path, _settings())
    assert len(found.frame) == 12
    first, second = map(str, found.faults)
    assert first.startswith("p00.mat: cannot be read as the HDF5 file of one person (")
    assert second == (
        "p01.mat: cannot be read as the HDF5 file of one person (Data/data is (2, 8, 8, 3) and Data/label (2, 4), not "
        "(n, 3, h, w) and (n, 4 or more)). Unpack it again, or pass --on-bad skip."
    )


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path)
    whole = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError) as caught:
        mpii_face_gaze.read(tmp_path, _settings())
    assert str(caught.value) == (
        "the normalised form of mpii-face-gaze is HDF5, and reading it needs h5py. Install the extra: pip install "
        "'isotone[gaze]'."
    )
