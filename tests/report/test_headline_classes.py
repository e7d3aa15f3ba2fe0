"""The verdict on class runs: beside one answer for all, or row by row beside another run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotone.report.collect import collect
from isotone.report.contents import ClassScore, Interval, Run
from isotone.report.headline import name_sides
from isotone.report.headline_classes import class_scores, class_verdict, pair

CONSTANT = "most frequent class of the training rows"


@pytest.fixture(scope="module")
def run(finished: dict[str, Path]) -> Run:
    return collect(finished["supcon"])


@pytest.fixture(scope="module")
def other(finished: dict[str, Path]) -> Run:
    return collect(finished["linear"])


def with_accuracy(run: Run, model: Interval | None, constant: Interval | None, split: str = "test") -> Run:
    assert run.classes is not None
    given = (("supcon, classify head", "model", model), (CONSTANT, "constant", constant))
    scores = tuple(ClassScore(name, role, split, 60, x, x) for name, role, x in given if x)
    return replace(run, classes=replace(run.classes, scores=scores))


def answered(run: Run, right: np.ndarray) -> Run:
    """Let the run answer the test rows rightly or wrongly, in their order."""
    assert run.points.category is not None
    guess = run.points.category.astype(float)
    test = np.flatnonzero(np.array(run.points.split) == "test")
    guess[test[~right]] = (guess[test[~right]] + 1) % 10
    return replace(run, points=replace(run.points, prediction=guess[:, None], group=None))


@pytest.mark.parametrize(
    ("model", "text", "tone"),
    [
        (
            Interval(0.9123, 0.8501, 0.9501),
            f"Test accuracy of supcon is 91.2 % (95 % interval 85.0 to 95.0), against 10.0 % for the {CONSTANT}.",
            "better",
        ),
        (
            Interval(0.02, 0.0, 0.04),
            f"Test accuracy of supcon is 2.0 % (95 % interval 0.0 to 4.0), against 10.0 % for the {CONSTANT}.",
            "worse",
        ),
        (
            Interval(0.12, 0.08, 0.16),
            "These data cannot show that supcon knows the classes: its test accuracy is 12.0 % (95 % interval 8.0 to "
            f"16.0), against 10.0 % for the {CONSTANT}, and the intervals overlap.",
            "open",
        ),
    ],
)
def test_one_run(run: Run, model: Interval, text: str, tone: str) -> None:
    said = class_verdict(name_sides(with_accuracy(run, model, Interval(0.1, 0.06, 0.14))))
    assert (said.text, said.tone) == (text, tone)


def test_nothing_to_judge_by(run: Run) -> None:
    said = class_verdict(name_sides(with_accuracy(run, None, None)))
    assert said.text == "No accuracy on held-out rows was measured, so this run cannot be judged."
    said = class_verdict(name_sides(with_accuracy(run, Interval(0.5, 0.4, 0.6), None, split="val")))
    assert said.text == "Validation accuracy of supcon is 50.0 % (95 % interval 40.0 to 60.0)."


def test_two_runs_are_paired_row_by_row(run: Run, other: Run) -> None:
    # 60 test rows: both right on 30, only ours on 20, only theirs on 2, neither on 8
    ours = answered(run, np.arange(60) < 50)
    theirs = answered(other, (np.arange(60) < 30) | (np.arange(60) >= 58))
    found = pair(ours, theirs)
    assert found is not None
    assert (found.n, found.ours, found.theirs) == (60, pytest.approx(50 / 60), pytest.approx(32 / 60))
    assert found.gap.value == pytest.approx(18 / 60)
    # of d in {1: 20, -1: 2, 0: 38}: standard error sqrt((22/60 - 0.09) / 60) = 0.068, so about 0.30 +- 0.13
    assert found.gap.low == pytest.approx(0.30 - 0.133, abs=0.04)
    assert found.gap.high == pytest.approx(0.30 + 0.133, abs=0.04)
    said = class_verdict(name_sides(ours, theirs))
    low, high = (f"{100 * x:.1f}" for x in (found.gap.low, found.gap.high))
    assert (said.text, said.tone) == (
        "Test accuracy of supcon is 30.0 points above that of linear: 83.3 % against 53.3 %. Paired over 60 test rows, "
        f"the difference lies between {low} and {high} points.",
        "better",
    )
    assert class_verdict(name_sides(theirs, ours)).text.startswith(
        "Test accuracy of linear is 30.0 points below that of supcon: 53.3 % against 83.3 %."
    )


def test_a_small_steady_difference_shows_although_the_intervals_overlap(run: Run, other: Run) -> None:
    ours, theirs = answered(run, np.arange(60) < 50), answered(other, np.arange(60) < 43)
    assert class_verdict(name_sides(ours, theirs)).tone == "better"  # 7 rows more and none lost


def test_no_difference(run: Run, other: Run) -> None:
    ours, theirs = answered(run, np.arange(60) < 31), answered(other, np.arange(60) >= 30)
    said = class_verdict(name_sides(ours, theirs))
    assert said.text.startswith(
        "These data cannot show a difference in test accuracy between supcon (51.7 %) and linear (50.0 %): paired over "
        "60 test rows, it lies between \N{MINUS SIGN}"
    )
    assert said.tone == "open"


def test_a_sample_of_the_rows_is_called_one(run: Run, other: Run) -> None:
    assert run.classes is not None
    more = replace(run, classes=replace(run.classes, scores=(replace(run.classes.scores[0], n=10_000),)))
    said = class_verdict(name_sides(answered(more, np.arange(60) < 60), answered(other, np.arange(60) < 20)))
    assert "Paired over 60 of 10,000 test rows, the difference" in said.text


def test_whole_groups_are_drawn(run: Run, other: Run) -> None:
    ours, theirs = answered(run, np.arange(60) < 50), answered(other, np.arange(60) < 30)
    group = tuple("ab"[i % 2] for i in range(300))
    grouped = replace(ours, points=replace(ours.points, group=group))
    alone, together = pair(ours, theirs), pair(grouped, theirs)
    assert alone is not None
    assert together is not None
    assert together.gap.value == alone.gap.value
    assert together.gap.high - together.gap.low != alone.gap.high - alone.gap.low


def test_runs_that_cannot_be_compared(run: Run, other: Run) -> None:
    elsewhere = replace(other, data=replace(other.data, fingerprint="another"))
    assert class_verdict(name_sides(run, elsewhere)).text == (
        "The two runs used different data or splits, so their accuracies cannot be compared."
    )
    trained = replace(other, points=replace(other.points, split=("train",) * 300))
    assert class_verdict(name_sides(run, trained)).text == (
        "No row was held out by both runs, so their accuracies cannot be compared."
    )


def test_table(run: Run, other: Run) -> None:
    table = class_scores(name_sides(run, other))
    assert table.name == "digit"
    assert table.heads == ("Accuracy", "95 % interval", "Balanced accuracy", "95 % interval")
    assert [(row.name, row.colour) for row in table.rows] == [
        *((CONSTANT, "neutral"), ("linear, classify head", "against"), ("supcon, classify head", "run")),
    ]
    assert run.classes is not None
    score = run.classes.scores[0]
    assert table.rows[-1].score == f"{100 * score.accuracy.value:.1f} %"
    assert table.rows[-1].others[0] == f"{100 * score.balanced.value:.1f} %"
    assert table.figure is not None
    assert class_scores(name_sides(with_accuracy(run, None, None))).figure is None
