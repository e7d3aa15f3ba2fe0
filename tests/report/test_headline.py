"""The verdict says what the intervals allow, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from isotone.report.collect import collect
from isotone.report.contents import Interval, Run, Score, Side
from isotone.report.headline import judged_split, name_sides, target_scores, verdict


@pytest.fixture(scope="module")
def run(finished: dict[str, Path]) -> Run:
    return collect(finished["rnc"])


def with_errors(run: Run, model: Interval, constant: Interval, split: str = "test") -> Run:
    def score(name: str, role: str, mae: Interval) -> Score:
        return replace(run.scores[0], model=name, role=role, mae=mae, split=split)

    scores = (score("rnc, l1 head", "model", model), score("median predictor", "constant", constant))
    return replace(run, scores=(*scores, score("mean predictor", "constant", Interval(99.0, 98.0, 99.5))))


@pytest.mark.parametrize(
    ("model", "text", "tone"),
    [
        (Interval(5.9, 5.5, 6.3), "41 % below that of the median predictor: 5.90 against 10.00", "better"),
        (Interval(15.0, 14.0, 16.0), "50 % above that of the median predictor: 15.0 against 10.0", "worse"),
    ],
)  # fmt: skip
def test_intervals_apart(run: Run, model: Interval, text: str, tone: str) -> None:
    said = verdict(name_sides(with_errors(run, model, Interval(10.0, 9.0, 11.0))))
    assert (said.text, said.tone) == (f"Test error of rnc is {text} (angle).", tone)


def test_intervals_that_overlap(run: Run) -> None:
    said = verdict(name_sides(with_errors(run, Interval(9.0, 8.0, 9.1), Interval(10.0, 9.0, 11.0))))
    assert said.text == (
        "These data cannot show a difference in test error between rnc (9.00) and the median predictor (10.00): "
        "the 95 % intervals overlap."
    )
    assert said.tone == "open"


def test_two_runs_are_compared_with_each_other(run: Run) -> None:
    ours = with_errors(run, Interval(4.0, 3.5, 4.5), Interval(30.0, 28.0, 32.0))
    theirs = replace(with_errors(run, Interval(5.0, 4.6, 5.4), Interval(30.0, 28.0, 32.0)), method="baseline")
    sides = name_sides(ours, theirs)
    assert [(side.name, side.colour) for side in sides] == [("baseline", "against"), ("rnc", "run")]
    assert verdict(sides).text == "Test error of rnc is 20 % below that of baseline: 4.00 against 5.00 (angle)."
    other = replace(theirs, data=replace(theirs.data, fingerprint="another"))
    assert verdict(name_sides(ours, other)).text == (
        "The two runs used different data or splits, so their errors cannot be compared."
    )


def test_no_scores(run: Run) -> None:
    said = verdict(name_sides(replace(run, scores=())))
    assert said.text == "No error on held-out rows was measured, so this run cannot be judged."


def test_validation_rows_judge_where_there_are_no_test_rows(run: Run) -> None:
    only = with_errors(run, Interval(5.0, 4.0, 6.0), Interval(10.0, 9.0, 11.0), split="val")
    assert judged_split(only) == "val"
    assert verdict(name_sides(only)).text.startswith("Validation error of rnc is 50 % below")


def test_names_tell_runs_apart(run: Run) -> None:
    other = replace(run, folder=Path("runs/b"))
    assert [side.name for side in name_sides(run, other)] == ["b", "rnc"]
    twins = name_sides(replace(run, folder=Path("x/a")), replace(run, folder=Path("y/a")))
    assert [side.name for side in twins] == [str(Path("y/a")), str(Path("x/a"))]


def test_table_shows_constants_once_and_names_doubles(finished: dict[str, Path], run: Run) -> None:
    sides: tuple[Side, ...] = name_sides(run, replace(collect(finished["baseline"]), method="old"))
    assert [row.name for row in target_scores(sides, 0).rows] == [
        *("median predictor", "mean predictor"),
        *("baseline, l1 head", "baseline, ridge refit", "rnc, l1 head", "rnc, ridge refit"),
    ]
    twice = name_sides(run, replace(run, folder=Path("runs/b")))
    assert [row.name for row in target_scores(twice, 0).rows][2:] == [
        *("b: rnc, l1 head", "b: rnc, ridge refit", "rnc: rnc, l1 head", "rnc: rnc, ridge refit"),
    ]


def test_gazes_are_judged_by_their_angle(run: Run) -> None:
    made = with_errors(run, Interval(0.1, 0.09, 0.11), Interval(0.1, 0.09, 0.11))
    angles = {"model": Interval(4.0, 3.5, 4.5), "constant": Interval(16.0, 15.0, 17.0)}
    made = replace(made, scores=tuple(replace(score, angle=angles[score.role]) for score in made.scores))
    said = verdict(name_sides(made))
    assert said.text == "Test error of rnc is 75 % below that of the median predictor: 4.00 against 16.00 (degrees)."
    table = target_scores(name_sides(made), 0)
    assert table.heads[-1] == "Angle, degrees"
    assert [row.others[-1] for row in table.rows] == ["16.00", "16.00", "4.00"]
    assert len(target_scores(name_sides(run), 0).heads) == 6
