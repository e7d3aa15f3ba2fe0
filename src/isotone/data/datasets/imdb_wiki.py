"""IMDB-WIKI: faces of celebrities, the age from a birth date and the year of the photograph.

Source: Rothe et al., IJCV 2018, with the filter of DIR (Yang et al., ICML 2021).
"""

import zlib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from isotone.data.datasets.card import Card, Reading
from isotone.data.datasets.frames import column, kept, listed
from isotone.data.datasets.tree import find_base, missing, present, relative, wrong_layout
from isotone.data.files import fail, shown
from isotone.data.settings import DataSettings
from isotone.data.table import numbers
from isotone.errors import DataError, Problem

CARD = Card(
    name="imdb-wiki",
    title="age of a face, years; celebrities of IMDb and Wikipedia, labels from birth dates and partly wrong",
    inputs="path",
    target=("age",),
    group="person",
    source="Rothe, Timofte, Van Gool, Deep expectation of real and apparent age from a single image, IJCV 2018",
    licence="academic research only",
    obtain="the project's page at ETH Zürich: imdb_crop.tar (7 GB) and wiki_crop.tar (1 GB), the cropped faces",
    counts="460,723 + 62,328 images; the filter of DIR leaves 213,500; RnC draws 2,000 to 32,000 of them",
    layout="imdb_crop/imdb.mat and imdb_crop/00/*.jpg to 99/, the same below wiki_crop; one of the two will do",
    published="no file of it is part of the download; --split dir makes one by the published rule",
    most_held_out=150,
    traps=(
        "dob counts days as MATLAB does, 366 more than Python; an age is the year of the photograph, taken to be from "
        "the middle of it, minus the birth",
        "wrong birth dates give ages up to 200: those outside 0 to 120 are left out; --split dir keeps them to 200, "
        "as published, and trains on those above 120 without ever judging them",
        "a face score of minus infinity is no face; below 1 it is left out, and so is a photograph with a second face",
        "a celebrity in both parts is one person: groups are names, those of celeb_id in imdb",
    ),
)
LEAST_SCORE, OLDEST, OLDEST_OF_DIR = 1.0, 120, 200
_PARTS = ("imdb", "wiki")
_FIELDS = ("dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score", "name")
_SEX = {1.0: "m", 0.0: "f"}


def read(root: Path, settings: DataSettings) -> Reading:
    """Read both lists of images, filter them and look which files are there.

    Args:
        root: the folder that holds `imdb_crop` or `wiki_crop`, or one of these itself.
        settings: its split decides how old one may be.

    Returns:
        columns id, path, age, person, sex, face_score, second_face_score, year, part.

    Raises:
        DataError: neither list is there, or one cannot be read.
    """
    bases = {part: base for part in _PARTS if (base := _base(root, part)) is not None}
    if not bases:
        raise wrong_layout(root, "imdb_crop/imdb.mat or wiki_crop/wiki.mat", CARD.name)
    frame = pd.concat([_listed(base, part, root) for part, base in bases.items()], ignore_index=True)
    oldest = OLDEST_OF_DIR if settings.split == "dir" else OLDEST
    score, second, age = (numbers(column(frame, name)) for name in ("face_score", "second_face_score", "age"))
    rules = {
        "with no face": ~np.isfinite(score),
        f"with a face score below {LEAST_SCORE:g}": score < LEAST_SCORE,
        "with a second face": second > 0,
        f"with an age outside 0 to {oldest}": (age < 0) | (age > oldest),
    }
    left_out: dict[str, int] = {}
    gone = np.zeros(len(frame), dtype=bool)
    for reason, bad in rules.items():  # a row counts for the first rule that it breaks
        left_out[reason] = int((bad & ~gone).sum())
        gone |= bad
    frame = kept(frame, ~gone)
    there = present(root, listed(frame, "path"))
    faults = missing(listed(frame, "path"), there, "the .mat file")
    absent = tuple(f"{part}_crop is not there, only {', '.join(bases)} is read" for part in _PARTS if part not in bases)
    return Reading(kept(frame, there), left_out, tuple(faults), absent)


