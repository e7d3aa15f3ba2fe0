"""The normalised form of MPIIFaceGaze: one MATLAB v7.3 file, which is HDF5, for each person.

HDF5 shows MATLAB's arrays with their axes turned round; images were stored for a library that wants width first and
BGR, so that read here they are (n, c, h, w), planes blue, green, red.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from PIL import Image

from isotone.data.datasets.card import Reading
from isotone.data.datasets.tree import relative
from isotone.data.files import shown
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError, Problem

if TYPE_CHECKING:
    import h5py

_BLOCK = 100  # images held at once at their full size
_COLUMNS = ("id", "path", "gaze_x", "gaze_y", "gaze_z", "person", "head_pitch", "head_yaw")


def files(folder: Path) -> list[Path]:
    """Return the files of the people, by name."""
    return sorted(path for path in folder.glob("p*.mat") if re.fullmatch(r"p\d\d", path.stem))


def read(base: Path, root: Path, settings: DataSettings) -> Reading:
    """Read all people's images, made as small as the run keeps them, as PNG in memory.

    45,000 images of 64 pixels take about 0.4 GB, of 224 pixels 3 GB.

    Args:
        base: folder of p00.mat to p14.mat.
        root: where names start.
        settings: the side of the images.

    Returns:
        columns id, path (a record of bytes and name), gaze_x, gaze_y, gaze_z, person, head_pitch, head_yaw (radians).

    Raises:
        ConfigError: the extra `gaze` is not installed.
    """
    h5py = _library()
    rows: list[tuple[object, ...]] = []
    faults: list[Problem] = []
    for file in files(base):
        try:
            with h5py.File(file, "r") as opened:
                rows += _person(opened, file, root, settings.side)
        except (OSError, KeyError, ValueError, TypeError) as error:
            what = f"cannot be read as the HDF5 file of one person ({shown(' '.join(str(error).split()), 120)})"
            faults.append(Problem("bad-mat", what, "Unpack it again, or pass --on-bad skip", file=file.name))
    return Reading(pd.DataFrame(rows, columns=list(_COLUMNS)), {}, tuple(faults))


def to_rgb(stored: UInt8[np.ndarray, "n 3 h w"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Return images as people see them, from planes in the order blue, green, red.

    Example:
        >>> to_rgb(np.array([[[[1]], [[2]], [[3]]]], dtype=np.uint8)).tolist()
        [[[[3, 2, 1]]]]
    """
    return stored.transpose(0, 2, 3, 1)[..., ::-1]


def direction(angle: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Return the unit vectors of pitch and yaw, radians: (-cos p sin y, -sin p, -cos p cos y).

    Example:
        >>> direction(np.array([[0.0, np.pi / 2]])).round(6).tolist()
        [[-1.0, -0.0, -0.0]]
    """
    pitch, yaw = angle.T
    return np.stack([-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw)], axis=1)


# ----------------------------------------------------------------------------------------------------------------------


def _library() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            "the normalised form of mpii-face-gaze is HDF5, and reading it needs h5py. "
            "Install the extra: pip install 'isotone[gaze]'."
        ) from error
    return h5py


def _person(opened: "h5py.File", file: Path, root: Path, side: int) -> list[tuple[object, ...]]:
    images: Any = opened["Data/data"]
    label = np.asarray(opened["Data/label"], dtype=np.float64)
    if images.ndim != 4 or images.shape[1] != 3 or label.ndim != 2 or label.shape[1] < 4 or len(label) != len(images):
        raise ValueError(
            f"Data/data is {images.shape} and Data/label {label.shape}, not (n, 3, h, w) and (n, 4 or more)"
        )
    gaze = direction(label[:, :2])
    where = relative(file, root)
    rows: list[tuple[object, ...]] = []
    for start in range(0, len(images), _BLOCK):
        block = to_rgb(np.asarray(images[start : start + _BLOCK]).astype(np.uint8))
        for i, image in enumerate(block, start):
            name = f"{where}#{i}"
            cell = {"bytes": _png(image, side), "path": name}
            rows.append((f"{file.stem}#{i}", cell, *gaze[i].tolist(), file.stem, *label[i, 2:4].tolist()))
    return rows


def _png(image: np.ndarray, side: int) -> bytes:
    """A PNG no larger than the run keeps: what is larger would only fill the memory."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    share = side / max(picture.size)
    if share < 1:  # by the filter of `decode`, which finds nothing left to do
        wide, high = (max(1, round(share * x)) for x in picture.size)
        picture = picture.resize((wide, high), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
