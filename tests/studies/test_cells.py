"""A cell is made once, gone on with, and refused where its settings differ."""

from pathlib import Path

import pandas as pd
import pytest

from isotone.errors import ConfigError
from isotone.studies.cells import _clear, cell


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
