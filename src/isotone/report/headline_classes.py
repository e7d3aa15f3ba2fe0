"""The headline of runs that tell classes apart: accuracy beside always saying one class, or beside another run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isotone.evaluate.metrics import paired_difference
from isotone.report.contents import ClassScore, Interval, Run, Side
from isotone.report.figures import Mark, fixed
from isotone.report.figures_classes import accuracy_figure, percent
from isotone.report.headline import ScoreRow, Target, Verdict, judged_split, ranked, same_data


@dataclass(frozen=True)
class Pairing:
    """Two runs on the rows that both keep: their accuracies, ours minus theirs with its interval, and the rows."""

    ours: float
    theirs: float
    gap: Interval
    n: int


def class_verdict(sides: Sequence[Side]) -> Verdict:
    """Say in one sentence how accurate the run is, beside the other run or the best constant answer.

    Two runs are compared row by row: they differ only where the 95 % interval of the difference does not hold 0. Beside
    a constant answer, the intervals must not overlap.
    """
    side = sides[-1]
    if len(sides) == 2:
        return _paired(side, sides[0])
    ours, theirs = _score(side.run, "model"), _score(side.run, "constant")
    if ours is None:
        return Verdict("No accuracy on held-out rows was measured, so this run cannot be judged.", "open")
    where = _where(ours.split)
    said = f"{percent(ours.accuracy.value)} (95 % interval {_span(ours.accuracy)})"
    if theirs is None:
        return Verdict(f"{where.capitalize()} accuracy of {side.name} is {said}.", "open")
    other = f"{percent(theirs.accuracy.value)} for the {theirs.model}"
    if not (ours.accuracy.low > theirs.accuracy.high or ours.accuracy.high < theirs.accuracy.low):
        return Verdict(
            f"These data cannot show that {side.name} knows the classes: its {where} accuracy is {said}, against "
            f"{other}, and the intervals overlap.",
            "open",
        )
    better = ours.accuracy.value > theirs.accuracy.value
    text = f"{where.capitalize()} accuracy of {side.name} is {said}, against {other}."
    return Verdict(text, "better" if better else "worse")


def class_scores(sides: Sequence[Side]) -> Target:
    """Return the accuracy of every predictor, plain and balanced over classes, as a table and as a figure."""
    judged = [
        (label, score, colour)
        for label, score, colour in ranked(sides, lambda run: _scores(run))
        if math.isfinite(score.accuracy.value)
    ]
    rows = tuple(
        ScoreRow(
            name=label,
            colour=colour,
            score=percent(score.accuracy.value),
            interval=_span(score.accuracy),
            others=(percent(score.balanced.value), _span(score.balanced)),
        )
        for label, score, colour in judged
    )
    marks = [Mark(label, _hundredfold(score.accuracy), colour) for label, score, colour in judged]
    heads = ("Accuracy", "95 % interval", "Balanced accuracy", "95 % interval")
    run = sides[-1].run
    figure = accuracy_figure(marks, _where(judged_split(run))) if marks else None
    return Target(run.classes.question if run.classes else "", heads, rows, figure)


def pair(ours: Run, theirs: Run) -> Pairing | None:
    """Compare two runs on the labelled rows of the judged split that both folders keep; None where there are none."""
    wrong, others = _mistakes(ours), _mistakes(theirs)
    index = [i for i in wrong if i in others]
    if not index:
        return None
    a, b = (np.array([found[i] for i in index], dtype=np.float64) for found in (wrong, others))
    group = None
    if ours.points.group is not None:
        of = dict(zip(ours.points.index.tolist(), ours.points.group, strict=True))
        group = np.array([of[i] for i in index])
    gap = paired_difference(np.zeros(len(index)), b, a, group=group)
    return Pairing(1 - float(a.mean()), 1 - float(b.mean()), Interval(gap.value, gap.low, gap.high), len(index))


# ----------------------------------------------------------------------------------------------------------------------


def _paired(side: Side, rival: Side) -> Verdict:
    if not same_data((rival, side)):
        return Verdict("The two runs used different data or splits, so their accuracies cannot be compared.", "open")
    found = pair(side.run, rival.run)
    if found is None:
        return Verdict("No row was held out by both runs, so their accuracies cannot be compared.", "open")
    score, split = _score(side.run, "model"), judged_split(side.run)
    total = found.n if score is None else score.n
    rows = f"{found.n:,} {_where(split)} rows" if found.n >= total else f"{found.n:,} of {total:,} {_where(split)} rows"
    gap, (a, b) = found.gap, (percent(found.ours), percent(found.theirs))
    span = f"{fixed(100 * gap.low, 1)} and {fixed(100 * gap.high, 1)} points"
    if not (gap.low > 0 or gap.high < 0):
        between = f"it lies between {span}" if math.isfinite(gap.low) else "too few to tell"
        return Verdict(
            f"These data cannot show a difference in {_where(split)} accuracy between {side.name} ({a}) and "
            f"{rival.name} ({b}): paired over {rows}, {between}.",
            "open",
        )
    above = gap.value > 0
    return Verdict(
        f"{_where(split).capitalize()} accuracy of {side.name} is {fixed(100 * abs(gap.value), 1)} points "
        f"{'above' if above else 'below'} that of {rival.name}: {a} against {b}. Paired over {rows}, the difference "
        f"lies between {span}.",
        "better" if above else "worse",
    )


def _mistakes(run: Run) -> dict[int, bool]:
    """Tell by row index whether the prediction is wrong, for labelled rows of the judged split."""
    points, split = run.points, judged_split(run)
    if points.category is None:
        return {}
    return {
        int(i): bool(guess != true)
        for i, side, true, guess in zip(
            points.index, points.split, points.category, points.prediction[:, 0], strict=True
        )
        if side == split and true >= 0
    }


def _where(split: str) -> str:
    return "validation" if split == "val" else "test"


def _span(score: Interval) -> str:
    if not math.isfinite(score.low):
        return "n/a"
    return f"{fixed(100 * score.low, 1)} to {fixed(100 * score.high, 1)}"


def _hundredfold(score: Interval) -> Interval:
    return Interval(100 * score.value, 100 * score.low, 100 * score.high)


def _scores(run: Run) -> list[ClassScore]:
    return [s for s in run.classes.scores if s.split == judged_split(run)] if run.classes else []


def _score(run: Run, role: str) -> ClassScore | None:
    found = [s for s in _scores(run) if s.role == role and math.isfinite(s.accuracy.value)]
    if role == "model":
        return found[0] if found else None
    return max(found, key=lambda score: score.accuracy.value, default=None)
