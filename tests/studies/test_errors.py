"""Errors of rows and seeds, and their joint resamples."""

import math
from dataclasses import replace

import numpy as np
import pytest

from isotone.evaluate.paired import paired_differences
from isotone.records import Dataset
from isotone.studies.errors import Errors, absolute_errors, errors_of, joined, resampled


def _data(target: np.ndarray, group: np.ndarray | None = None, category: np.ndarray | None = None) -> Dataset:
    n = len(target)
    split = np.where(np.arange(n) < n // 2, "train", "test")
    names = tuple(f"y{i}" for i in range(target.shape[1]))
    return Dataset(
        "t", "rows", np.zeros((n, 1), np.float32), target, names, split, np.arange(n).astype(str), np.arange(n) + 2,
        group, category=category,
    )  # fmt: skip


def test_one_target_keeps_its_unit_and_several_are_standardised() -> None:
    one = _data(np.arange(8.0)[:, None])
    assert absolute_errors(one, np.array([4, 5]), np.array([[6.0], [4.0]])).tolist() == [2.0, 1.0]
    two = _data(
        np.stack([np.array([0.0, 2.0, 0.0, 2.0, 1.0, 1.0]), np.array([0.0, 20.0, 0.0, 20.0, 10.0, 10.0])], axis=1)
    )
    # the training rows (the first 3) have standard deviations of 0.943 and 9.43, so 1 and 10 weigh the same
    found = absolute_errors(two, np.array([4]), np.array([[2.0, 20.0]]))
    assert found == pytest.approx([1 / np.std([0.0, 2.0, 0.0])])


def test_on_a_circle_the_error_goes_the_short_way() -> None:
    data = replace(_data(np.array([[0.0], [90.0], [350.0], [10.0]])), geometry="circle:360")
    assert absolute_errors(data, np.array([2, 3]), np.array([[15.0], [340.0]])).tolist() == [25.0, 30.0]


def test_a_class_is_right_or_wrong() -> None:
    data = _data(np.zeros((4, 0)), category=np.array([0, 1, 1, 0]))
    assert absolute_errors(data, np.array([2, 3]), np.array([[1], [1]])).tolist() == [0.0, 1.0]


def test_the_unit_is_the_group_or_the_line_of_the_users_table() -> None:
    target = np.arange(4.0)[:, None]
    rows, error = np.array([2, 3]), np.array([1.0, 2.0])
    assert errors_of(_data(target), rows, error, seed=1).unit.tolist() == ["4", "5"]
    assert errors_of(_data(target), rows, error, seed=1, lines=np.arange(4) + 70).unit.tolist() == ["72", "73"]
    grouped = errors_of(_data(target, np.array(["a", "a", "b", "b"])), rows, error, seed=1)
    assert (grouped.unit.tolist(), grouped.seed.tolist()) == (["b", "b"], [1, 1])


ONE = np.ones(1)


def test_arms_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    hard = rng.exponential(10, 200)
    unit, seed = np.tile(np.arange(100), 2).astype(str), np.repeat([0, 1], 100)
    a, b = Errors(seed, unit, hard + 1), Errors(seed, unit, hard)
    found = resampled([a, b])
    gap, _ = found.interval(np.array([1.0, -1.0]))
    assert (gap.low, gap.high) == (pytest.approx(1.0), pytest.approx(1.0))  # what is hard cancels
    alone, _ = found.interval(np.array([1.0, 0.0]))
    assert alone.high - alone.low > 2
    assert alone.value == pytest.approx(a.error.mean())


def test_the_cells_interval_is_that_of_a_comparison() -> None:
    rng = np.random.default_rng(1)
    unit, seed, loss = np.tile(np.arange(20), 3), np.repeat(np.arange(3), 20), rng.exponential(1, (60, 2))
    there = paired_differences(loss, seed, unit, samples=500)[1]
    cells = [Errors(seed, np.char.zfill(unit.astype(str), 2), x) for x in loss.T]
    found = resampled(cells, samples=500)
    gap, _ = found.interval(np.array([-1.0, 1.0]))
    share, _ = found.interval(np.array([-1.0, 1.0]), over=np.array([1.0, 0.0]))
    for one, other in ((gap, there.difference), (share, there.relative)):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_seeds_alone_are_student_s_and_one_seed_is_that_of_its_rows() -> None:
    unit = np.arange(50).astype(str)
    seeds = [Errors(np.full(50, s), unit, np.full(50, float(s))) for s in range(3)]
    found, _ = resampled([joined(seeds)]).interval(ONE)
    # three seeds of standard deviation 1: half width 4.303 / sqrt(3) = 2.48; 1,000 draws of a normal are good to 10 %
    assert found.value == 1.0
    assert found.high - found.low == pytest.approx(2 * 2.48, rel=0.1)
    one, _ = resampled([seeds[2]]).interval(ONE)
    assert (one.low, one.high) == (2.0, 2.0)


def test_a_resample_without_rows_of_a_cell_is_left_out() -> None:
    both = Errors(np.zeros(2, int), np.array(["a", "b"]), np.array([1.0, 3.0]))
    only = Errors(np.zeros(1, int), np.array(["a"]), np.array([1.0]))
    found = resampled([both, only])
    assert np.isnan(found.drawn[..., 1]).any()
    assert found.interval(np.array([0.0, 1.0]))[0].low == 1.0
    alone, p = resampled([only]).interval(ONE)
    assert (alone.value, math.isnan(alone.low), math.isnan(p)) == (1.0, True, True)
