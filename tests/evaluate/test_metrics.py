"""Metrics and their intervals."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as sklearn_metrics

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.metrics import METRICS, Interval, bootstrap, expanded, paired_difference, regression_metrics
from isotone.randomness import numpy_generator

integers = st.integers(-5, 5).map(float)
reals = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


def expected(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """The metrics by scikit-learn and scipy, for inputs on which all are defined."""
    return {
        "mae": float(sklearn_metrics.mean_absolute_error(y, p)),
        "rmse": float(sklearn_metrics.root_mean_squared_error(y, p)),
        "r2": float(sklearn_metrics.r2_score(y, p)),
        "pearson": float(stats.pearsonr(y, p)[0]),
        "spearman": float(stats.spearmanr(y, p)[0]),
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30).flatmap(lambda n: st.tuples(*[arrays(np.float64, n, elements=integers | reals)] * 2)))
def test_values_are_those_of_scikit_learn_and_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    assume(all(np.ptp(x) > 1e-6 * (1 + np.abs(x).max()) for x in pair))
    found = regression_metrics(y, p, samples=1)
    assert tuple(found) == METRICS
    for name, value in expected(y, p).items():
        assert found[name].value == pytest.approx(value, rel=1e-7, abs=1e-7), name


@pytest.mark.parametrize("ties", [True, False])
def test_intervals_are_the_percentiles_over_resampled_rows(ties: bool) -> None:
    draw = np.random.default_rng(0)
    y = draw.normal(size=40)
    p = y + draw.normal(size=40)
    y, p = (np.round(y), np.round(p)) if ties else (y, p)
    found = regression_metrics(y, p, samples=50, seed=3)
    rows = numpy_generator("bootstrap", 3).integers(40, size=(50, 40))
    resampled = [expected(y[i], p[i]) for i in rows]
    for name in METRICS:
        low, high = np.percentile([one[name] for one in resampled], expanded(40))
        assert (found[name].low, found[name].high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_groups_are_drawn_whole() -> None:
    draw = np.random.default_rng(0)
    group = np.array(["b", "a", "c", "d"])[draw.integers(4, size=60)]
    y = draw.normal(size=60)
    p = y + draw.normal(size=60)
    found = regression_metrics(y, p, group=group, samples=30, seed=5)
    rows_of = [np.flatnonzero(group == name) for name in "abcd"]
    picked = numpy_generator("bootstrap", 5).integers(4, size=(30, 4))
    resampled = [expected(y[i], p[i]) for i in (np.concatenate([rows_of[c] for c in draws]) for draws in picked)]
    for name in METRICS:
        low, high = np.percentile([one[name] for one in resampled], expanded(4))
        assert (found[name].low, found[name].high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_percentiles_of_few_groups_lie_further_out() -> None:
    # t(3) = 3.1824; 100 Phi(-sqrt(4 / 3) 3.1824) = 0.0119
    assert expanded(4) == pytest.approx((0.0119, 99.9881), abs=1e-4)
    assert expanded(10**6) == pytest.approx((2.5, 97.5), abs=1e-4)


def test_the_interval_of_few_groups_holds_the_truth_about_as_often_as_it_says() -> None:
    # 200 repeats of 5 groups: two standard errors are 4 points. With 1,000: 91 %, and 83 % with plain percentiles
    held = 0
    for x in np.random.default_rng(0).normal(size=(200, 5)):
        found = bootstrap(lambda w, x=x: (w @ x / w.sum(axis=1))[:, None], ("mean",), 5)["mean"]
        held += found.low <= 0 <= found.high
    assert 0.87 <= held / 200 <= 0.98


def test_groups_widen_the_interval_where_errors_belong_to_groups() -> None:
    draw = np.random.default_rng(1)
    group = np.repeat(np.arange(20), 20)
    y = draw.normal(size=400)
    p = y + draw.normal(size=20)[group]
    rows, groups = regression_metrics(y, p)["mae"], regression_metrics(y, p, group=group)["mae"]
    assert groups.high - groups.low > 2 * (rows.high - rows.low)
    assert groups.value == rows.value


def test_one_group_per_row_is_the_row_bootstrap() -> None:
    draw = np.random.default_rng(2)
    y, p = draw.normal(size=(2, 30))
    assert regression_metrics(y, p, group=np.arange(30)) == regression_metrics(y, p)


def test_the_seed_decides_and_arguments_are_untouched() -> None:
    y, p = np.random.default_rng(3).normal(size=(2, 50))
    before = y.copy(), p.copy()
    assert regression_metrics(y, p, seed=1) == regression_metrics(y, p, seed=1)
    assert regression_metrics(y, p, seed=1) != regression_metrics(y, p, seed=2)
    assert np.array_equal(y, before[0])
    assert np.array_equal(p, before[1])


def test_undefined_values_are_nan_without_a_warning() -> None:
    varied, constant = np.array([1.0, 2.0, 4.0, 0.1]), np.full(4, 0.1)
    flat_target = regression_metrics(constant, varied)
    assert flat_target["mae"].value == pytest.approx((0.9 + 1.9 + 3.9) / 4)
    assert all(math.isnan(x) for name in ("r2", "pearson", "spearman") for x in vars(flat_target[name]).values())
    flat_prediction = regression_metrics(varied, constant)
    assert flat_prediction["r2"].value == pytest.approx(sklearn_metrics.r2_score(varied, constant))
    assert all(math.isnan(x) for name in ("pearson", "spearman") for x in vars(flat_prediction[name]).values())


def test_undefined_resamples_are_left_out() -> None:
    found = regression_metrics(np.array([0.0, 1.0]), np.array([0.0, 2.0]))  # half of the resamples are constant
    assert found["pearson"] == Interval(1.0, 1.0, 1.0)


def test_no_interval_from_one_row_or_one_group() -> None:
    one = regression_metrics(np.array([1.0]), np.array([3.0]))
    assert one["mae"].value == one["rmse"].value == 2.0
    assert math.isnan(one["mae"].low)
    assert math.isnan(one["r2"].value)
    assert math.isnan(regression_metrics(np.arange(3.0), np.ones(3), group=np.zeros(3))["mae"].high)


@pytest.mark.parametrize(("shift", "scale"), [(1.7e9, 1.0), (0.0, 1e-100), (0.0, 1e100)])
def test_shift_and_scale_do_not_change_correlations(shift: float, scale: float) -> None:
    y, p = np.random.default_rng(4).normal(size=(2, 100))
    plain = regression_metrics(y, p, samples=50)
    moved = regression_metrics(y * scale + shift, p * scale + shift, samples=50)
    for name in ("r2", "pearson", "spearman"):
        assert list(vars(moved[name]).values()) == pytest.approx(list(vars(plain[name]).values()), abs=1e-6)


def test_perfect_prediction() -> None:
    y = np.random.default_rng(5).normal(size=30)
    found = regression_metrics(y, y)
    assert found["mae"] == Interval(0.0, 0.0, 0.0)
    assert found["r2"] == Interval(1.0, 1.0, 1.0)
    assert found["pearson"].value == pytest.approx(1.0, abs=1e-12)


def test_more_rows_than_a_block_holds() -> None:
    y, p = np.random.default_rng(6).normal(size=(2, 150_000))
    found = regression_metrics(y, p, samples=3)["mae"]
    assert found.low <= found.high
    assert found.value == pytest.approx(np.abs(y - p).mean(), rel=1e-12)


@pytest.mark.slow
def test_coverage_of_the_95_percent_interval() -> None:
    """MAE of a normal error with std 1 is sqrt(2 / pi); 300 data sets of 100 rows."""
    draw, hits = np.random.default_rng(7), 0
    for i in range(300):
        y = draw.normal(size=100) * 3
        found = regression_metrics(y, y + draw.normal(size=100), samples=400, seed=i)["mae"]
        hits += found.low <= math.sqrt(2 / math.pi) <= found.high
    assert 0.90 <= hits / 300 <= 0.98


@pytest.mark.slow
def test_coverage_with_groups() -> None:
    """Errors shared by a group: 40 groups of 5; row-wise intervals would cover the true MAE far less often."""
    draw, rows, groups, group = np.random.default_rng(8), 0, 0, np.repeat(np.arange(40), 5)
    for i in range(200):
        y = draw.normal(size=200) * 3
        p = y + draw.normal(size=40)[group]
        by_row = regression_metrics(y, p, samples=300, seed=i)["mae"]
        by_group = regression_metrics(y, p, group=group, samples=300, seed=i)["mae"]
        rows += by_row.low <= math.sqrt(2 / math.pi) <= by_row.high
        groups += by_group.low <= math.sqrt(2 / math.pi) <= by_group.high
    assert 0.88 <= groups / 200 <= 0.99
    assert rows / 200 < 0.75


def test_paired_difference_sees_what_two_intervals_do_not() -> None:
    draw = np.random.default_rng(9)
    y = draw.normal(size=300)
    hard = draw.exponential(size=300) ** 3  # a few rows are hard for both
    a, b = y + hard, y + hard + 0.1
    gap = paired_difference(y, a, b)
    assert gap.value == pytest.approx(-0.1)
    assert gap.high < 0
    one, two = regression_metrics(y, a)["mae"], regression_metrics(y, b)["mae"]
    assert one.high > two.low


def test_paired_difference_is_antisymmetric_and_null_for_equals() -> None:
    draw = np.random.default_rng(10)
    y, a, b = draw.normal(size=(3, 80))
    group = draw.integers(10, size=80)
    one, two = paired_difference(y, a, b, group=group), paired_difference(y, b, a, group=group)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
    assert paired_difference(y, a, a) == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("y", "p"), [((32,), (32, 5)), ((4,), (4, 1)), ((4,), (1,)), ((4, 1), (4, 1)), ((0,), (0,)), ((), ())]
)
@pytest.mark.usefixtures("unhooked")
def test_wrong_shapes(y: tuple[int, ...], p: tuple[int, ...]) -> None:
    text = (
        f"Metrics expect arrays of one shape (n,) with n >= 1, but got target {y}, prediction {p}. "
        "Score one target dimension at a time: y[:, 0]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        regression_metrics(np.zeros(y), np.zeros(p))


@pytest.mark.usefixtures("unhooked")
def test_wrong_content_and_settings() -> None:
    y = np.arange(4.0)
    text = (
        "Metrics expect finite numbers, but 2 of `prediction_b` are NaN or infinite, the first in row 1. "
        "Leave these rows out."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        paired_difference(y, y, np.array([0, np.nan, 0, -np.inf]))
    text = "Expected one group for each of the 4 rows, but got shape (3,). Give (n,)."
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        regression_metrics(y, y, group=np.zeros(3))
    text = "The bootstrap expects samples >= 1, but got 0. 1000 is a good value."
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        regression_metrics(y, y, samples=0)


def test_any_score_has_its_interval() -> None:
    x = np.array([1.0, 2.0, 6.0])
    found = bootstrap(lambda w: np.stack([(w @ x) / 3, w @ x * np.nan], 1), ("mean", "nothing"), 3, samples=500, seed=1)
    assert found["mean"].value == 3.0
    assert 1.0 <= found["mean"].low < 3.0 < found["mean"].high <= 6.0
    assert np.isnan(found["nothing"].value)
    with pytest.raises(ConfigError) as caught:
        bootstrap(lambda w: w, ("a",), 3, samples=0)
    assert str(caught.value) == "The bootstrap expects samples >= 1, but got 0. 1000 is a good value."
