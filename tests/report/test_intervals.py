"""Prediction intervals in the report: shares, widths and the least covered groups; nothing where none were asked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from isotone.report.collect import collect
from isotone.report.headline import name_sides
from isotone.report.intervals import covered_groups, interval_lines, made_of, read_intervals
from isotone.report.page import write_report

FOUND = {
    "level": 0.9,
    "form": "quantile",
    "calibrated_on": 60,
    "calibrated_on_groups": 10,
    "rows": [{"target": "angle", "width": 41.25, "n": 60, "coverage": {"value": 0.875, "low": 0.8, "high": 0.95}}],
    "by_group": [
        {"group": "<b>3</b>", "n": 6, "width": 38.0, "coverage": 0.5},
        {"group": "7", "n": 5, "coverage": 1.0},
    ],
}


@pytest.fixture
def run(copied: Callable[..., Path]) -> Path:
    folder = copied("rnc")
    path = folder / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "intervals": FOUND}))
    return folder


def test_the_page_shows_what_was_asked_and_what_was_covered(run: Path) -> None:
    sides = name_sides(collect(run))
    line = interval_lines(sides)[0]
    assert (line.target, line.form, line.asked, line.covered) == ("angle", "quantile", "90 %", "87.5 %")
    assert line.bounds == "80.0 % to 95.0 %"
    assert line.width.startswith("41")
    first, second = covered_groups(sides[0])
    assert first == ("<b>3</b>", "50 %", first[2], "6")
    assert first[2].startswith("38")
    assert second == ("7", "100 %", "n/a", "5")  # a run from before groups had a width
    assert made_of(sides[0]) == "60 validation rows of 10 groups (digit), each counted as one"
    page = write_report(run).read_text()
    assert "Prediction intervals" in page
    assert "&lt;b&gt;3&lt;/b&gt;" in page


def test_a_run_without_intervals_has_no_such_section(copied: Callable[..., Path]) -> None:
    sides = name_sides(collect(copied("rnc")))
    assert interval_lines(sides) == []
    assert covered_groups(sides[0]) == []
    assert made_of(sides[0]) == ""
    assert read_intervals({}) is None
    found = read_intervals({"intervals": {name: x for name, x in FOUND.items() if name != "form"}})
    assert found is not None
    assert found.form == "constant"  # all were, before there were two forms
