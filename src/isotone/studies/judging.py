"""From kept predictions to the tables and sentences of a comparison: a pure function of what is on disk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from isotone.evaluate.class_metrics import class_metrics
from isotone.evaluate.metrics import regression_metrics
from isotone.evaluate.paired import SAMPLES, Difference, holm, paired_differences
from isotone.evaluate.shots import Shot, ShotBins, shot_bins, shots
from isotone.evaluate.verdict import Verdict, verdict
from isotone.predict import Task
from isotone.studies.arms import Arm
from isotone.studies.kept import Kept

Predictions = Mapping[tuple[str, int], Kept]  # by the arm's name and the seed


@dataclass(frozen=True)
class Score:
    """What one arm scored with one seed on one target.

    Args:
        arm: which.
        seed: which.
        target: name of the target or category.
        n: test rows.
        values: by name: the scores on the test rows, and `val_loss`, the mean loss of the validation rows. Of numbers
            also `mae_`, `g_mean_` and `n_` many, medium and few (NaN without such rows), `g_mean`, `balanced_mae`.
    """

    arm: Arm
    seed: int
    target: str
    n: int
    values: dict[str, float]


@dataclass(frozen=True)
class Line:
    """One arm beside the reference, on one target.

    Args:
        arm: which.
        target: name of the target or category.
        found: its difference to the reference.
        p: after Holm, over all comparisons; NaN for the reference and the constants, which are no comparisons.
        verdict: in words; None for those.
    """

    arm: Arm
    target: str
    found: Difference
    p: float
    verdict: Verdict | None


@dataclass(frozen=True)
class Judged:
    """What a comparison found.

    Args:
        scores: of each arm, seed and target.
        lines: by target, then arm, in the order shown; the first of each target is the reference.
        answer: in words: the headline first.
        bins: by target, of those errors by shot; none of classes.
    """

    scores: tuple[Score, ...]
    lines: tuple[Line, ...]
    answer: tuple[str, ...]
    bins: Mapping[str, ShotBins] = field(default_factory=dict[str, ShotBins])

    def of(self, arm: str, target: str) -> list[Score]:
        """Return the scores of one arm and target, in the order of the seeds."""
        return [score for score in self.scores if score.arm.name == arm and score.target == target]


def judge_arms(
    arms: Sequence[Arm],
    kept: Predictions,
    trained: Sequence[Float[np.ndarray, "_ k"]],
    *,
    targets: Sequence[str],
    task: Task,
    group: str | None,
) -> Judged:
    """Return the tables and the verdicts of a comparison.

    Args:
        arms: in the order shown; the first is the reference.
        kept: the held-out rows of every arm and seed.
        trained: for each seed what is to be predicted of its training rows, as `Kept.target`.
        targets: names of the targets, or of the one category.
        task: numbers or classes.
        group: name of the column of groups, or None.
    """
    seeds, numbers = len(trained), targets if task == "numbers" else ()
    bins = {name: shot_bins([y[:, j] for y in trained]) for j, name in enumerate(numbers)}

    scores = tuple(
        _score(arm, seed, name, kept[arm.name, seed], j, trained[seed][:, j], bins.get(name))
        for arm in arms
        for seed in range(seeds)
        for j, name in enumerate(targets)
    )
    lines = _lines(arms, kept, seeds, targets, task)
    headline = _headline(scores, lines, targets[0])
    others = [line.verdict.text for line in lines if line.verdict is not None]
    answer = [headline, *(text for text in others if text not in headline)]
    answer += _weak(arms, kept, seeds, targets, task)
    answer.append(_resampled(kept, arms[0], seeds, group, len(_compared(lines))))
    return Judged(scores, lines, tuple(answer), bins)


def titled(arm: Arm, target: str, targets: int) -> str:
    """Return the arm's title, with the target where there are several."""
    return arm.title if targets == 1 else f"{arm.title} ({target})"


# ----------------------------------------------------------------------------------------------------------------------


def _score(
    arm: Arm, seed: int, target: str, kept: Kept, j: int, trained: Float[np.ndarray, " t"], bins: ShotBins | None
) -> Score:
    """Return the scores of numbers, which have bins, or of classes."""
    task: Task = "classes" if bins is None else "numbers"
    test, val = kept.side("test"), kept.side("val")
    y, p = test.target[:, j], test.prediction[:, j]
    if bins is None:
        found = class_metrics(y.astype(np.int64), p.astype(np.int64), samples=1)
        values = {"error": 1 - found["accuracy"].value} | {name: x.value for name, x in found.items()}
    else:
        values = {name: x.value for name, x in regression_metrics(y, p, samples=1).items()}
        values |= _by_shot(shots(y, p, trained, many=bins.many, few=bins.few, width=bins.width))
    return Score(arm, seed, target, len(y), {**values, "val_loss": float(_loss(val, j, task).mean())})


