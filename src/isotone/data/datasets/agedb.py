"""AgeDB: faces of known people, the age in the file name.

Source: Moschoglou et al., CVPR Workshops 2017. The csv split is that of DIR (Yang et al., 2021), which RnC uses too.
"""

import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from isotone.data.datasets.card import Card, Reading
from isotone.data.datasets.frames import column, kept, listed
from isotone.data.datasets.tree import find_base, missing, relative, some, wrong_layout
from isotone.data.files import fail
from isotone.data.settings import DataSettings
from isotone.errors import Problem

CARD = Card(
    name="agedb",
    title="age of a face, years; 567 people, most of them actors, writers and scientists",
    inputs="path",
    target=("age",),
    group="person",
    source="Moschoglou et al., AgeDB: the first manually collected, in-the-wild age database, CVPR Workshops 2017",
    licence="research only, by agreement with its authors; not to be passed on",
    obtain="ask the iBUG group of Imperial College London by e-mail for the password of the archive",
    checksum="agedb.csv, the split of DIR and RnC: SHA-256 begins with ab9f8d4c; the archive's is not published",
    counts="16,488 images, 567 people (9,788 images of men, 6,700 of women), ages 1 to 101",
    layout="AgeDB/NUMBER_NAME_AGE_m.jpg (or _f); for --split published also agedb.csv, beside or in the folder",
    published="the column split of agedb.csv, 12,208 / 2,140 / 2,140 rows; every test person is in training too",
    most_held_out=30,
    traps=(
        "the published split shows each test person in training: RnC's 6.14 years are too good for new people",
        "five names (131 images) are not ASCII and spelt differently by each unzip tool: rows are matched by number, "
        "names in code page 866 or 437 are repaired for the groups",
    ),
)
_NAME = re.compile(r"(\d+)_([^_]+)_(\d+)_([mf])")
_PATTERN = "NUMBER_NAME_AGE_m.jpg or NUMBER_NAME_AGE_f.jpg"
_TABLE, _IMAGES = "agedb.csv", 16_488


def read(root: Path, settings: DataSettings) -> Reading:
    """Read the names of all images, and `agedb.csv` where it is there.

    Args:
        root: folder `AgeDB`, or the one that holds it.
        settings: whether the published split is asked for.

    Returns:
        columns id (the number), path, age, person, sex, and published where it is asked for.

    Raises:
        DataError: no such image, or no readable `agedb.csv` although its split is asked for.
    """
    base = find_base(root, ("AgeDB", "agedb"), lambda folder: any(map(_NAME.match, _images(folder))))
    if base is None:
        raise wrong_layout(root, f"image named {_PATTERN}", CARD.name)
    named = sorted(((_NAME.fullmatch(os.path.splitext(file)[0]), file) for file in _images(base)), key=lambda p: p[1])
    odd = [file for match, file in named if match is None]
    rows = [_row(match, base, root, file) for match, file in named if match is not None]
    frame = pd.DataFrame(rows, columns=["id", "path", "age", "person", "sex", "repaired"])
    frame = frame.iloc[np.argsort([int(number) for number in listed(frame, "id")], kind="stable")]
    faults = [_odd_names(odd)] if odd else []
    frame, twice = _once(frame)
    left_out: dict[str, int] = {}
    table = _table(root, base)
    if settings.split == "published" or table is not None:
        frame, more, left_out = _matched(frame, table, root, base, settings)
        faults += more
    repaired = int(column(frame, "repaired").to_numpy().sum())
    frame = frame.drop(columns="repaired")
    remarks = [f"{len(rows):,} of the set's {_IMAGES:,} images are there"] if len(rows) < _IMAGES else []
    remarks += [f"{repaired} names in an old code page were repaired"] if repaired else []
    return Reading(frame, left_out, (*faults, *twice), tuple(remarks))


