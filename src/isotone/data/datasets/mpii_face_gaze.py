"""MPIIFaceGaze: where a person looks, in the three forms that circulate: original, normalised, and GazeHub's.

Whatever the form, gaze is a direction from the face to the target in the camera's frame, x right, y down, z away from
the camera. Source: Zhang et al., It's written all over your face, CVPR Workshops 2017.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from isotone.data.datasets import gaze_matlab
from isotone.data.datasets.card import Card, Reading
from isotone.data.datasets.frames import column, kept, listed
from isotone.data.datasets.tree import find_base, missing, present, relative, some, wrong_layout
from isotone.data.settings import DataSettings
from isotone.data.table import numbers
from isotone.errors import DataError, Problem

CARD = Card(
    name="mpii-face-gaze",
    title="gaze of a face, pitch and yaw in radians; 15 people before their laptops",
    inputs="path",
    target=("pitch", "yaw"),
    group="person",
    source="Zhang, Sugano, Fritz, Bulling, It's written all over your face: full-face appearance-based gaze "
    "estimation, CVPR Workshops 2017",
    licence="CC BY-NC-SA 4.0",
    obtain="the project's page at the Max Planck Institute for Informatics: MPIIFaceGaze.zip (940 MB), or "
    "MPIIFaceGaze_normalizad.zip",
    counts="15 people; the normalised form has 3,000 images each, 45,000 in all, of 448 x 448 pixels",
    layout="p00/p00.txt and p00/day01/0001.jpg to p14; or p00.mat to p14.mat (normalised); or Label/p00.label and "
    "Image/ (GazeHub)",
    published="the protocol leaves one person out: name that person with --hold-out, p00 to p14",
    flips=False,
    traps=(
        "gaze is the target minus the face's centre, both in mm: columns 25-27 minus 22-24 of the original text files",
        "a mirrored image has the opposite yaw: augmentations with a flip are refused, and mild means light alone",
        "normalised files are HDF5 with BGR planes (extra `gaze`); GazeHub's 2DGaze is yaw, pitch in its own code and "
        "read as pitch, yaw by others, so angles are taken from 3DGaze",
        "the original form has every labelled image, not the 3,000 a person of the evaluation, and is not normalised",
        "pitch and yaw are in radians; the columns gaze_x, gaze_y, gaze_z hold the unit vector",
    ),
)
_PERSON = re.compile(r"p\d\d")
_PEOPLE = tuple(f"p{i:02}" for i in range(15))
_TOPS = ("MPIIFaceGaze", "MPIIFaceGaze_normalizad", "MPIIFaceGaze_normalized")
_FIELDS = 28  # of a line in the original text files
_AXES = ("gaze_x", "gaze_y", "gaze_z")


def read(root: Path, settings: DataSettings) -> Reading:
    """Read whichever form the folder holds.

    Args:
        root: the folder of the people, or the one above it.
        settings: the normalised form is made `image_size` (or `stored_size`) pixels wide as it is read.

    Returns:
        columns id, path (or the image itself, in the normalised form), pitch, yaw, gaze_x, gaze_y, gaze_z, person.

    Raises:
        DataError: the folder holds none of the forms, or more than one.
        ConfigError: the normalised form needs the extra `gaze`.
    """
    forms = {
        "original": (_original, lambda folder: bool(_people(folder))),
        "normalised": (gaze_matlab.read, lambda folder: bool(gaze_matlab.files(folder))),
        "GazeHub": (_gazehub, lambda folder: bool(_labels(folder))),
    }
    found = {name: base for name, (_, holds) in forms.items() if (base := find_base(root, _TOPS, holds)) is not None}
    if not found:
        raise wrong_layout(root, "p00/p00.txt, p00.mat or Label/p00.label", CARD.name)
    if len(found) > 1:
        what = f"holds the set in {len(found)} forms, {' and '.join(found)}"
        raise DataError([Problem("which-form", what, "Name the folder of one of them", file=str(root))])
    name, base = next(iter(found.items()))
    reading = forms[name][0](base, root, settings)
    frame = reading.frame
    angle = pitch_yaw(np.stack([numbers(column(frame, axis)) for axis in _AXES], axis=1))
    frame = frame.assign(pitch=angle[:, 0], yaw=angle[:, 1])
    there = set(listed(frame, "person"))
    absent = [person for person in _PEOPLE if person not in there]
    remarks = [f"the form is the {name} one", "a flip would change the yaw: where `mild` is named, `light` is used"]
    remarks += [f"{len(absent)} of the 15 people are not there: {', '.join(absent)}"] if absent else []
    return Reading(frame, reading.left_out, reading.faults, tuple(remarks))


def pitch_yaw(direction: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Return pitch and yaw, radians, of directions in the camera's frame.

    Formula: for the unit vector (x, y, z): pitch = asin(-y), yaw = atan2(-x, -z). Looking into the camera is (0, 0).

    Args:
        direction: (n, 3) of any length above 0; NaN for length 0.

    Example:
        >>> pitch_yaw(np.array([[0.0, 0.0, -2.0], [0.0, -1.0, -1.0]])).round(4).tolist()
        [[0.0, 0.0], [0.7854, 0.0]]
    """
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    x, y, z = (direction / np.where(length > 0, length, np.nan)).T
    return np.stack([np.arcsin(np.clip(-y, -1, 1)), np.arctan2(-x, -z)], axis=1) + 0.0  # + 0.0: no minus zero


