"""TUAB on a tiny tree: both layouts, header ages, bytes that are no text, files that are cut off."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotone.data.datasets.reading import read_dataset, read_folder
from isotone.data.datasets.tuab import read, read_header
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError, DataError


def _write(path: Path, patient: str | bytes = "X F X X Age:40", records: int = 3, cut: int = 0) -> None:
    """An EDF file with two signals of 4 samples a record of 2 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    local = patient if isinstance(patient, bytes) else patient.encode("latin-1")
    fixed = b"0".ljust(8) + local.ljust(80) + b"Startdate X".ljust(80) + b"01.01.12" + b"10.00.00"
    fixed += (
        str(256 * 3).encode().ljust(8) + b"".ljust(44) + str(records).encode().ljust(8) + b"2".ljust(8) + b"2".ljust(4)
    )
    lengths = {16: b"EEG FP1-REF", 80: b"", 8: b"uV"}
    signals = b"".join(lengths[width].ljust(width) * 2 for width in (16, 80, 8))
    signals += b"".join(text.ljust(8) * 2 for text in (b"-1000", b"1000", b"-32768", b"32767"))
    signals += b"".ljust(80) * 2 + b"4".ljust(8) * 2 + b"".ljust(32) * 2
    whole = fixed + signals + bytes(2 * 8 * max(records, 0))
    assert len(fixed) == 256
    assert len(signals) == 512
    path.write_bytes(whole[: len(whole) - cut])


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(dataset="tuab", **changed)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """edf/ as v3 has it: five subjects to train, one of them with two recordings, two to test, one abnormal."""
    edf = tmp_path / "root" / "edf"
    for i, subject in enumerate(("aaaaaaaa", "aaaaaaab", "aaaaaaac", "aaaaaaad", "aaaaaaae")):
        _write(
            edf / "train" / "normal" / "01_tcp_ar" / f"{subject}_s001_t000.edf",
            f"{subject} M 01-JAN-1950 X Age:{30 + i}",
        )
    _write(edf / "train" / "normal" / "01_tcp_ar" / "aaaaaaaa_s002_t000.edf", "aaaaaaaa M 01-JAN-1950 X Age:31")
    _write(edf / "train" / "abnormal" / "01_tcp_ar" / "aaaaaaaf_s001_t000.edf")
    for subject in ("aaaaaaag", "aaaaaaah"):
        _write(edf / "eval" / "normal" / "01_tcp_ar" / f"{subject}_s001_t000.edf", f"{subject} F X X Age:60")
    return tmp_path / "root"


@pytest.mark.parametrize("inside", [".", "edf"])
def test_paths_and_headers_become_rows(tree: Path, inside: str) -> None:
    found = read(tree / inside, _settings())
    assert len(found.frame) == 8
    assert found.left_out == {"older than 120": 0, "abnormal": 1}
    first = found.frame[found.frame["id"] == "aaaaaaaa_s001_t000"].iloc[0]
    above = "edf/" if inside == "." else ""
    assert first["file"] == f"{above}train/normal/01_tcp_ar/aaaaaaaa_s001_t000.edf"
    assert (first["age"], first["sex"], first["subject"], first["seconds"]) == (30, "m", "aaaaaaaa", 6)
    assert (found.frame["subject"] == "aaaaaaaa").sum() == 2


def test_the_older_layout_has_more_folders(tmp_path: Path) -> None:
    deep = tmp_path / "eval" / "normal" / "01_tcp_ar" / "000" / "00002355" / "s001_2010_01_01"
    _write(deep / "00002355_s001_t000.edf")
    found = read(tmp_path, _settings()).frame.iloc[0]
    assert (found["subject"], found["published"], found["pathology"]) == ("00002355", "test", "normal")


@pytest.mark.parametrize(
    ("patient", "age", "sex"),
    [
        ("aaaaaaaa F 01-JAN-2010 X Age:0.0109", 0.0109, "f"),  # an infant: four days
        ("aaaaaaaa M X X Age:95", 95.0, "m"),
        ("aaaaaaaa X X X Age:-1", np.nan, ""),
        ("aaaaaaaa X X X Age:X", np.nan, ""),
        ("aaaaaaaa X X X", np.nan, ""),
        (b"aaaaaaaa F Fran\xe7ois\xff Age:51", 51.0, "f"),  # no ASCII, and no UTF-8
    ],
)
def test_ages_of_headers(tmp_path: Path, patient: str | bytes, age: float, sex: str) -> None:
    _write(tmp_path / "a.edf", patient)
    found = read_header(tmp_path / "a.edf")
    np.testing.assert_equal(found.age, age)
    assert (found.sex, found.seconds, found.signals, found.size) == (sex, 6.0, 2, 768 + 48)


def test_an_unknown_number_of_records_is_no_fault(tmp_path: Path) -> None:
    _write(tmp_path / "a.edf", records=-1)
    found = read_header(tmp_path / "a.edf")
    np.testing.assert_equal((found.seconds, found.size), (np.nan, 0))


def test_damaged_files_are_told_by_kind(tree: Path) -> None:
    folder = tree / "edf" / "train" / "normal" / "01_tcp_ar"
    _write(folder / "aaaaaaba_s001_t000.edf", cut=10)
    _write(folder / "aaaaaabb_s001_t000.edf", cut=1)
    (folder / "aaaaaabc_s001_t000.edf").write_bytes(b"no header")
    _write(folder / "noname.edf")
    _write(tree / "loose" / "aaaaaabd_s001_t000.edf")
    found = read(tree, _settings())
    assert [str(fault) for fault in found.faults] == [
        "tuab: 2 recordings of these are cut off: they are shorter than their header says: aaaaaaba_s001_t000.edf, "
        "aaaaaabb_s001_t000.edf. Get them again, or pass --on-bad skip.",
        "tuab: 1 recording of these have no EDF header: aaaaaabc_s001_t000.edf. Get them again, or pass --on-bad skip.",
        "tuab: 1 recording of these are not named SUBJECT_s001_t000.edf, a subject of 8 letters or digits: noname.edf. "
        "Get them again, or pass --on-bad skip.",
        "tuab: 1 recording of these are in no folder train or eval, or in none called normal or abnormal: "
        "aaaaaabd_s001_t000.edf. Get them again, or pass --on-bad skip.",
    ]
    assert len(found.frame) == 8


def test_the_published_split_is_that_of_the_folders(tree: Path) -> None:
    frame = read_folder(tree, _settings(split="published")).frame
    assert frame.loc[frame["subject"].isin(["aaaaaaag", "aaaaaaah"]), "split"].tolist() == ["test", "test"]
    assert set(frame["split"]) == {"train", "val", "test"}
    assert frame.groupby("subject")["split"].nunique().max() == 1


def test_abnormal_recordings_are_kept_where_that_is_asked(tree: Path) -> None:
    assert len(read(tree, _settings(category="pathology")).frame) == 9


def test_training_needs_windows_first(tree: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_dataset(tree, _settings())
    assert str(caught.value) == (
        "the recordings of tuab are cut into windows before they are trained on. Write their table first: "
        f"isotone datasets tuab --root {tree} --out tuab.csv"
    )


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, _settings())
    assert str(caught.value) == (
        f"{tmp_path}: holds no recording named SUBJECT_s001_t000.edf; it holds nothing. Name the folder of the "
        "unpacked data set; `isotone datasets tuab` shows its layout."
    )