def repaired_name(name: str) -> str:
    """Return a person's name as it was written, in composed Unicode.

    The archive holds names in code page 437. Tools show them in code page 866 (`StВphane`), as bytes that are no text,
    or as signs of Latin-1 that are no letters; Cyrillic and box-drawing in these names can only come from that.

    Example:
        >>> repaired_name("StВphaneAudran"), repaired_name("StéphaneAudran")
        ('StéphaneAudran', 'StéphaneAudran')
    """
    odd = [char for char in name if not char.isascii()]
    if any(0xDC80 <= ord(char) <= 0xDCFF for char in odd):
        name = name.encode("utf-8", "surrogateescape").decode("cp437")
    elif any(0x80 <= ord(char) <= 0xBF for char in odd):
        name = name.encode("latin-1", "replace").decode("cp437")
    elif any(0x400 <= ord(char) <= 0x4FF or 0x2500 <= ord(char) <= 0x259F for char in odd):
        name = name.encode("cp866", "replace").decode("cp437")
    return unicodedata.normalize("NFC", name)


# ----------------------------------------------------------------------------------------------------------------------


def _images(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.lower().endswith((".jpg", ".jpeg"))]


def _row(match: re.Match[str], base: Path, root: Path, file: str) -> tuple[object, ...]:
    number, name, age, sex = match.groups()
    person = repaired_name(name)
    path = relative(base / file, root)
    cell: object = path
    if any(0xDC80 <= ord(char) <= 0xDCFF for char in file):  # a name that is no text could not be written to a table
        cell = {"bytes": (base / file).read_bytes(), "path": path.replace(name, person)}
    return number, cell, int(age), person, sex, person != unicodedata.normalize("NFC", name)


def _odd_names(odd: list[str]) -> Problem:
    what = f"{len(odd)} images are not named {_PATTERN}: {some(odd)}"
    return Problem("file-names", what, "Remove them from the folder, or pass --on-bad skip", file="AgeDB")


def _once(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    twice = column(frame, "id").duplicated().to_numpy()
    if not twice.any():
        return kept(frame, ~twice), []
    what = f"{int(twice.sum())} images have the number of another: {', '.join(listed(kept(frame, twice), 'id')[:3])}"
    problem = Problem("same-number", what, "Remove one of them, or pass --on-bad skip to keep the first", file="AgeDB")
    return kept(frame, ~twice), [problem]


def _table(root: Path, base: Path) -> Path | None:
    places = (root, base, base.parent, root / "data")
    return next((folder / _TABLE for folder in places if (folder / _TABLE).is_file()), None)


def _matched(
    frame: pd.DataFrame, table: Path | None, root: Path, base: Path, settings: DataSettings
) -> tuple[pd.DataFrame, list[Problem], dict[str, int]]:
    """Match files and csv by number: what the csv names and the folder lacks is a fault."""
    if table is None:
        fix = "It is data/agedb.csv of the public codes of DIR and RnC; put it beside the folder AgeDB"
        fail(root / _TABLE, "missing-table", "is not there, but --split published is its column", fix)
    found = pd.read_csv(table, dtype=str, encoding="utf-8", encoding_errors="replace", keep_default_na=False)
    if not {"age", "path", "split"} <= set(found.columns):
        what = f"lacks one of the columns age, path, split: it has {', '.join(map(str, found.columns))}"
        fail(table, "missing-column", what, "Bring the published file back")
    files = [path.rsplit("/", 1)[-1] for path in listed(found, "path")]
    numbers = [name.split("_", 1)[0] for name in files]
    side = dict(zip(numbers, listed(found, "split"), strict=True))
    there = np.isin(numbers, listed(frame, "id"))
    faults = missing([relative(base / name, root) for name in files], there, _TABLE)
    if settings.split != "published":
        return frame, faults, {}
    known = np.array([number in side for number in listed(frame, "id")], dtype=bool)
    frame = kept(frame, known)
    frame = frame.assign(published=[side[number] for number in listed(frame, "id")])
    return frame, faults, {f"not in {_TABLE}": int((~known).sum())}
