"""Probes on the page: one line each, runs below each other, stages as a curve."""

from dataclasses import replace
from pathlib import Path

import pytest

from isotone.report.collect import collect
from isotone.report.contents import Interval, Side
from isotone.report.probes import probe_lines, probe_notes, stage_figures


@pytest.fixture(scope="module")
def sides(finished: dict[str, Path]) -> tuple[Side, Side]:
    return Side(collect(finished["linear"]), "linear", "against"), Side(collect(finished["supcon"]), "supcon", "run")


def test_runs_stand_below_each_other(sides: tuple[Side, Side]) -> None:
    lines = probe_lines(sides)
    assert [(line.probe, line.run) for line in lines if not line.stage] == [
        *(("linear", "linear"), ("linear", "supcon"), ("low-shot", "linear"), ("low-shot", "supcon")),
    ]
    assert [line.probe for line in lines if line.stage][:2] == ["layers: stages.0", "layers: stages.1"]


def test_shares_in_per_cent_and_errors_in_their_unit(sides: tuple[Side, Side]) -> None:
    (one,) = [line for line in probe_lines(sides[1:]) if line.probe == "linear"]
    assert (one.score, one.interval, one.n, one.settings) == ("75.0 %", "70.0 to 79.0", "60", "penalty 0.01")
    probe = replace(sides[1].run.probes[0], score=12.345, score_name="mae", interval=Interval(12.345, 11.0, 13.0), n=0)
    (line,) = probe_lines([replace(sides[1], run=replace(sides[1].run, probes=(probe,)))])
    assert (line.score, line.interval, line.n) == ("12.3", "11.0 to 13.0", "n/a")


def test_repeated_probes_show_their_spread(sides: tuple[Side, Side]) -> None:
    (line,) = [line for line in probe_lines(sides[1:]) if line.probe == "low-shot"]
    assert line.interval == "± 2.0 %"
    (line,) = [line for line in probe_lines(sides[1:]) if line.stage == "stages.0"]
    assert line.interval == "n/a"


def test_one_curve_a_target_with_all_runs_on_it(sides: tuple[Side, Side]) -> None:
    (picture,) = stage_figures(sides)
    assert picture.alt == (
        "accuracy of the probe of digit by stage of the encoder. "
        "linear: stages.0 60; stages.1 70; stages.2 60; representation 40. "
        "supcon: stages.0 60; stages.1 80; stages.2 85; representation 75."
    )
    assert "var(--run)" in picture.svg
    assert "var(--against)" in picture.svg
    assert stage_figures([replace(sides[0], run=replace(sides[0].run, probes=()))]) == []


def test_notes_once(sides: tuple[Side, Side]) -> None:
    probe = replace(sides[1].run.probes[0], notes=("too few rows",))
    side = replace(sides[1], run=replace(sides[1].run, probes=(probe, probe)))
    assert probe_notes([side, side]) == ["linear: too few rows"]
