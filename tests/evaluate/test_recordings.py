"""Windows become recordings only where that means something."""

from dataclasses import replace

import numpy as np
import pytest

from isotone.evaluate.recordings import averaged, by_recording
from isotone.records import Dataset

WHO = np.repeat([f"r{i}" for i in range(6)], 4)
AGE = np.repeat([20.0, 30, 40, 50, 60, 70], 4)[:, None]
SIDE = np.repeat(["train", "train", "val", "val", "test", "test"], 4)
DATA = Dataset(
    "t", "rows", np.eye(24), AGE, ("age",), SIDE, WHO, np.arange(24), group=WHO, sequence=WHO, time=np.arange(24.0)
)


def test_a_recording_is_one_row() -> None:
    found = by_recording(DATA)
    assert found is not None
    small, of = found
    assert small.target[:, 0].tolist() == [20, 30, 40, 50, 60, 70]
    assert small.split.tolist() == ["train", "train", "val", "val", "test", "test"]
    assert small.label.tolist() == [f"r{i}" for i in range(6)]
    assert of.tolist() == np.repeat(np.arange(6), 4).tolist()
    told = AGE + np.tile([-8.0, 8.0, -1.0, 1.0], 6)[:, None]
    assert np.array_equal(averaged(told, of), small.target)


def test_a_row_without_a_label_is_of_no_recording() -> None:
    target = AGE.copy()
    target[1] = np.nan
    found = by_recording(replace(DATA, target=target))
    assert found is not None
    assert found[1].tolist()[:4] == [0, -1, 0, 0]
    assert averaged(np.arange(24.0)[:, None], found[1])[0, 0] == pytest.approx(5 / 3)


@pytest.mark.parametrize(
    "changed",
    [
        {"sequence": None},
        {"sequence": np.arange(24).astype(str)},
        {"target": np.arange(24.0)[:, None]},
        {"split": np.array(["train", "val", "test"] * 8)},
        {"geometry": "circle:360"},
        {"target": np.full((24, 1), np.nan)},
    ],
)
def test_what_is_no_recording_is_left(changed: dict[str, object]) -> None:
    assert by_recording(replace(DATA, **changed)) is None  # type: ignore[arg-type]
