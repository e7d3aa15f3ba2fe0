"""From a folder to a table: columns by the card, named ones instead, splits, the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isotone.data.datasets.reading import summary, with_columns
from isotone.data.load import load_inputs, load_table
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import ConfigError, DataError

Draw = Callable[..., None]


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(**{"dataset": "agedb", "image_size": 8, **changed})


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    for i in range(60):
        draw(tmp_path / "faces" / f"{i}_P{'abcdefghij'[i % 10]}_{20 + i % 20}_{'mf'[i % 2]}.jpg", 60 + i)
    return tmp_path / "faces"


def test_the_card_fills_what_the_user_left_open() -> None:
    filled = with_columns(_settings())
    assert (filled.image_column, filled.target, filled.group, filled.split_column) == ("path", ("age",), "person", None)
    assert with_columns(filled) == filled
    classes = with_columns(_settings(category="sex", split="published"))
    assert (classes.target, classes.category, classes.split_column) == ((), "sex", "split")


def test_a_folder_is_a_data_set_split_by_groups(tree: Path) -> None:
    dataset, found = load_table(tree, _settings(), seed=0)
    assert (dataset.name, dataset.kind, dataset.target_names, dataset.group_name) == (
        "agedb",
        "image",
        ("age",),
        "person",
    )
    assert len(dataset.inputs) == 60
    for side, other in (("train", "test"), ("train", "val"), ("val", "test")):
        assert not set(dataset.group[dataset.split == side]) & set(dataset.group[dataset.split == other])
    assert str(found.warnings[0]) == ("agedb: 60 rows are read, 0 are left out. `isotone datasets agedb` says more.")
    again, _ = load_table(tree, _settings(), seed=0)
    assert again.fingerprint == dataset.fingerprint


def test_classes_of_another_column(tree: Path) -> None:
    dataset, _ = load_table(tree, _settings(category="sex"), seed=0)
    assert dataset.classes == ("f", "m")


def test_only_inputs_are_read_for_a_trained_model(tree: Path) -> None:
    inputs, names = load_inputs(tree, _settings(channels="3", hold_out="a person who is not here"))
    assert inputs.shape == (60, 8, 8, 3)
    assert names[0] == "0_Pa_20_m.jpg"


def test_dir_balances_validation_and_test(tree: Path) -> None:
    dataset, found = load_table(tree, _settings(split="dir"), seed=0)
    assert [(dataset.split == side).sum() for side in ("train", "val", "test")] == [20, 20, 20]
    assert any(problem.kind == "shared-groups" for problem in found.warnings)


def test_what_a_set_does_not_have_is_refused(tree: Path) -> None:
    with pytest.raises(DataError) as missing:
        read_table(tree, _settings(target=("agee",)))
    assert str(missing.value) == "agedb: has no column 'agee' (--target). The nearest name is 'age'."
    with pytest.raises(ConfigError) as caught:
        with_columns(DataSettings(split="published"))
    assert str(caught.value) == (
        "split 'published' needs a dataset. The split of a table is its column: name split_column."
    )


def test_a_table_stays_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age\na.jpg,1\n")
    found = read_table(tmp_path / "t.csv", _settings(target=("age",)))
    assert (found.path.name, found.group) == ("t.csv", None)


def test_the_summary_names_reasons_with_rows() -> None:
    assert summary(1200, {}) == "1,200 rows are read, 0 are left out"
    assert summary(3, {"a": 0, "b": 2}) == "3 rows are read, 2 are left out (2 b)"