# ----------------------------------------------------------------------------------------------------------------------


def _people(base: Path) -> list[str]:
    return sorted(p.name for p in base.iterdir() if _PERSON.fullmatch(p.name) and any(p.glob("p*.txt")))


def _labels(base: Path) -> list[Path]:
    return sorted((base / "Label").glob("p[0-9][0-9].label"))


def _original(base: Path, root: Path, settings: DataSettings) -> Reading:
    del settings
    people = sorted(p.name for p in base.iterdir() if p.is_dir() and _PERSON.fullmatch(p.name))
    texts = {person: base / person / f"{person}.txt" for person in people}
    lacking = [f"{person}/{person}.txt" for person, text in texts.items() if not text.is_file()]
    faults = [_gone(lacking)] if lacking else []
    rows: list[tuple[object, ...]] = []
    for person, text in texts.items():
        lines = _lines(text) if text.is_file() else []
        good = [line for line in lines if len(line) == _FIELDS and _are_numbers(line[1:-1])]
        if len(good) < len(lines):
            faults.append(_odd_lines(text, len(lines) - len(good), f"{_FIELDS} columns"))
        for line in good:
            face, target = (np.array(line[i : i + 3], dtype=np.float64) for i in (21, 24))
            name = f"{person}/{line[0]}"
            rows.append((name, relative(base / name, root), *_unit(target - face), person, line[-1]))
    frame = pd.DataFrame(rows, columns=["id", "path", *_AXES, "person", "eye"])
    return _with_files(frame, root, faults, "the text file")


def _gazehub(base: Path, root: Path, settings: DataSettings) -> Reading:
    del settings
    faults: list[Problem] = []
    rows: list[tuple[object, ...]] = []
    for label in _labels(base):
        header, *lines = _lines(label) or [[]]
        if not {"Face", "3DGaze"} <= set(header):
            faults.append(Problem("header", "has no columns Face and 3DGaze", "Get it again", file=label.name))
            continue
        face, gaze = header.index("Face"), header.index("3DGaze")
        vectors = [line[gaze].split(",") if len(line) == len(header) else [] for line in lines]
        good = [len(vector) == 3 and _are_numbers(vector) for vector in vectors]
        if not all(good):
            faults.append(_odd_lines(label, good.count(False), f"{len(header)} columns with a 3DGaze of three numbers"))
        for line, vector, fine in zip(lines, vectors, good, strict=True):
            if fine:
                name = line[face].replace("\\", "/")
                path = relative(base / "Image" / name, root)
                rows.append((name, path, *_unit(np.array(vector, dtype=np.float64)), label.stem))
    return _with_files(pd.DataFrame(rows, columns=["id", "path", *_AXES, "person"]), root, faults, "the label file")


def _with_files(frame: pd.DataFrame, root: Path, faults: list[Problem], by: str) -> Reading:
    there = present(root, listed(frame, "path"))
    faults = [*faults, *missing(listed(frame, "path"), there, by)]
    return Reading(kept(frame, there), {}, tuple(faults))


def _unit(direction: np.ndarray) -> list[float]:
    length = float(np.linalg.norm(direction))
    return (direction / length if length > 0 else np.full(3, np.nan)).tolist()


def _lines(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _are_numbers(cells: list[str]) -> bool:
    try:
        return bool(np.isfinite([float(cell) for cell in cells]).all())
    except ValueError:
        return False


def _gone(names: list[str]) -> Problem:
    fix = "Unpack it again, or pass --on-bad skip to leave these people out"
    return Problem("missing-files", f"{len(names)} text files are missing: {some(names)}", fix, file="MPIIFaceGaze")


def _odd_lines(file: Path, count: int, expected: str) -> Problem:
    what = f"{count} lines do not hold {expected}"
    return Problem("odd-lines", what, "Unpack it again, or pass --on-bad skip", file=file.name)
