"""Kept predictions come back as they were, and are made again where they were made from something else."""

from pathlib import Path

import numpy as np

from isotone.records import Dataset
from isotone.studies.kept import answers, held_out, read_kept, write_kept


def _data(**changes: object) -> Dataset:
    split = np.array(["train", "val", "test", "test"], dtype=object)
    label = np.array(["a", "b", "c", "d"], dtype=object)
    target = np.array([[1.0], [2.0], [np.nan], [4.0]])
    made: dict[str, object] = {"group": np.array(["p", "q", "r", "r"], dtype=object), "group_name": "who", **changes}
    return Dataset("t", "rows", np.eye(4), target, ("y",), split, label, np.array([2, 3, 4, 5]), **made)  # type: ignore[arg-type]


def test_held_out_rows_with_a_label_are_kept_and_come_back(tmp_path: Path) -> None:
    kept = held_out(_data(), np.array([[0.0], [1 / 3], [0.0], [5.0]]))
    assert kept.row.tolist() == [3, 5]
    assert kept.unit.tolist() == ["q", "r"]
    write_kept(tmp_path / "in" / "a.npz", kept, {"passes": 3})
    again = read_kept(tmp_path / "in" / "a.npz", {"passes": 3})
    assert again is not None
    assert again.prediction.tolist() == [[1 / 3], [5.0]]
    assert again.side("test").label.tolist() == ["d"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.npz"]


def test_without_groups_rows_are_the_units() -> None:
    assert held_out(_data(group=None, group_name=None), np.zeros((4, 1))).side("test").unit.tolist() == [5]


def test_what_was_made_from_something_else_or_is_damaged_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_kept(path, held_out(_data(), np.zeros((4, 1))), {"passes": 3})
    assert read_kept(path, {"passes": 4}) is None
    assert read_kept(tmp_path / "none.npz", {}) is None
    path.write_bytes(path.read_bytes()[:100])
    assert read_kept(path, {"passes": 3}) is None


def test_classes_are_kept_as_codes() -> None:
    data = _data(category=np.array([0, 1, -1, 0]), classes=("u", "v"))
    assert answers(data).tolist() == [[0.0], [1.0], [-1.0], [0.0]]
    assert held_out(data, np.zeros((4, 1))).target.tolist() == [[1.0], [0.0]]
