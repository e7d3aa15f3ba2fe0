"""Tables and sentences from kept predictions: by hand on small arms."""

import math

import numpy as np
import pytest

from isotone.evaluate.shots import ShotBins
from isotone.studies.arms import Arm, Trained
from isotone.studies.judging import judge_arms, titled
from isotone.studies.kept import Kept

ARMS = (
    Arm("baseline-l1", "L1", "end to end", Trained("baseline", "l1")),
    Arm("rnc-l1", "RnC + L1", "head on the frozen encoder", Trained("rnc"), "l1"),
    Arm("median", "median", "constant"),
)


def _kept(error: float, seed: int, rows: int = 60, group: bool = False, k: int = 1) -> Kept:
    draw = np.random.default_rng(seed)
    y = draw.normal(size=(2 * rows, k)) * 5
    noise = np.random.default_rng([seed, round(10 * error)]).normal(size=(2 * rows, k)) * 0.1
    row = np.arange(2 * rows)
    split = np.array(["val", "test"])[row % 2]
    names = (row // 6).astype(str) if group else np.zeros(0, str)
    prediction = y + error + noise if error < 9 else np.zeros_like(y)
    return Kept(row, row.astype(str), split, names, y, prediction)


def _all(errors: dict[str, float], seeds: int = 2, **more: object) -> dict[tuple[str, int], Kept]:
    return {(name, seed): _kept(error, seed, **more) for name, error in errors.items() for seed in range(seeds)}  # type: ignore[arg-type]


Y = np.zeros((50, 1))  # training targets
ERRORS = {"baseline-l1": 1.0, "rnc-l1": 0.9, "median": 9.0}


def test_the_verdict_stands_first_and_says_what_was_drawn() -> None:
    found = judge_arms(ARMS, _all(ERRORS), trained=[Y] * 2, targets=("y",), task="numbers", group=None)
    assert found.answer[0].startswith("RnC + L1 beats L1 by ")
    assert found.answer[0].endswith(" % (2 seeds).")
    assert found.answer[1] == (
        "Intervals: 60 test rows were drawn again 4,000 times, each with all its seeds and every arm's error on it (60 "
        "test rows a seed). What the 2 seeds differ by beyond that is added."
    )
    assert [line.verdict and line.verdict.kind for line in found.lines] == [None, "better", None]
    assert math.isnan(found.lines[2].p)
    line = found.lines[1].found.relative
    assert line.value == pytest.approx(-0.1, abs=0.01)
    assert line.low < -0.1 < line.high < 0
    scores = found.of("rnc-l1", "y")
    assert [score.seed for score in scores] == [0, 1]
    assert scores[0].values["mae"] == pytest.approx(0.9, abs=0.05)
    assert scores[0].n == 60


def test_the_arm_of_the_headline_is_chosen_by_validation_and_may_be_the_reference() -> None:
    found = judge_arms(
        ARMS, _all({**ERRORS, "rnc-l1": 1.2}), trained=[Y] * 2, targets=("y",), task="numbers", group=None
    )
    assert found.answer[0] == "By the validation rows one would stay with L1: no other arm has a lower error there."
    assert found.answer[1].startswith("RnC + L1 is worse than L1 by ")


def test_groups_are_drawn_whole_and_one_seed_is_said() -> None:
    found = judge_arms(ARMS, _all(ERRORS, 1, group=True), trained=[Y], targets=("y",), task="numbers", group="who")
    assert found.answer[-1] == (
        "Intervals: 20 groups (`who`), each with all its test rows, were drawn again 4,000 times, each with all its "
        "seeds and every arm's error on it (60 test rows a seed). One seed says nothing of how much another would "
        "differ."
    )


def test_many_comparisons_are_counted_and_what_is_no_better_than_a_constant_is_said() -> None:
    more = Arm("rnc-knn", "RnC + kNN", "neighbours", Trained("rnc"), "knn")
    kept = _all({**ERRORS, "rnc-knn": 8.0})
    found = judge_arms((*ARMS[:2], more, ARMS[2]), kept, trained=[Y] * 2, targets=("y",), task="numbers", group=None)
    assert found.answer[0].startswith("Chosen by the validation rows: RnC + L1 beats L1 by ")
    assert found.answer[2] == "Not shown to be better than the median of the training rows: RnC + kNN."
    assert found.answer[-1].endswith(" 2 comparisons were made; a verdict holds for all together (Holm).")


def test_several_targets_are_judged_each() -> None:
    found = judge_arms(
        ARMS, _all(ERRORS, k=2), trained=[np.tile(Y, 2)] * 2, targets=("y", "z"), task="numbers", group=None
    )
    assert [(line.arm.name, line.target) for line in found.lines[2:4]] == [("median", "y"), ("baseline-l1", "z")]
    assert found.answer[0].startswith("RnC + L1 (y) beats L1 by ")
    assert titled(ARMS[0], "y", 2) == "L1 (y)"


def test_classes_are_judged_by_their_errors() -> None:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, (200, 1)).astype(float)
    row, split = np.arange(200), np.array(["val", "test"])[np.arange(200) % 2]

    def kept(wrong: float) -> Kept:
        prediction = np.where(draw.random((200, 1)) < wrong, (y + 1) % 3, y)
        return Kept(row, row.astype(str), split, np.zeros(0, str), y, prediction)

    every = {("baseline-l1", 0): kept(0.5), ("rnc-l1", 0): kept(0.05), ("median", 0): kept(0.7)}
    found = judge_arms(ARMS, every, trained=[Y], targets=("c",), task="classes", group=None)
    values = found.of("rnc-l1", "c")[0].values
    assert values["error"] == pytest.approx(1 - values["accuracy"])
    assert found.answer[0].startswith("RnC + L1 beats L1 by ")
    assert found.bins == {}
    assert not any(name.startswith(("mae", "n_", "g_mean")) or name == "balanced_mae" for name in values)


