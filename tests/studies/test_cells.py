"""A cell is made once, gone on with, and refused where its settings differ."""

from pathlib import Path

import pandas as pd
import pytest

from isotone.errors import ConfigError
from isotone.settings import Settings, resolve
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
    _write(tmp_path, resolve("rnc", {"distance": "l1"}))
    check_same(tmp_path, resolve("rnc", {}).flat())
    with pytest.raises(ConfigError, match="was made with distance 'l1', not 'l2'"):
        check_same(tmp_path, resolve("rnc", {"distance": "l2"}).flat())
    _write(tmp_path, resolve("rnc", {"distance": "l2"}))
    with pytest.raises(ConfigError, match="was made with distance 'l2', not 'l1'"):
        check_same(tmp_path, resolve("rnc", {}).flat())
    _write(tmp_path, resolve("rnc", {"distance": "circular:24", "geometry": "circle:24"}))
    check_same(tmp_path, resolve("rnc", {"geometry": "circle:24"}).flat())


def test_a_setting_that_is_newer_than_the_run_is_its_default(tmp_path: Path) -> None:
    _write(tmp_path, resolve("rnc", {"distance": "l1"}), without="interval_form")
    check_same(tmp_path, resolve("rnc", {}).flat())
    with pytest.raises(ConfigError, match="was made with interval_form 'constant', not 'quantile'"):
        check_same(tmp_path, {**resolve("rnc", {}).flat(), "interval_form": "quantile"})


def test_what_a_data_set_fills_in_is_no_other_setting(tmp_path: Path) -> None:
    _write(tmp_path, resolve("rnc", {"dataset": "agedb", "target": ["age"], "group": "person", "distance": "l1"}))
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


# ----------------------------------------------------------------------------------------------------------------------


def _write(folder: Path, settings: Settings, without: str = "") -> None:
    """Write a run's config.yaml."""
    told = {name: value for name, value in settings.flat().items() if value is not None and name != without}
    (folder / "config.yaml").write_text("\n".join(f"{name}: {value!r}" for name, value in told.items()))