def _by_shot(found: Sequence[Shot]) -> dict[str, float]:
    every, *sides = found
    errors = {f"mae_{side.name}": side.mae for side in sides} | {f"g_mean_{side.name}": side.g_mean for side in sides}
    told = {"g_mean": every.g_mean, "balanced_mae": every.balanced_mae}
    return {**errors, **{f"n_{side.name}": side.n for side in sides}, **told}


def _loss(kept: Kept, j: int, task: Task) -> Float[np.ndarray, " n"]:
    """Return each row's absolute error, or 1 where its class is wrong."""
    y, p = kept.target[:, j], kept.prediction[:, j]
    return (y != p).astype(np.float64) if task == "classes" else np.abs(y - p)


def _paired(
    arms: Sequence[Arm], kept: Predictions, seeds: int, j: int, task: Task, reference: int = 0
) -> tuple[Difference, ...]:
    tests = [[kept[arm.name, seed].side("test") for arm in arms] for seed in range(seeds)]
    loss = np.concatenate([np.stack([_loss(test, j, task) for test in row], axis=1) for row in tests])
    seed = np.repeat(np.arange(seeds), [len(row[0].row) for row in tests])
    unit = np.concatenate([row[0].unit for row in tests])
    return paired_differences(loss, seed, unit, reference=reference)


def _lines(arms: Sequence[Arm], kept: Predictions, seeds: int, targets: Sequence[str], task: Task) -> tuple[Line, ...]:
    every = [_paired(arms, kept, seeds, j, task) for j in range(len(targets))]
    found = [(arm, j, x) for j, of in enumerate(every) for arm, x in zip(arms, of, strict=True)]
    counted = [arm is not arms[0] and arm.how != "constant" for arm, _, _ in found]
    adjusted = holm([x.p if counts else math.nan for (_, _, x), counts in zip(found, counted, strict=True)])
    result: list[Line] = []
    for (arm, j, x), counts, p in zip(found, counted, adjusted, strict=True):
        names = titled(arm, targets[j], len(targets)), arms[0].title
        said = verdict(*names, x, seeds=seeds, p=p, many=sum(counted)) if counts else None
        result.append(Line(arm, targets[j], x, p, said))
    return tuple(result)


def _compared(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.verdict is not None]


def _headline(scores: Sequence[Score], lines: Sequence[Line], target: str) -> str:
    """Return the verdict of the arm that the validation rows would choose: choosing by the test would flatter it."""
    chosen = [line for line in lines if line.target == target and line.arm.trained is not None]

    def validation(line: Line) -> float:
        return sum(x.values["val_loss"] for x in scores if x.arm == line.arm and x.target == target)

    best = min(chosen, key=validation)
    if best.verdict is None:
        return f"By the validation rows one would stay with {best.arm.title}: no other arm has a lower error there."
    others = len([line for line in chosen if line.verdict is not None])
    return best.verdict.text if others == 1 else f"Chosen by the validation rows: {best.verdict.text}"


def _weak(arms: Sequence[Arm], kept: Predictions, seeds: int, targets: Sequence[str], task: Task) -> list[str]:
    """Say which arms these data cannot tell from the best constant."""
    place = next(i for i, arm in enumerate(arms) if arm.how == "constant")
    names = [
        titled(arm, targets[j], len(targets))
        for j in range(len(targets))
        for arm, found in zip(arms, _paired(arms, kept, seeds, j, task, reference=place), strict=True)
        if arm.how != "constant" and not found.difference.high < 0
    ]
    return (
        [f"Not shown to be better than the {arms[place].title} of the training rows: {', '.join(names)}."]
        if names
        else []
    )


def _resampled(kept: Predictions, reference: Arm, seeds: int, group: str | None, many: int) -> str:
    tests = [kept[reference.name, seed].side("test") for seed in range(seeds)]
    units = len(np.unique(np.concatenate([test.unit for test in tests])))
    low, high = min(len(test.row) for test in tests), max(len(test.row) for test in tests)
    rows = f"{low}" if low == high else f"{low} to {high}"
    what = "test rows" if group is None else f"groups (`{group}`), each with all its test rows,"
    between = (
        "One seed says nothing of how much another would differ."
        if seeds == 1
        else f"What the {seeds} seeds differ by beyond that is added."
    )
    holm_words = f" {many} comparisons were made; a verdict holds for all together (Holm)." if many > 1 else ""
    return (
        f"Intervals: {units} {what} were drawn again {SAMPLES:,} times, each with all its seeds and every arm's error "
        f"on it ({rows} test rows a seed). {between}{holm_words}"
    )
