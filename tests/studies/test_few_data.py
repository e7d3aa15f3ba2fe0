"""Few data: nested parts that keep groups whole, the same test rows, the same steps, and nothing trained twice."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.data.load import load_table
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.settings import read_config, resolve
from isotone.studies.derived import Part
from isotone.studies.few_data import Size, _batch_words, _lengths, few_data, nested


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
        "a share of 0.05 leaves 3 of 84 training rows; 8 are needed. Name a larger share, or more rows."
    )


def _sizes(whole: int, *rows: int) -> dict[tuple[int, float], Size]:
    part = Part(Path("part.csv"), np.arange(1), {})
    return {(0, n / whole): Size(part, n, {"a": n, "b": n}, {"a": whole, "b": whole}) for n in rows}


def test_every_size_sees_as_many_rows_in_batches_of_one_size() -> None:
    settings = resolve("baseline", {"passes": 10, "batch_size": 32})
    found = _lengths(settings, "a", _sizes(320, 320, 160, 64), "steps")
    assert [(x.batch_size, x.passes, x.steps) for x in found.values()] == [(32, 10, 100), (32, 20, 100), (32, 50, 100)]
    # the smallest part has 20 rows: 16 steps an epoch of the whole, 8 of half, 1 of 20 rows
    capped = _lengths(settings, "a", _sizes(320, 320, 160, 20), "steps")
    assert [(x.batch_size, x.passes, x.steps) for x in capped.values()] == [
        (20, 10, 160),
        (20, 20, 160),
        (20, 160, 160),
    ]
    equal = _lengths(settings, "a", _sizes(320, 320, 160, 20), "passes")
    assert [(x.batch_size, x.passes, x.steps) for x in equal.values()] == [(20, 10, 160), (20, 10, 80), (20, 10, 10)]
    assert _batch_words({"a": capped, "b": capped}, "steps") == (
        "Batches hold 20 rows at every size, no more than the smallest part has, so the learning rate is the same; the "
        "number of rows seen is equal."
    )


def test_passes_are_whole_and_the_page_says_what_that_makes() -> None:
    # two views, so 50 epochs of 10 steps: 500; 7 steps an epoch: 71 epochs, 497 steps, 0.6 % less
    settings = resolve("rnc", {"passes": 100, "batch_size": 32})
    found = _lengths(settings, "b", _sizes(320, 320, 230), "steps")
    assert [(x.batch_size, x.passes, x.steps) for x in found.values()] == [(32, 100, 500), (32, 142, 497)]
    other = _lengths(resolve("rnc", {"passes": 100, "batch_size": 64}), "b", _sizes(320, 320), "steps")
    assert _batch_words({"a": other, "b": found}, "steps") == (
        "Batches hold 64 rows (a), 32 rows (b) at every size, no more than the smallest part has, so the learning rate "
        "is the same; the number of rows seen is equal to 0.6 % (passes are whole)."
    )


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


def _run(folder: Path) -> tuple[int, float, int]:
    """Return the steps that a run made, its last learning rate and its batch."""
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    return last["step"], last["lr"], read_config(folder / "config.yaml")["batch_size"]


@pytest.mark.slow
def test_a_study_is_made_once(table: Path) -> None:
    out = table.parent / "s"
    page = few_data(table, out=out, shares=(0.5, 1.0), quiet=True, command="isotone study few-data", **SETTINGS)
    text, found = page.read_text(), pd.read_csv(out / "study.csv")
    assert len(found) == 2 * 2 * 2
    assert found["n"].nunique() == 1
    # 84 and 42 training rows: batches of 42, so 2 steps an epoch and 1
    runs = {arm: [out / f"seed0-train{share}-{arm}" for share in ("0.5", "1")] for arm in ("baseline", "rnc")}
    for folders in runs.values():
        steps, rates, batches = zip(*(_run(folder) for folder in folders), strict=True)
        assert set(batches) == {42}
        assert len(set(steps)) == len(set(rates)) == 1
    for part in ("Few data", "<svg", "As published", "optimiser steps", "isotone study few-data"):
        assert part in text
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")}
    few_data(table, out=out, shares=(0.5, 1.0), quiet=True, command="isotone study few-data", **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")} == before
    assert page.read_text() == text
