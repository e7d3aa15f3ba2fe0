"""SkyFinder: outdoor cameras, the temperature from weather stations nearby.

Source: Mihail et al., Sky segmentation in the wild, WACV 2016; temperature as a target: Chu et al., WACV 2018.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from isotone.data.datasets.card import Card, Reading
from isotone.data.datasets.frames import column, kept, listed
from isotone.data.datasets.tree import find_base, missing, present, relative, wrong_layout
from isotone.data.files import fail, shown
from isotone.data.settings import DataSettings
from isotone.data.table import numbers, texts
from isotone.errors import DataError, Problem

CARD = Card(
    name="skyfinder",
    title="temperature of an outdoor picture, °C; 53 cameras",
    inputs="path",
    target=("TempM",),
    group="CamId",
    source="Mihail et al., Sky segmentation in the wild, WACV 2016; Zenodo record 5884485",
    licence="see the record; none is given with the files",
    obtain="Zenodo record 5884485 (9.8 GB): one archive a camera, and complete_table_with_mcr.csv (or metadata.csv)",
    counts="94,803 rows of 53 cameras, 94,468 with a temperature, -27.2 to 50.0; with images 81,000 to 88,800 rows of "
    "47 or 48 cameras; RnC used 35,417 images",
    layout="complete_table_with_mcr.csv, and images/CAMERA/YYYYMMDD_HHMMSS.jpg or CAMERA/... beside it",
    published="none; leave-one-camera-out is --hold-out CAMERA",
    traps=(
        "-9999 and -999 are missing values: left in, they ruin every error",
        "split at random a model reaches 2.64 °C, with cameras left out 8.22: it knows the camera, not the weather",
        "two files are known to be cut off, 20130617_101231.jpg and 20131225_171222.jpg: --on-bad skip leaves them out",
        "file names are in GMT, the column Hour is local time",
        "the paper's 35,417 rows were not published",
    ),
)
SENTINELS = (-9999, -999)
_TABLES = ("complete_table_with_mcr.csv", "metadata.csv")
_NEEDED = ("Filename", "CamId", "TempM")
_KEPT = ("Year", "Month", "Day", "Hour", "Latitude", "Longitude", "TempI", "Hum")


def read(root: Path, settings: DataSettings) -> Reading:
    """Read the table, clear its sentinels and look which cameras and images are there.

    Args:
        root: the folder with the table, or one that holds it as `skyfinder` or `SkyFinder`.
        settings: of the data; none of them matters here.

    Returns:
        columns id (camera and file), path, TempM (NaN where it is missing), CamId (text), and where the table has them
        Year, Month, Day, Hour, Latitude, Longitude, TempI, Hum.

    Raises:
        DataError: the table is not there, cannot be read or lacks a column.
    """
    del settings
    base = find_base(root, ("skyfinder", "SkyFinder"), lambda folder: _table(folder) is not None)
    if base is None:
        raise wrong_layout(root, " or ".join(_TABLES), CARD.name)
    file = _table(base)
    assert file is not None, "the base holds it"
    found = _cleared(_cells(file))
    images = base / "images" if (base / "images").is_dir() else base
    above = relative(images, root)
    prefix = "" if above == "." else f"{above}/"
    camera = listed(found, "CamId")
    names = [f"{of}/{_with_suffix(name)}" for of, name in zip(camera, listed(found, "Filename"), strict=True)]
    frame = pd.DataFrame({"id": names, "path": [prefix + name for name in names], "CamId": camera})
    frame = frame.assign(**{name: found[name] for name in ("TempM", *_KEPT) if name in found})
    return _with_files(frame, root, images)


# ----------------------------------------------------------------------------------------------------------------------


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in _TABLES if (folder / name).is_file()), None)


def _cells(file: Path) -> pd.DataFrame:
    try:
        found = pd.read_csv(file, dtype={"CamId": str, "Filename": str}, low_memory=False, encoding_errors="replace")
    except (OSError, ValueError) as error:
        what = f"cannot be read as CSV ({shown(' '.join(str(error).split()), 120)})"
        raise DataError([Problem("bad-csv", what, "Download it again", file=shown(file.name))]) from error
    lacking = [column for column in _NEEDED if column not in found]
    if lacking:
        what = f"lacks {', '.join(lacking)}; its columns are {shown(', '.join(map(str, found.columns)), 120)}"
        fail(file, "missing-column", what, "Download it again")
    return found


def _cleared(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numbers where there are to be some, and NaN for each sentinel."""
    found = found.copy()
    for name in ("TempM", *(name for name in _KEPT if name in found)):
        values = numbers(column(found, name))
        found[name] = np.where(np.isin(values, SENTINELS) | ~np.isfinite(values), np.nan, values)
    for name in ("CamId", "Filename"):
        found[name] = texts(column(found, name))
    return found


def _with_suffix(name: str) -> str:
    return name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"


def _with_files(frame: pd.DataFrame, root: Path, images: Path) -> Reading:
    of = np.array(listed(frame, "CamId"))
    cameras = sorted(set(of.tolist()))
    without = [name for name in cameras if not (name and (images / name).is_dir())]
    if len(without) == len(cameras):
        raise wrong_layout(images, f"folder of a camera, such as {cameras[0]}", CARD.name)
    left_out = {f"of {len(without)} cameras without a folder": int(np.isin(of, without).sum())}
    frame = kept(frame, ~np.isin(of, without))
    twice = column(frame, "id").duplicated().to_numpy()
    left_out["named twice"] = int(twice.sum())
    frame = kept(frame, ~twice)
    there = present(root, listed(frame, "path"))
    faults = missing(listed(frame, "path"), there, "the table")
    remarks = (f"cameras without a folder: {', '.join(map(repr, without))}",) if without else ()
    return Reading(kept(frame, there), left_out, tuple(faults), remarks)
