"""TUAB: EEG recordings of a hospital; the target is the age that stands in each file's header.

Only headers are read here, with the standard library. Source: Lopez de Diego, thesis, Temple University 2017; brain age
from its normal recordings: Engemann et al., NeuroImage 2022.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from isotone.data.datasets.card import Card, Reading
from isotone.data.datasets.frames import column, kept
from isotone.data.datasets.tree import check_root, relative, some, wrong_layout
from isotone.data.files import shown
from isotone.data.settings import DataSettings
from isotone.errors import DataError, Problem

CARD = Card(
    name="tuab",
    title="age of a person from a resting EEG, years; the normal recordings of the TUH abnormal EEG corpus",
    inputs="file",
    target=("age",),
    group="subject",
    source="Temple University Hospital EEG corpus, TUAB v3.0.1 or v2.0.0",
    licence="free after a signed form; not to be passed on",
    obtain="the form on the page of the Neural Engineering Data Consortium, then rsync",
    counts="v3.0.1: 2,993 files, train 1,371 normal + 1,346 abnormal, eval 150 + 126; 1,385 normal subjects with an "
    "age, 0 to 95; RnC splits them 1,246 / 139, which were not published",
    layout="edf/train/normal/01_tcp_ar/SUBJECT_s001_t000.edf, and eval and abnormal in place of train and normal; "
    "folders may lie between",
    published="train and eval of the path; validation is drawn by subject from train",
    kind="edf",
    traps=(
        "split and pathology are names of folders, not at a fixed depth: v2 has more folders than v3",
        "age and sex stand in bytes 8 to 88 of the header, which need not be ASCII; -1 or X means unknown",
        "infants have ages such as 0.0109, which a pattern of digits would cut to 0",
        "a subject may have several recordings: the group is the subject",
        "sampling rates differ between files, and channels are called EEG FP1-REF, ...",
    ),
)
_NAME = re.compile(r"([A-Za-z0-9]{8})_s(\d+)(?:_\d{4})?_t(\d+)", re.ASCII)
_AGE = re.compile(r"Age:(-?\d+(?:\.\d+)?)", re.ASCII)
_SEX = re.compile(r"\s([FM])\s", re.ASCII)
_SPLITS, _PATHOLOGIES, _OLDEST = {"train": "train", "eval": "test"}, ("normal", "abnormal"), 120


@dataclass(frozen=True)
class Header:
    """What the header of an EDF file tells.

    Args:
        age: years, NaN where it is unknown.
        sex: f, m or empty.
        seconds: length, NaN where the file does not say.
        signals: number of them.
        size: bytes that the whole file must have, 0 where it does not say.
    """

    age: float
    sex: str
    seconds: float
    signals: int
    size: int


def read(root: Path, settings: DataSettings) -> Reading:
    """Read the header of every recording below the folder.

    Args:
        root: any folder of the corpus.
        settings: abnormal recordings are left out unless `pathology` is the category.

    Returns:
        columns id (the file's name), file, age (NaN where unknown), subject, sex, pathology, published, seconds,
            signals.

    Raises:
        DataError: no .edf file is there.
    """
    check_root(root)
    files = sorted(Path(folder, name) for folder, _, names in os.walk(root) for name in names if _is_edf(name))
    if not files:
        raise wrong_layout(root, "recording named SUBJECT_s001_t000.edf", CARD.name)
    odd: dict[str, list[str]] = {}
    rows: list[tuple[object, ...]] = []
    for file in files:
        try:
            rows.append(_row(file, root))
        except DataError as error:
            odd.setdefault(error.problems[0].what, []).append(relative(file, root))
    faults = [_joined(what, names) for what, names in odd.items()]
    frame = pd.DataFrame(
        rows, columns=["id", "file", "age", "subject", "sex", "pathology", "published", "seconds", "signals"]
    )
    old = column(frame, "age").to_numpy() > _OLDEST
    left_out = {f"older than {_OLDEST}": int(old.sum())}
    frame = kept(frame, ~old)
    if settings.category != "pathology":
        abnormal = column(frame, "pathology").to_numpy() == "abnormal"
        left_out["abnormal"] = int(abnormal.sum())
        frame = kept(frame, ~abnormal)
    return Reading(frame, left_out, tuple(faults))


def read_header(file: Path) -> Header:
    """Return what the header of an EDF file tells; the signals are not read.

    Args:
        file: EDF.

    Raises:
        DataError: it cannot be opened, is no EDF, or is shorter than its header says.
    """
    try:
        with file.open("rb") as stream:
            fixed = stream.read(256)
            count = _whole(fixed[252:256])
            rates = stream.read(256 * max(count, 0))[216 * max(count, 0) :]
        length = file.stat().st_size
    except OSError as error:
        raise _fault(f"cannot be opened ({error.strerror})", file) from error
    if len(fixed) < 256 or fixed[:8].strip() != b"0" or count < 1:
        raise _fault("have no EDF header", file)
    samples = sum(max(_whole(rates[8 * i : 8 * i + 8]), 0) for i in range(count))
    records, every = _whole(fixed[236:244]), _decimal(fixed[244:252])
    size = 256 * (count + 1) + 2 * samples * records if records > 0 else 0
    if length < size:
        raise _fault("are cut off: they are shorter than their header says", file)
    patient = fixed[8:88].decode("latin-1")  # any byte is a letter in it, so that none stops the reading
    age, sex = _AGE.search(patient), _SEX.search(patient)
    years = float(age.group(1)) if age else -1.0
    return Header(
        age=years if years >= 0 else float("nan"),
        sex=sex.group(1).lower() if sex else "",
        seconds=records * every if records > 0 else float("nan"),
        signals=count,
        size=size,
    )


# ----------------------------------------------------------------------------------------------------------------------


def _is_edf(name: str) -> bool:
    return name.lower().endswith(".edf") and not name.startswith(".")


def _row(file: Path, root: Path) -> tuple[object, ...]:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise _fault("are not named SUBJECT_s001_t000.edf, a subject of 8 letters or digits", file)
    parts = [part.lower() for part in file.absolute().parts[:-1]][::-1]  # the innermost name counts
    split = next((_SPLITS[part] for part in parts if part in _SPLITS), None)
    pathology = next((part for part in parts if part in _PATHOLOGIES), None)
    if split is None or pathology is None:
        raise _fault("are in no folder train or eval, or in none called normal or abnormal", file)
    header = read_header(file)
    where = relative(file, root)
    return (
        file.stem, where, header.age, name.group(1), header.sex, pathology, split, header.seconds, header.signals,
    )  # fmt: skip


def _fault(what: str, file: Path) -> DataError:
    return DataError([Problem("edf", what, "Get it again", file=shown(file.name))])


def _joined(what: str, names: list[str]) -> Problem:
    count = f"{len(names)} recordings" if len(names) > 1 else "1 recording"
    fix = "Get them again, or pass --on-bad skip"
    return Problem("edf", f"{count} of these {what}: {some(names)}", fix, file="tuab")


def _whole(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def _decimal(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
