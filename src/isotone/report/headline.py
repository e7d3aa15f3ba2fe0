"""The headline of runs that predict numbers, and what all headlines share: names, verdicts, score tables.

Runs that tell classes apart have theirs in `headline_classes`, runs without labels in `headline_unlabelled`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from isotone.report.contents import ClassScore, Interval, Run, Score, Side
from isotone.report.figures import Mark, Picture, decimals, fixed, interval_figure

HEADS = ("MAE", "95 % interval", "RMSE", "R²", "Pearson", "Spearman")

_S = TypeVar("_S", Score, ClassScore)


@dataclass(frozen=True)
class Verdict:
    """One plain sentence, and whether it is good news."""

    text: str
    tone: Literal["better", "worse", "open"]


@dataclass(frozen=True)
class ScoreRow:
    """A line of the score table: texts only, with the colour that its predictor has in the figures."""

    name: str
    colour: str
    score: str
    interval: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What the headline shows of one target: the score table, and the same scores as a figure where there are any."""

    name: str
    heads: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    figure: Picture | None


def name_sides(run: Run, against: Run | None = None) -> tuple[Side, ...]:
    """Return the runs in the order shown, `run` last, named so that they can be told apart.

    By method where the methods differ, else by folder name, else by the folder's whole path.
    """
    if against is None:
        return (Side(run, run.method, "run"),)
    names: tuple[Callable[[Run], str], ...] = (lambda r: r.method, lambda r: r.folder.name, lambda r: str(r.folder))
    name = next((name for name in names if name(run) != name(against)), names[0])
    return (Side(against, name(against), "against"), Side(run, name(run), "run"))


def verdict(sides: Sequence[Side]) -> Verdict:
    """Say in one sentence whether the error is below that of the other run, or else of the best constant predictor.

    Two errors differ only where their 95 % intervals do not overlap; otherwise the sentence says that these data cannot
    show a difference. Only the first target is judged; the tables hold the others.
    """
    side, rival = sides[-1], sides[0] if len(sides) == 2 else None
    if rival and not same_data(sides):
        return Verdict("The two runs used different data or splits, so their errors cannot be compared.", "open")
    ours = _score(side.run)
    theirs = _score(rival.run) if rival else _best_constant(side.run)
    if ours is None or theirs is None:
        return Verdict("No error on held-out rows was measured, so this run cannot be judged.", "open")
    return _compared(ours, side.name, theirs, rival.name if rival else f"the {theirs.model}")


def target_scores(sides: Sequence[Side], j: int) -> Target:
    """Return the scores of every predictor of target `j`, with as many decimals as show three figures of the least."""
    found = ranked(sides, lambda run: _scores(run, j))
    name = sides[-1].run.data.target_names[j]
    digits = _digits([score.mae for _, score, _ in found])
    gaze = any(math.isfinite(score.angle.value) for _, score, _ in found)
    rows = tuple(
        ScoreRow(
            name=label,
            colour=colour,
            score=fixed(score.mae.value, digits),
            interval=f"{fixed(score.mae.low, digits)} to {fixed(score.mae.high, digits)}",
            others=(
                fixed(score.rmse.value, digits),
                *(fixed(x.value, 3) for x in (score.r2, score.pearson, score.spearman)),
                *((fixed(score.angle.value, 2),) if gaze else ()),
            ),
        )
        for label, score, colour in found
    )
    marks = [Mark(label, score.mae, colour) for label, score, colour in found]
    return Target(
        name, (*HEADS, "Angle, degrees") if gaze else HEADS, rows, interval_figure(marks, name) if marks else None
    )


def judged_split(run: Run) -> str:
    """Return the side of the split that judges, or would: test, or validation where nothing is tested."""
    splits = {score.split for score in (run.classes.scores if run.classes else run.scores)}
    if run.task == "none" and not run.data.counts["test"] and run.data.counts["val"]:
        return "val"
    return "val" if splits == {"val"} else "test"


def same_data(sides: Sequence[Side]) -> bool:
    """Tell whether all runs saw the same inputs, targets and split."""
    return len({side.run.data.fingerprint for side in sides}) == 1


def ranked(sides: Sequence[Side], scores: Callable[[Run], Sequence[_S]]) -> list[tuple[str, _S, str]]:
    """Return all scores with their names and colours, in the order shown; equal names are told apart by run.

    Constants first and only once, then each run, its model before its refits.

    Args:
        sides: the runs.
        scores: those of one run.
    """
    constants: dict[tuple[str, str], tuple[str, _S, str]] = {}
    models: list[tuple[str, _S, str]] = []
    for side in sides:
        for score in sorted(scores(side.run), key=lambda score: score.role != "model"):
            if score.role == "constant":
                value = score.mae if isinstance(score, Score) else score.accuracy
                constants.setdefault((score.model, str(value.value)), (side.name, score, "neutral"))
            else:
                models.append((side.name, score, side.colour))
    rows = [*constants.values(), *models]
    shared = [score.model for _, score, _ in rows]
    return [
        (f"{side}: {score.model}" if shared.count(score.model) > 1 else score.model, score, colour)
        for side, score, colour in rows
    ]


# ----------------------------------------------------------------------------------------------------------------------


def _compared(ours: Score, name: str, theirs: Score, other: str) -> Verdict:
    digits = _digits([ours.error, theirs.error])
    unit = ours.target if ours.error is ours.mae else "degrees"
    a, b = fixed(ours.error.value, digits), fixed(theirs.error.value, digits)
    side = "validation" if ours.split == "val" else "test"
    if not (ours.error.high < theirs.error.low or theirs.error.high < ours.error.low):
        return Verdict(
            f"These data cannot show a difference in {side} error between {name} ({a}) and {other} ({b}): "
            "the 95 % intervals overlap.",
            "open",
        )
    below = ours.error.value < theirs.error.value
    change = abs(1 - ours.error.value / theirs.error.value) if theirs.error.value else math.inf
    percent = "less than 1 %" if change < 0.01 else f"{100 * change:.0f} %" if change < 10 else "far"
    text = f"{side.capitalize()} error of {name} is {percent} {'below' if below else 'above'} that of {other}"
    return Verdict(f"{text}: {a} against {b} ({unit}).", "better" if below else "worse")


def _scores(run: Run, j: int) -> list[Score]:
    if j >= len(run.data.target_names):
        return []
    target, split = run.data.target_names[j], judged_split(run)
    return [s for s in run.scores if s.target == target and s.split == split and math.isfinite(s.mae.value)]


def _score(run: Run) -> Score | None:
    return next((score for score in _scores(run, 0) if score.role == "model"), None)


def _best_constant(run: Run) -> Score | None:
    constants = [score for score in _scores(run, 0) if score.role == "constant"]
    return min(constants, key=lambda score: score.error.value, default=None)


def _digits(errors: Sequence[Interval]) -> int:
    return decimals(min((error.value for error in errors if error.value > 0), default=0.0))
