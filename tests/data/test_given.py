"""Tables and arrays as they are given in Python: what is a name, what is an array, what y holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from isotone.data.given import INPUTS_ONLY, Beside, named, read
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError

X = np.eye(30)
WORDS = ["cat", "dog"] * 15


@pytest.mark.parametrize(
    ("y", "category", "found"),
    [
        (WORDS, None, "category"),
        (np.array(WORDS), None, "category"),
        (np.array(WORDS, dtype=object), "species", "species"),
        (np.arange(30) % 3, True, "category"),
        (np.arange(30) % 3, "digit", "digit"),
        (np.arange(30) % 3, None, None),
        (np.arange(30.0), None, None),
        (torch.arange(30), None, None),
        (None, None, None),
    ],
)
def test_what_y_holds(y: object, category: object, found: str | None) -> None:
    settings, _ = named((X, y), category, None, Beside())
    assert settings.get("category") == found


def test_a_column_of_a_data_frame_names_the_classes() -> None:
    import pandas as pd

    assert named((X, pd.Series(WORDS, name="species")), None, None, Beside())[0] == {"category": "species"}


def test_arrays_keep_what_comes_beside_them() -> None:
    beside = Beside(groups=[1], sequence=np.arange(30), time=np.arange(30.0))
    assert named(X, None, True, beside) == ({"signal": "X"}, beside)
    found = read((X, None), DataSettings(signal="X"), Beside(sequence=np.arange(30) // 10), seed=0).dataset
    assert found.kind == "signal"
    assert found.inputs.shape == (30, 1, 30)
    assert found.time is not None
    assert found.time.tolist() == [*range(10)] * 3


def test_names_of_a_table_are_settings() -> None:
    found, beside = named("t.csv", "species", None, Beside(sequence="track", time="frame"))
    assert found == {"category": "species", "sequence": "track", "time": "frame"}
    assert (beside.sequence, beside.time) == (None, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("t.csv", True, None, Beside()), "for a table, `category` is the name of a column: category='...'."),
        (("t.csv", None, True, Beside()), "for a table, `signal` is the name of a column: signal='...'."),
        (("t.csv", None, None, Beside(time=X)), "for a table, `time` is the name of a column: time='...'."),
        (
            ((X, None), None, None, Beside(sequence="track")),
            "for arrays, `sequence` is an array of one entry for each row, not the name of a column.",
        ),
    ],
)
def test_names_and_arrays_are_not_mixed_up(given: tuple[object, object, object, Beside], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        named(*given)
    assert str(caught.value) == message


def test_a_split_of_a_data_set_is_a_setting() -> None:
    settings, beside = named("faces", None, None, Beside(split="published"))
    assert (settings, beside.split) == ({"split": "published"}, None)
    settings, beside = named("t.csv", None, None, Beside(split="side"))
    assert (settings, beside.split) == ({}, "side")  # `read` says how to name a column


@pytest.mark.parametrize("data", [X, torch.eye(30), (X, None)], ids=["array", "tensor", "pair"])
def test_inputs_alone_have_no_labels(data: object) -> None:
    found = read(data, DataSettings(), Beside(), seed=0).dataset
    assert found.target.shape == (30, 0)
    assert found.category is None


def test_a_table_is_read_with_its_notes(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{i % 2}" for i in range(20))
    (tmp_path / "t.csv").write_text(f"a,b,y\n{rows}\nx,1,1\n")
    settings = DataSettings(features=("a", "b"), target=("y",), on_bad="skip")
    found = read(tmp_path / "t.csv", settings, Beside(), seed=0)
    assert len(found.dataset.target) == 20
    assert found.bad is not None
    assert len(found.bad) == 1


def test_new_rows_need_inputs_alone(tmp_path: Path) -> None:
    DataSettings(**{**vars(DataSettings(category="y", sequence="s", time="t", features=("a",))), **INPUTS_ONLY})


@pytest.mark.parametrize(
    ("data", "settings", "beside", "message"),
    [
        (
            [1, 2],
            {},
            Beside(),
            "data must be the path of a table, two arrays (X, y), or X alone where there are no labels, got list.",
        ),
        (
            (X, None),
            {"group": "person"},
            Beside(),
            "`group` and `split_column` name columns of a table; for arrays pass groups= and split=.",
        ),
        (
            "t.csv",
            {},
            Beside(groups=X),
            "`groups` and `split` go with arrays; for a table name the columns: group=, split_column=.",
        ),
    ],
)
def test_what_is_no_data(data: object, settings: dict[str, str], beside: Beside, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(data, DataSettings(**settings), beside, seed=0)  # type: ignore[arg-type]
    assert str(caught.value) == message
