"""Intervals: the finite-sample quantile, groups that count as one, and what too few rows can promise."""

import numpy as np
import pytest

from isotone.errors import ConfigError, ShapeError
from isotone.predict.conformal import Calibration, bounds, check_level, widened


def _of(errors: np.ndarray, group: np.ndarray | None = None) -> Calibration:
    return Calibration.of(errors[:, None], np.zeros((len(errors), 1)), group)


@pytest.mark.parametrize("n", [9, 10, 19, 57, 150])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_without_groups_it_is_split_conformal_prediction(n: int, level: float) -> None:
    errors = np.random.default_rng(n).random(n)
    place = int(np.ceil((n + 1) * level - 1e-9))  # the published rank, from 1
    assert _of(errors).half_width(level)[0] == np.sort(errors)[place - 1]


def test_a_group_counts_as_one_whatever_its_size() -> None:
    # 9 groups of one row with errors 1 to 9, and 90 rows of a tenth group with error 0: each group weighs 1 / 11,
    # so 0.5 is passed with the tenth group and five others: 6 / 11 = 0.545
    errors = np.concatenate([np.arange(1.0, 10), np.zeros(90)])
    group = np.concatenate([np.arange(9), np.full(90, 9)]).astype(str)
    assert _of(errors, group).half_width(0.5)[0] == 5
    assert _of(errors).half_width(0.5)[0] == 0  # rows alone would promise that half of new rows have no error
    assert _of(errors, group).groups == 10
    assert _of(errors, group).highest == pytest.approx(10 / 11)


def test_each_target_has_its_own_width() -> None:
    found = Calibration.of(np.zeros((9, 2)), np.stack([np.arange(9), -10.0 * np.arange(9)], 1))
    assert found.half_width(0.9).tolist() == [8, 80]


def test_new_rows_of_new_groups_are_covered() -> None:
    # groups differ in bias and in size, as persons do; 600 draws put the standard error of the coverage at 1.2 %
    draw = np.random.default_rng(0)
    inside = []
    for _ in range(600):
        size = draw.integers(1, 12, 31)
        bias = draw.normal(size=31)
        group = np.repeat(np.arange(31), size)
        error = bias[group] + 0.3 * draw.normal(size=len(group))
        new = group == 30
        width = _of(error[~new], group[~new]).half_width(0.9)[0]
        inside.append(abs(error[np.flatnonzero(new)[0]]) <= width)
    assert 0.88 <= np.mean(inside) <= 0.96  # at least 90 %, at most 1 / 31 above it


def test_too_few_groups_say_what_they_can_promise() -> None:
    assert _of(np.arange(9.0)).half_width(0.9).tolist() == [8]  # the fewest that can
    with pytest.raises(ConfigError) as caught:
        _of(np.arange(8.0)).half_width(0.9)
    assert str(caught.value) == (
        "90 % intervals need validation rows of at least 9 groups (rows, where there are no groups), but there are 8. "
        "Ask for at most --interval 0.88, or for more of them: --val-fraction."
    )
    with pytest.raises(ConfigError) as caught:
        check_level(0.95, 0)
    assert str(caught.value) == (
        "95 % intervals need validation rows of at least 19 groups (rows, where there are no groups), but there are 0. "
        "Ask for more of them: --val-fraction."
    )


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0, -0.1, float("nan")])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(ConfigError) as caught:
        check_level(level)
    assert str(caught.value) == (
        f"`interval` is a share above 0 and below 1, but got {level:g}. For 90 % intervals, --interval 0.9."
    )


@pytest.mark.usefixtures("unhooked")
@pytest.mark.usefixtures("unhooked")
def test_what_is_no_error_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        Calibration.of(np.array([[np.nan]]), np.zeros((1, 1)))
    assert str(caught.value) == (
        "A calibration expects finite errors (n, k) and one group a row, but got (1, 1) and (1,). "
        "Make it with Calibration.of(target, prediction)."
    )


def test_no_column_takes_the_place_of_another() -> None:
    ends = widened((np.zeros((1, 2)), np.zeros((1, 2))), np.array([1.0, 2.0]))
    found = bounds(["x", "low_x"], ends, ["x", "low_x"])
    assert {name: x.tolist() for name, x in found.items()} == {
        "interval_low_x": [-1.0],
        "high_x": [1.0],
        "low_low_x": [-2.0],
        "high_low_x": [2.0],
    }
    assert bounds(["x"], None, []) == {}


def test_intervals_with_two_ends_are_calibrated_by_how_far_a_target_lies_outside() -> None:
    # targets 1 below, inside (1 from the nearer end), 3 above an interval from 0 to 4
    ends = np.zeros((3, 1)), np.full((3, 1), 4.0)
    found = Calibration.outside(np.array([[-1.0], [3.0], [7.0]]), ends)
    assert found.error.ravel().tolist() == [1, -1, 3]
    assert found.half_width(0.25).tolist() == [-1]  # of four places the first
    assert found.half_width(0.75).tolist() == [3]


def test_an_interval_that_would_turn_over_is_its_middle() -> None:
    low, high = widened((np.array([[0.0, 0.0]]), np.array([[1.0, 9.0]])), np.array([-2.0, -2.0]))
    assert (low.tolist(), high.tolist()) == ([[0.5, 2.0]], [[0.5, 7.0]])