def test_errors_by_shot_are_those_of_the_definition() -> None:
    draw = np.random.default_rng(0)
    count = {20: 250, 21: 101, 22: 100, 23: 20, 24: 19, 26: 1}  # training rows of each age, 70 in the mean
    trained = np.repeat([float(age) for age in count], list(count.values()))
    y = draw.integers(19, 27, 200).astype(float)  # 19 and 25 have no training row
    row, split = np.arange(200), np.array(["val", "test"])[np.arange(200) % 2]
    kept = {(arm.name, 0): Kept(row, row.astype(str), split, np.zeros(0, str), y[:, None],
        y[:, None] + draw.normal(size=(200, 1))) for arm in ARMS}  # fmt: skip
    found = judge_arms(ARMS, kept, [trained[:, None]], targets=("age",), task="numbers", group=None)
    assert found.bins == {"age": ShotBins(1.0, 100, 20, published=True)}
    for arm in ARMS:
        sides: dict[str, list[float]] = {"many": [], "medium": [], "few": []}
        of_age: dict[float, list[float]] = {}
        for i in range(1, 200, 2):
            n = count.get(int(y[i]), 0)
            error = abs(y[i] - kept[arm.name, 0].prediction[i, 0])
            sides["many" if n > 100 else "few" if n < 20 else "medium"].append(error)
            of_age.setdefault(y[i], []).append(error)
        values = found.of(arm.name, "age")[0].values
        for name, errors in sides.items():
            assert values[f"n_{name}"] == len(errors) > 0
            assert values[f"mae_{name}"] == pytest.approx(sum(errors) / len(errors))
            assert values[f"g_mean_{name}"] == pytest.approx(math.prod(x + 1e-10 for x in errors) ** (1 / len(errors)))
        each = [sum(errors) / len(errors) for errors in of_age.values()]
        assert values["balanced_mae"] == pytest.approx(sum(each) / len(each))


def test_each_target_has_its_own_bins_which_all_seeds_share() -> None:
    trained = [np.stack([np.repeat(seed, 40), np.linspace(0, 9.9, 40)], axis=1) for seed in (0.0, 1.0)]
    found = judge_arms(ARMS, _all(ERRORS, k=2), trained, targets=("y", "z"), task="numbers", group=None)
    assert found.bins == {"y": ShotBins(), "z": ShotBins(0.5, 2, 1, published=False)}
    values = found.of("rnc-l1", "y")[0].values
    assert math.isnan(values["mae_many"])
    assert (values["n_many"], values["n_medium"] + values["n_few"]) == (0, 60)
