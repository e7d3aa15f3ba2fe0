"""Few data: nested parts that keep groups whole, the same test rows, the same steps, and nothing trained twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.data.load import load_table
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.settings import resolve
from isotone.studies.few_data import _passes, few_data, nested


def test_shares_are_nested_and_hold_whole_groups(table: Path) -> None:
    data = load_table(table, DataSettings(target=("y",), features=("a", "b", "c"), group="who"), 0)[0]
    assert data.group is not None
    parts = {share: set(nested(data, share, 0).tolist()) for share in (0.25, 0.5, 1.0)}
    assert parts[0.25] < parts[0.5] < parts[1.0] == set(data.rows("train").tolist())
    assert abs(len(parts[0.5]) - 0.5 * len(parts[1.0])) <= 2  # groups of three
    for rows in parts.values():
        assert rows <= set(data.rows("train").tolist())
        groups = set(data.group[list(rows)])
        assert set(np.flatnonzero(np.isin(data.group, list(groups))).tolist()) == rows
    assert set(nested(data, 0.5, 1).tolist()) != parts[0.5]
    with pytest.raises(ConfigError) as caught:
        nested(data, 0.05, 0)
    assert str(caught.value) == (
        "a share of 0.05 leaves 3 of 84 training rows; 8 are needed. Name larger ones: --shares 0.25,0.5,1."
    )


def test_a_part_gets_as_many_steps_as_the_whole() -> None:
    settings = resolve("baseline", {"passes": 10, "batch_size": 32})
    assert _passes(settings, 320, 64, "steps") == 50  # 10 steps an epoch against 2
    assert _passes(settings, 320, 64, "passes") == 10
    assert _passes(settings, 320, 20, "steps") == 100  # one batch of all rows


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"shares": (1.5,)}, "`shares` must be above 0 and at most 1, got 1.5."),
        ({"same": "epochs"}, "`same` has no 'epochs'; there are steps, passes. Did you mean 'steps'?"),
    ],
)
def test_what_is_refused(table: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        few_data(table, out=table.parent / "s", quiet=True, **more, **SETTINGS)
    assert str(caught.value) == message


@pytest.mark.slow
def test_a_study_is_made_once(table: Path) -> None:
    out = table.parent / "s"
    page = few_data(table, out=out, shares=(0.5, 1.0), quiet=True, command="isotone study few-data", **SETTINGS)
    text, found = page.read_text(), pd.read_csv(out / "study.csv")
    assert len(found) == 2 * 2 * 2
    assert found["n"].nunique() == 1
    for part in ("Few data", "<svg", "As published", "optimiser steps", "isotone study few-data"):
        assert part in text
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")}
    few_data(table, out=out, shares=(0.5, 1.0), quiet=True, command="isotone study few-data", **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")} == before
    assert page.read_text() == text
