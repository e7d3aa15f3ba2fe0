"""Folders with and without their top folder; missing files, counted by folder."""

from pathlib import Path

import numpy as np
import pytest

from isotone.data.datasets.tree import check_root, find_base, missing, present, relative, some
from isotone.errors import DataError


def test_the_top_folder_may_be_there_or_not(tmp_path: Path) -> None:
    deep = tmp_path / "Set" / "Set"
    deep.mkdir(parents=True)
    (deep / "mark").touch()
    for root in (tmp_path, tmp_path / "Set", deep):
        assert find_base(root, ("Set",), lambda folder: (folder / "mark").exists()) == deep
    assert find_base(tmp_path / "none", ("Set",), lambda _: True) is None


def test_files_are_looked_up_by_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "2.jpg").touch()
    assert present(tmp_path, ["a/1.jpg", "a/2.jpg", "b/1.jpg", "2.jpg"]).tolist() == [True, False, False, True]


def test_missing_files_are_one_problem_a_folder() -> None:
    names = [f"b/{i}" for i in range(5)] + ["a/1", "c/1"]
    told = [str(problem) for problem in missing(names, np.array([False] * 6 + [True]), "the list")]
    assert told == [
        "a: 1 of 1 files that the list names are missing: 1. Unpack it again, or pass --on-bad skip.",
        "b: 5 of 5 files that the list names are missing: 0, 1, 2 and 2 more. Unpack it again, or pass --on-bad skip.",
    ]
    assert missing(["a"], np.array([True]), "the list") == []


def test_names_are_shown_safely() -> None:
    assert some(["a/x\ny"]) == "x\\ny"
    assert relative(Path("r/a/b"), Path("r")) == "a/b"


def test_a_root_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root, what in ((tmp_path / "file", "is a file, not a folder"), (tmp_path / "none", "does not exist")):
        with pytest.raises(DataError) as caught:
            check_root(root)
        assert str(caught.value) == f"{root}: {what}. Name the folder of the unpacked data set: --root FOLDER."
