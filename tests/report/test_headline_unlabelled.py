"""Runs without labels: what was learnt, and no word of an error."""

from dataclasses import replace
from pathlib import Path

import pytest

from isotone.report.collect import collect
from isotone.report.contents import Run
from isotone.report.headline import judged_split, name_sides
from isotone.report.headline_unlabelled import health, probe_command, unlabelled_verdict


@pytest.fixture(scope="module")
def run(finished: dict[str, Path]) -> Run:
    return collect(finished["simclr"])


def test_one_run(run: Run) -> None:
    said = unlabelled_verdict(name_sides(run))
    assert said.text == (
        "simclr learnt 48 numbers for each row from 72 training rows without labels. It predicts nothing yet: "
        "a probe tells what these numbers hold."
    )
    assert said.tone == "open"


def test_two_runs(run: Run) -> None:
    said = unlabelled_verdict(name_sides(run, replace(run, method="moco")))
    assert said.text == "Neither simclr nor moco predicts anything, so only probes can compare them."


def test_health_at_the_last_reading(run: Run) -> None:
    last = run.log[-1].watch
    words = [
        *("effective rank, of 48 dimensions", "dead units, share of all"),
        *("mean cosine of two rows", "spread of the rows, share of their length"),
    ]
    assert [name for name, _ in health(name_sides(run))] == words
    assert health(name_sides(run))[0][1] == [f"{last['effective_rank']:.3g}"]
    unread = replace(run, log=(*run.log, replace(run.log[-1], watch={})))
    assert health(name_sides(unread)) == health(name_sides(run))
    assert health(name_sides(replace(run, log=()))) == []


def test_health_of_runs_of_different_width(run: Run) -> None:
    narrow = replace(run, method="moco", points=replace(run.points, h=run.points.h[:, :8]), log=run.log[:2])
    assert health(name_sides(run, narrow))[0] == (
        "effective rank",
        [f"{run.log[0].watch['effective_rank']:.3g}", f"{run.log[-1].watch['effective_rank']:.3g}"],
    )


def test_command(run: Run) -> None:
    assert probe_command(replace(run, folder=Path("runs/my run"))) == (
        "isotone evaluate 'runs/my run' --probe linear,knn --category COLUMN"
    )


def test_split_that_would_judge(run: Run) -> None:
    assert judged_split(run) == "test"
    without = replace(run, data=replace(run.data, counts={"train": 96, "val": 24, "test": 0}))
    assert judged_split(without) == "val"
