"""A cell is made once, gone on with, and refused where its settings differ."""

from pathlib import Path

import pandas as pd
import pytest

from isotone.errors import ConfigError
from isotone.settings import resolve
from isotone.studies.cells import _clear, cell, check_same


def test_a_finished_cell_is_loaded_and_another_setting_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    pd.DataFrame({"a": range(40), "b": [i % 7 for i in range(40)], "y": [i / 2 for i in range(40)]}).to_csv(table)
    settings = {"features": ("a", "b"), "target": ("y",), "passes": 1, "head_epochs": 1}
    made = cell(tmp_path / "run", table, method="baseline", quiet=True, **settings)
    written = (made.folder / "metrics.json").stat().st_mtime_ns
    again = cell(tmp_path / "run", table, method="baseline", quiet=True, **settings)
    assert (again.folder / "metrics.json").stat().st_mtime_ns == written
    with pytest.raises(ConfigError) as found:
        cell(tmp_path / "run", table, method="baseline", quiet=True, **{**settings, "passes": 2})
    assert str(found.value) == (
        f"{tmp_path / 'run'} was made with passes 1, not 2. Choose another --out, or repeat the study with the "
        "settings it has."
    )


def test_the_distance_that_a_run_took_by_itself_is_no_other_setting(tmp_path: Path) -> None:
    kept = resolve("rnc", {"distance": "l1"}).flat()
    (tmp_path / "config.yaml").write_text(
        "\n".join(f"{name}: {value!r}" for name, value in kept.items() if value is not None)
    )
    check_same(tmp_path, resolve("rnc", {}).flat())
    with pytest.raises(ConfigError, match="was made with distance 'l1', not 'l2'"):
        check_same(tmp_path, resolve("rnc", {"distance": "l2"}).flat())


def test_what_a_data_set_fills_in_is_no_other_setting(tmp_path: Path) -> None:
    kept = resolve("rnc", {"dataset": "agedb", "target": ["age"], "group": "person"}).flat()
    (tmp_path / "config.yaml").write_text(
        "\n".join(f"{name}: {value!r}" for name, value in kept.items() if value is not None)
    )
    check_same(tmp_path, resolve("rnc", {"dataset": "agedb"}).flat())
    with pytest.raises(ConfigError) as found:
        check_same(tmp_path, resolve("rnc", {"dataset": "agedb", "hold_out": "x"}).flat())
    assert str(found.value) == (
        f"{tmp_path} was made with hold_out None, not 'x'. Choose another --out, or repeat the study with the "
        "settings it has."
    )


def test_a_folder_in_which_a_run_was_killed_before_it_began_is_used(tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    (place / "config.yaml").write_text("passes: 1\n")
    (place / "data.json").write_text("{}")
    _clear(place)
    assert not list(place.iterdir())
    (place / "config.yaml").write_text("passes: 1\n")
    (place / "mine.txt").write_text("x")
    _clear(place)
    assert len(list(place.iterdir())) == 2
