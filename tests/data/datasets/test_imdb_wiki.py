"""IMDB-WIKI on a tiny tree: MATLAB's nested arrays, birth dates, the filter, people in both parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.datasets.imdb_tree import ROWS, born, cells, write_crop
from scipy.io import savemat

from isotone.data.audit import audit
from isotone.data.datasets.imdb_wiki import age_years, read
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import DataError

Draw = Callable[..., None]


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    root = tmp_path / "root"
    write_crop(root, "imdb", draw)
    write_crop(root, "wiki", draw)
    return root


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(dataset="imdb-wiki", **changed)


def test_both_parts_become_rows(tree: Path) -> None:
    found = read(tree, _settings())
    first = found.frame.iloc[0]
    assert len(found.frame) == 2 * ROWS
    assert (first["id"], first["path"], first["age"]) == ("imdb-0", "imdb_crop/00/nm0_1950-3-1_2000.jpg", 50)
    assert found.frame["sex"].tolist()[:3] == ["m", "f", ""]
    assert found.faults == ()
    assert found.remarks == ()


def test_a_celebrity_of_both_parts_is_one_person(tree: Path) -> None:
    people = read(tree, _settings()).frame.groupby("person")["part"].nunique().to_dict()
    assert people == {"Fred Astaire": 2, "Zoë Kravitz": 2, "Only imdb": 1, "Only wiki": 1}


@pytest.mark.parametrize("inside", ["imdb_crop", "wiki_crop"])
def test_one_part_alone_is_read_and_told(tree: Path, inside: str) -> None:
    found = read(tree / inside, _settings())
    part, other = ("imdb", "wiki") if inside == "imdb_crop" else ("wiki", "imdb")
    assert found.frame["path"].iloc[0] == "00/nm0_1950-3-1_2000.jpg"
    assert found.remarks == (f"{other}_crop is not there, only {part} is read",)


@pytest.mark.parametrize(
    ("born", "taken", "age"),
    [
        (born(1950, 6, 30), 2000, 50),  # before July: had the birthday by the middle of the year
        (born(1950, 7, 1), 2000, 49),
        (1.0, 2000, 1999),  # day 366 and below are before Python's first day, 1 January of year 1
        (366.0, 2000, 1999),
        (born(1950) + 0.9, 2000, 50),  # days are cut, not rounded
        (np.nan, 2000, np.nan),
        (1e9, 2000, np.nan),  # after the last year
    ],
)
def test_ages(born: float, taken: float, age: float) -> None:
    np.testing.assert_equal(age_years(np.array([born]), np.array([float(taken)])), [age])


def test_the_filter_counts_each_row_once(tmp_path: Path, draw: Draw) -> None:
    score, second = np.full((1, ROWS), 2.5), np.full((1, ROWS), np.nan)
    score[0, 0], score[0, 1], second[0, 2] = -np.inf, 0.9, 1.5
    second[0, 0] = 1.0  # has no face already
    dob = np.array([[born(1950 + i) for i in range(ROWS)]])
    dob[0, 3], dob[0, 4], dob[0, 5] = born(1850), born(2010), np.nan
    write_crop(tmp_path, "imdb", draw, face_score=score, second_face_score=second, dob=dob)
    found = read(tmp_path, _settings())
    assert found.left_out == {
        "with no face": 1,
        "with a face score below 1": 1,
        "with a second face": 1,
        "with an age outside 0 to 120": 2,
    }
    table = read_table(tmp_path, _settings())
    assert len(table.frame) == ROWS - 6
    assert str(table.problems[0]) == (
        "imdb-wiki: 6 rows are read, 6 are left out (1 with no face, 1 with a face score below 1, 1 with a second "
        "face, 2 with an age outside 0 to 120, 1 with no age). `isotone datasets imdb-wiki` says more."
    )
    older = read(tmp_path, _settings(split="dir"))
    assert older.left_out["with an age outside 0 to 200"] == 1
    assert 150 in older.frame["age"].tolist()


def test_missing_and_broken_images_are_told_in_one_pass(tree: Path, draw: Draw) -> None:
    for name in ("imdb_crop/00/nm0", "imdb_crop/00/nm3", "wiki_crop/01/nm1"):
        next(tree.glob(f"{name}_*")).unlink()
    draw(next(tree.glob("wiki_crop/02/nm2_*")), broken=True)
    settings = _settings()
    told = [str(problem) for problem in audit(read_table(tree, settings), settings).fatal]
    assert told[:2] == [
        "imdb_crop/00: 2 of 4 files that the .mat file names are missing: nm0_1950-3-1_2000.jpg, "
        "nm3_1950-3-1_2000.jpg. Unpack it again, or pass --on-bad skip.",
        "wiki_crop/01: 1 of 4 files that the .mat file names are missing: nm1_1950-3-1_2000.jpg. Unpack it again, or "
        "pass --on-bad skip.",
    ]
    assert len(told) == 3
    assert "wiki_crop/02/nm2_1950-3-1_2000.jpg" in told[2]


def test_damaged_lists_are_named(tree: Path, draw: Draw) -> None:
    list_of = tree / "imdb_crop" / "imdb.mat"
    list_of.write_bytes(list_of.read_bytes()[:300])
    with pytest.raises(
        DataError, match=r"imdb.mat: cannot be read as the MATLAB file of imdb \(.+\)\. Unpack it again"
    ):
        read(tree, _settings())
    savemat(list_of, {"imdb": {"dob": np.zeros((1, 2)), "name": cells(["a", "b"])}})
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == (
        "imdb.mat: lacks photo_taken, full_path, gender, face_score, second_face_score. Unpack it again."
    )
    write_crop(tree, "imdb", draw, dob=np.zeros((1, 5)))
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == "imdb.mat: holds fields of different lengths, 5 to 12. Unpack it again."


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, _settings())
    assert str(caught.value) == (
        f"{tmp_path}: holds no imdb_crop/imdb.mat or wiki_crop/wiki.mat; it holds nothing. Name the folder of the "
        "unpacked data set; `isotone datasets imdb-wiki` shows its layout."
    )
