"""Nearest neighbours against slow loops, ties shared, blocks, and what is degenerate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.probe import ProbeData


def _slow_number(h: np.ndarray, train: np.ndarray, y: np.ndarray, k: int, weights: str) -> float:
    """The definition, for one row without ties."""
    far = [math.sqrt(sum((a - b) ** 2 for a, b in zip(h, row, strict=True))) for row in train]
    nearest = sorted(range(len(train)), key=lambda j: far[j])[:k]
    w = {j: 1.0 if weights == "mean" else 1 / far[j] for j in nearest}
    return sum(w[j] * y[j] for j in nearest) / sum(w.values())


def _slow_class(h: np.ndarray, train: np.ndarray, y: np.ndarray, k: int, temperature: float) -> int:
    """Wu et al. 2018, section 3.4, for one row without ties."""
    near = [float(h @ row / math.sqrt(h @ h) / math.sqrt(row @ row)) for row in train]
    vote: dict[int, float] = {}
    for j in sorted(range(len(train)), key=lambda j: -near[j])[:k]:
        vote[int(y[j])] = vote.get(int(y[j]), 0.0) + math.exp(near[j] / temperature)
    return max(vote, key=lambda c: vote[c])


def _random(seed: int = 0, n: int = 40, d: int = 3) -> ProbeData:
    draw = np.random.default_rng(seed)
    h, y = draw.normal(size=(n, d)) + 100, draw.normal(size=n)
    return ProbeData(h[:24], y[:24], h[24:32], y[24:32], h[32:], y[32:])


def _classes(data: ProbeData) -> ProbeData:
    y = [(value > 0).astype(int) + (value > 0.7) for value in (data.train_y, data.val_y, data.test_y)]
    return ProbeData(data.train_h - 100, y[0], data.val_h - 100, y[1], data.test_h - 100, y[2])


@pytest.mark.parametrize("weights", ["mean", "distance"])
@pytest.mark.parametrize("k", [1, 3, 24])
def test_numbers_are_the_slow_loops(weights: str, k: int) -> None:
    data = _random()
    slow = [_slow_number(h, data.train_h, data.train_y, k, weights) for h in data.test_h]
    result = knn_numbers(data, k=k, weights=weights)  # type: ignore[arg-type]
    np.testing.assert_allclose(result.prediction, slow, rtol=1e-9)
    assert result.settings == {"k": k, "weights": weights, "metric": "euclidean"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (24, 1.0)])
def test_classes_are_the_slow_loops(seed: int, k: int, temperature: float) -> None:
    data = _classes(_random(seed))
    slow = [_slow_class(h, data.train_h, data.train_y, k, temperature) for h in data.test_h]
    assert knn_classes(data, k=k, temperature=temperature).prediction.tolist() == slow


def test_k_is_the_best_on_validation() -> None:
    data = _random()
    tried = {k: knn_numbers(data, k=k) for k in (1, 2, 5, 10, 20, 24)}
    on_val = {k: np.abs(_val_prediction(data, k) - data.val_y).mean() for k in tried}
    best = min(on_val, key=lambda k: on_val[k])
    assert knn_numbers(data) == tried[best]


def _val_prediction(data: ProbeData, k: int) -> np.ndarray:
    return np.array([_slow_number(h, data.train_h, data.train_y, k, "mean") for h in data.val_h])


def test_real_digits() -> None:
    x, y = load_digits(return_X_y=True)
    data = ProbeData(x[:1000], y[:1000], x[1000:1200], y[1000:1200], x[1200:], y[1200:])
    result = knn_classes(data)
    assert result.settings == {"k": 200, "temperature": 0.07, "metric": "cosine"}
    assert result.score > 0.9  # 0.916; k = 200 is more than a class has
    numbers = ProbeData(x[:1000], x[:1000].mean(1), x[1000:1200], x[1000:1200].mean(1), x[1200:], x[1200:].mean(1))
    assert knn_numbers(numbers).others["r2"] > 0.5


def test_rows_tied_with_the_last_neighbour_share_its_place() -> None:
    train, y = np.array([[0.0], [1.0], [-1.0], [5.0]]), np.array([10.0, 1.0, 3.0, 99.0])
    data = ProbeData(train, y, train, y, np.array([[0.0]]), np.array([0.0]))
    assert knn_numbers(data, k=2).prediction.tolist() == [(10 + 0.5 * 1 + 0.5 * 3) / 2]
    assert knn_numbers(data, k=3).prediction.tolist() == [pytest.approx(14 / 3)]


GRID = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=10)  # nearly every place is tied


@settings(max_examples=200, deadline=None)
@given(
    grid=GRID,
    k=st.integers(1, 10),
    seed=st.integers(0, 1000),
    weights=st.sampled_from(["mean", "distance"]),
    metric=st.sampled_from(["euclidean", "cosine"]),
)
def test_no_order_of_rows_and_no_block_changes_a_number(
    grid: list[tuple[int, int]], k: int, seed: int, weights: str, metric: str
) -> None:
    h, draw = np.array(grid, float), np.random.default_rng(seed)
    y, order, test = draw.normal(size=len(h)), draw.permutation(len(h)), draw.integers(0, 3, (5, 2)).astype(float)
    one = ProbeData(h, y, h, y, test, np.zeros(5))
    two = ProbeData(h[order], y[order], h, y, test, np.zeros(5))
    kinds = {"k": k, "weights": weights, "metric": metric}
    first = knn_numbers(one, **kinds).prediction  # type: ignore[arg-type]
    for data, block in ((two, 2**20), (one, 2 * len(h))):
        np.testing.assert_allclose(knn_numbers(data, block=block, **kinds).prediction, first, atol=1e-9)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(grid=GRID, k=st.integers(1, 10), seed=st.integers(0, 1000))
def test_no_order_of_rows_and_no_block_changes_a_class(grid: list[tuple[int, int]], k: int, seed: int) -> None:
    h, draw = np.array(grid, float), np.random.default_rng(seed)
    y, order, test = np.arange(len(h)) % 3, draw.permutation(len(h)), draw.integers(0, 3, (5, 2)).astype(float)
    one = ProbeData(h, y, h, y, test, np.zeros(5, int))
    two = ProbeData(h[order], y[order], h, y, test, np.zeros(5, int))
    first = knn_classes(one, k=k).prediction
    for data, block in ((two, 2**20), (one, 1)):
        assert np.array_equal(knn_classes(data, k=k, block=block).prediction, first)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_a_shift_and_a_scale_of_the_features_change_nothing(seed: int, scale: float, shift: float) -> None:
    data = _random(seed)
    moved = [h * scale + shift for h in (data.train_h, data.val_h, data.test_h)]
    other = ProbeData(moved[0], data.train_y, moved[1], data.val_y, moved[2], data.test_y)
    np.testing.assert_allclose(
        knn_numbers(other, k=3, weights="distance").prediction,
        knn_numbers(data, k=3, weights="distance").prediction,
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_large_mean_does_not_blur_the_distances() -> None:
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(30, 4)).astype(np.float32), draw.normal(size=30)
    far = (h + np.float32(2**17)).astype(np.float64)  # float32 keeps 2^-6 there
    near = far - 2**17
    a = knn_numbers(ProbeData(far, y, far, y, far, y), k=4).prediction
    np.testing.assert_allclose(a, knn_numbers(ProbeData(near, y, near, y, near, y), k=4).prediction, rtol=1e-9)


def test_k_is_bounded_by_the_training_rows() -> None:
    data = _random()
    assert knn_numbers(data, k=10**6).settings["k"] == 24
    np.testing.assert_allclose(knn_numbers(data, k=10**6).prediction, data.train_y.mean())
    assert knn_classes(_classes(data)).settings["k"] == 24


def test_a_collapsed_representation_scores_as_the_constant_does() -> None:
    h, y = np.full((20, 3), 0.7, np.float32), np.arange(20.0)
    result = knn_numbers(ProbeData(h, y, h, y, h, y))
    np.testing.assert_allclose(result.prediction, 9.5)
    assert result.settings["k"] == 20  # the largest of equals
    classes = np.array([2] * 11 + [1] * 9)
    assert set(knn_classes(ProbeData(h, classes, h, classes, h, classes), k=3).prediction.tolist()) == {2}


def test_rows_at_distance_0_decide_alone() -> None:
    train, y = np.array([[1.0], [1.0], [2.0]]), np.array([4.0, 6.0, 100.0])
    data = ProbeData(train, y, train, y, np.array([[1.0], [1.5]]), y[:2])
    result = knn_numbers(data, k=3, weights="distance").prediction
    np.testing.assert_allclose(result, [5.0, 110 / 3])


def test_a_row_of_zeros_has_cosine_0_with_every_row() -> None:
    train, y = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]]), np.array([0, 1, 1])
    data = ProbeData(train, y, train, y, np.zeros((1, 2)), y[:1])
    assert knn_classes(data, k=1).prediction.tolist() == [1]  # all tied: two of the three say 1
    near = knn_numbers(ProbeData(train, y, train, y, np.zeros((1, 2)), y[:1]), k=1, metric="cosine")
    np.testing.assert_allclose(near.prediction, 2 / 3)


def test_equal_votes_go_to_the_first_class() -> None:
    train, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(["b", "a"])
    data = ProbeData(train, y, train, y, np.array([[1.0, 1.0]]), y[:1])
    assert knn_classes(data).prediction.tolist() == ["a"]


# cosines .995, .934, .908: at 0.07 the others weigh exp(-.061 / .07) + exp(-.087 / .07) = .71 of the nearest
@pytest.mark.parametrize(("temperature", "expected"), [(1e-300, 0), (1e-6, 0), (0.07, 0), (1.0, 1), (1e300, 1)])
def test_the_temperature_goes_from_the_nearest_alone_to_the_majority(temperature: float, expected: int) -> None:
    train, y = np.array([[1.0, 0.0], [1.0, 0.5], [1.0, 0.6]]), np.array([0, 1, 1])
    data = ProbeData(train, y, train, y, np.array([[1.0, 0.1]]), y[:1])
    assert knn_classes(data, temperature=temperature).prediction.tolist() == [expected]


def test_a_class_that_only_the_test_rows_hold_counts_as_wrong() -> None:
    h = np.eye(3)
    y = np.array([0, 1, 7])
    result = knn_classes(ProbeData(h[:2], y[:2], h[:2], y[:2], h, y))
    assert result.score == pytest.approx(2 / 3)
    assert result.notes == ("1 of 3 test rows count as wrong: no training row has their class ('7')",)


def test_float32_and_float64_agree() -> None:
    data = _random()
    low = ProbeData(*(x.astype(np.float32) for x in (data.train_h,)), data.train_y, data.val_h, data.val_y,
                    data.test_h.astype(np.float32), data.test_y)  # fmt: skip
    np.testing.assert_allclose(
        knn_numbers(low, k=5).prediction, knn_numbers(data, k=5).prediction, rtol=1e-5, atol=1e-6
    )


def test_validation_rows_are_needed_only_to_choose() -> None:
    data = _random()
    without = ProbeData(data.train_h, data.train_y, data.val_h[:0], data.val_y[:0], data.test_h, data.test_y)
    assert knn_numbers(without, k=3) == knn_numbers(data, k=3)
    with pytest.raises(ShapeError) as caught:
        knn_numbers(without)
    assert str(caught.value) == ("The kNN probe chooses k on the validation rows, and there are none. Give some, or k.")


@pytest.mark.usefixtures("unhooked")
def test_wrong_settings_are_named() -> None:
    data = _random()
    with pytest.raises(ConfigError) as caught:
        knn_numbers(data, k=0)
    assert str(caught.value) == "The kNN probe expects k >= 1 neighbours, but got 0."
    with pytest.raises(ConfigError) as caught:
        knn_numbers(data, metric="cosin")  # type: ignore[arg-type]
    assert str(caught.value) == "`metric` has no 'cosin'; there are euclidean, cosine. Did you mean 'cosine'?"
    with pytest.raises(ConfigError) as caught:
        knn_numbers(data, weights="uniform")  # type: ignore[arg-type]
    assert str(caught.value) == "`weights` has no 'uniform'; there are mean, distance."
    with pytest.raises(ConfigError) as caught:
        knn_classes(_classes(data), temperature=0.0)
    assert str(caught.value) == "The kNN probe expects a finite temperature above 0, but got 0.0."