def age_years(dob: Float[np.ndarray, " n"], taken: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return ages from birth dates and the year of a photograph, which is taken to be from its middle.

    Formula: b = dob - 366 as a Python ordinal, at least 1; age = taken - year(b), and 1 less if b is from July on.

    Args:
        dob: (n,) MATLAB's serial date numbers, days; NaN where unknown.
        taken: (n,) years.

    Returns:
        (n,) whole years, NaN where a part is unknown or no date.

    Example:
        >>> born = date(1950, 6, 30).toordinal() + 366
        >>> age_years(np.array([born, born + 1.0]), np.array([2000.0, 2000.0])).tolist()
        [50.0, 49.0]
    """
    age = np.full(len(dob), np.nan)
    last = date.max.toordinal()
    for i in np.flatnonzero(np.isfinite(dob) & np.isfinite(taken)).tolist():
        ordinal = max(int(dob[i]) - 366, 1)
        if ordinal <= last:
            born = date.fromordinal(ordinal)
            age[i] = taken[i] - born.year - (born.month >= 7)
    return age


# ----------------------------------------------------------------------------------------------------------------------


def _base(root: Path, part: str) -> Path | None:
    return find_base(root, (f"{part}_crop",), lambda folder: (folder / f"{part}.mat").is_file())


def _listed(base: Path, part: str, root: Path) -> pd.DataFrame:
    file = base / f"{part}.mat"
    fields = _fields(file, part)
    names = [_text(cell) for cell in fields["name"]]
    above = relative(base, root)
    prefix = "" if above == "." else f"{above}/"
    return pd.DataFrame(
        {
            "id": [f"{part}-{i}" for i in range(len(names))],
            "path": [prefix + _text(cell) for cell in fields["full_path"]],
            "age": age_years(_numbers(fields["dob"]), _numbers(fields["photo_taken"])),
            "person": [name or f"{part}-{i}" for i, name in enumerate(_people(fields, names))],
            "sex": [_SEX.get(value, "") for value in _numbers(fields["gender"]).tolist()],
            "face_score": _numbers(fields["face_score"]),
            "second_face_score": _numbers(fields["second_face_score"]),
            "year": _numbers(fields["photo_taken"]),
            "part": part,
        }
    )


def _fields(file: Path, part: str) -> dict[str, np.ndarray]:
    """Read the nested arrays of a MATLAB v5 structure, each field to (n,)."""
    from scipy.io import loadmat

    fix = "Unpack it again"
    try:
        record = loadmat(file)[part][0, 0]
        names = [*_FIELDS, *(name for name in ("celeb_id", "celeb_names") if name in record.dtype.names)]
        lacking = [name for name in _FIELDS if name not in record.dtype.names]
        fields = {name: np.asarray(record[name]).reshape(-1) for name in names if name not in lacking}
    except (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, EOFError, zlib.error) as error:
        what = f"cannot be read as the MATLAB file of {part} ({shown(' '.join(str(error).split()), 120)})"
        raise DataError([Problem("bad-mat", what, fix, file=shown(file.name))]) from error
    if lacking:
        fail(file, "missing-field", f"lacks {', '.join(lacking)}", fix)
    lengths = {len(fields[name]) for name in _FIELDS}
    if len(lengths) > 1:
        fail(file, "odd-fields", f"holds fields of different lengths, {min(lengths)} to {max(lengths)}", fix)
    return fields


def _people(fields: dict[str, np.ndarray], names: list[str]) -> list[str]:
    """Name each row's person: through `celeb_id`, which counts from 1, where it is there, else as written."""
    if "celeb_id" not in fields or "celeb_names" not in fields:
        return names
    known = [_text(cell) for cell in fields["celeb_names"]]
    ids = _numbers(fields["celeb_id"])
    return [
        known[int(i) - 1] if np.isfinite(i) and 1 <= i <= len(known) else name
        for i, name in zip(ids.tolist(), names, strict=True)
    ]


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.array([_number(value) for value in values]) if values.dtype == object else values.astype(np.float64)


def _number(value: Any) -> float:
    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    return float(flat[0]) if len(flat) else float("nan")


def _text(value: Any) -> str:
    """A cell of one text is an array of one, or of none where it is empty."""
    while isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    return str(value).strip()
