"""Average precision by hand and against slow loops; SVMs against scikit-learn; several labels; what is degenerate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.probe import ProbeData
from isotone.evaluate.svm import COSTS, average_precision, svm


def _slow(positive: list[bool], score: list[float]) -> float:
    """The definition: thresholds from the highest score down, the best precision at this recall or beyond."""
    points = []
    for threshold in sorted(set(score), reverse=True):
        passed = [p for p, s in zip(positive, score, strict=True) if s >= threshold]
        points.append((sum(passed) / sum(positive), sum(passed) / len(passed)))
    area, before = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[i:])
        before = recall
    return area


def _digits(n: int = 150) -> ProbeData:
    x, y = load_digits(n_class=3, return_X_y=True)
    a, b = n // 2, 2 * n // 3
    return ProbeData(x[:a], y[:a], x[a:b], y[a:b], x[b:n], y[b:n])


def test_average_precision_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert average_precision(positive, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(positive, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.5)  # 1/2 at both recalls
    assert average_precision(positive, np.array([1.0, 0.0, 1.0, 0.0])) == 1.0
    assert average_precision(positive, np.zeros(4)) == 0.5
    assert math.isnan(average_precision(np.zeros(4, bool), np.zeros(4)))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_average_precision_is_the_slow_loops(rows: list[tuple[bool, int]], seed: int) -> None:
    positive, score = [p for p, _ in rows], [float(s) for _, s in rows]
    if not any(positive):
        return
    found = average_precision(np.array(positive), np.array(score))
    assert found == pytest.approx(_slow(positive, score), abs=1e-12)
    assert found >= average_precision_score(positive, score) - 1e-12  # the envelope lies above the steps
    order = np.random.default_rng(seed).permutation(len(rows))
    assert average_precision(np.array(positive)[order], np.array(score)[order]) == pytest.approx(found, abs=1e-12)


def test_the_decision_is_scikit_learns_with_the_protocols_settings() -> None:
    data = _digits()
    h, y = np.concatenate([data.train_h, data.val_h]), np.concatenate([data.train_y, data.val_y])
    x, new = (a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-5) for a in (h, data.test_h))
    result = svm(data, costs=(0.1,), seed=3)
    weight = {1: 2, -1: 1}
    for c in range(3):
        model = LinearSVC(C=0.1, dual="auto", class_weight=weight, max_iter=2000, random_state=3)
        oracle = model.fit(x, np.where(y == c, 1, -1)).decision_function(new)
        np.testing.assert_allclose(result.prediction[:, c], oracle, rtol=1e-9)
        assert result.per_class[str(c)] == pytest.approx(average_precision(data.test_y == c, oracle))
    assert result.score == pytest.approx(np.mean(list(result.per_class.values())))


def test_the_cost_of_a_class_is_picked_by_cross_validation() -> None:
    data = _digits(90)
    draw = np.random.default_rng(0)
    noisy = [draw.permutation(y) if i else y for i, y in enumerate((data.train_y, data.val_y, data.test_y))]
    data = ProbeData(data.train_h, (noisy[0] == 1).astype(int), data.val_h, (noisy[1] == 1).astype(int),
                     data.test_h, (noisy[2] == 1).astype(int))  # fmt: skip
    h, y = np.concatenate([data.train_h, data.val_h]), np.concatenate([data.train_y, data.val_y])
    x, y = h / (np.linalg.norm(h, axis=1, keepdims=True) + 1e-5), np.where(y == 1, 1, -1)
    costs = (0.01, 1.0, 10.0)
    rate = []
    for cost in costs:
        model = LinearSVC(C=cost, dual="auto", class_weight={1: 2, -1: 1}, max_iter=2000, random_state=0)
        rate.append(cross_val_score(model, x, y, cv=StratifiedKFold(3), scoring="average_precision").mean())
    assert len(set(rate)) == 3
    multi = ProbeData(data.train_h, data.train_y[:, None], data.val_h, data.val_y[:, None],
                      data.test_h, data.test_y[:, None])  # fmt: skip
    found = svm(multi, costs=costs)
    assert found.settings["lowest_cost"] == found.settings["highest_cost"] == costs[int(np.argmax(rate))]


def test_real_digits_are_told_apart() -> None:
    result = svm(_digits(), costs=COSTS[:3])
    assert result.score > 0.99
    assert (result.score_name, result.higher_is_better) == ("mean average precision", True)
    assert result.settings["folds"] == 3
    assert result.notes == ()


def test_the_same_seed_gives_the_same_result() -> None:
    one, two = (svm(_digits(), costs=(1.0, 10.0), seed=1) for _ in range(2))
    assert one == two
    assert np.array_equal(one.prediction, two.prediction)


def test_several_labels_a_row() -> None:
    x, digit = load_digits(n_class=4, return_X_y=True)
    y = np.stack([digit % 2 == 0, digit > 1, digit == 0], axis=1).astype(int)
    result = svm(ProbeData(x[:100], y[:100], x[100:120], y[100:120], x[120:200], y[120:200]), costs=(0.1, 1.0))
    assert list(result.per_class) == ["0", "1", "2"]
    assert result.score > 0.95
    assert result.prediction.shape == (80, 3)


def test_one_label_a_row_as_a_matrix_is_the_same() -> None:
    data = _digits()
    one_hot = [np.eye(3, dtype=int)[y] for y in (data.train_y, data.val_y, data.test_y)]
    matrix = ProbeData(data.train_h, one_hot[0], data.val_h, one_hot[1], data.test_h, one_hot[2])
    assert svm(matrix, costs=(1.0,)) == svm(data, costs=(1.0,))


def test_a_class_without_training_rows_scores_its_share() -> None:
    data = _digits()
    y = data.test_y.copy()
    y[:5] = 9
    result = svm(ProbeData(data.train_h, data.train_y, data.val_h, data.val_y, data.test_h, y), costs=(1.0,))
    assert result.per_class["9"] == pytest.approx(5 / len(y))
    assert result.notes == ("class 9: no training rows have it: not fitted",)


def test_a_class_without_test_rows_is_left_out_of_the_mean() -> None:
    data = _digits()
    kept = data.test_y != 2
    result = svm(
        ProbeData(data.train_h, data.train_y, data.val_h, data.val_y, data.test_h[kept], data.test_y[kept]),
        costs=(1.0,),
    )
    assert math.isnan(result.per_class["2"])
    assert result.score == pytest.approx((result.per_class["0"] + result.per_class["1"]) / 2)


def test_a_class_of_one_row_gets_a_cost_without_a_choice() -> None:
    h = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    y = np.array(["a", "a", "b"])
    result = svm(ProbeData(h, y, h[:0], y[:0], h, y))
    assert result.score == 1.0
    assert result.notes == (
        "class a: one row on a side, so the cost is 1 without a choice",
        "class b: one row on a side, so the cost is 1 without a choice",
    )


def test_fewer_rows_than_folds_use_fewer_folds() -> None:
    h = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    y = np.array([0, 0, 1, 1])
    result = svm(ProbeData(h, y, h[:0], y[:0], h, y))
    assert result.score == 1.0
    assert result.notes == ()


def test_a_label_that_all_training_rows_have_is_not_fitted() -> None:
    data = _digits()
    y = [np.stack([label == 0, label >= 0], axis=1) for label in (data.train_y, data.val_y, data.test_y)]
    result = svm(ProbeData(data.train_h, y[0], data.val_h, y[1], data.test_h, y[2]), costs=(1.0,))
    assert result.per_class["1"] == 1.0
    assert result.notes == ("class 1: all training rows have it: not fitted",)


def test_constant_features_score_the_shares_of_the_classes() -> None:
    h, y = np.ones((9, 2)), np.arange(9) % 3
    result = svm(ProbeData(h, y, h, y, h, y), costs=(1.0,))
    assert result.score == pytest.approx(1 / 3)


def test_fits_that_do_not_converge_are_noted_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotone.evaluate.svm.MAX_ITER", 2)
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(120, 30)), draw.integers(0, 2, 120)
    result = svm(ProbeData(h, y, h[:0], y[:0], h, y), costs=(1e5,))
    assert result.notes == (
        "class 0: not converged after 2 steps at cost 100000",
        "class 1: not converged after 2 steps at cost 100000",
    )


def test_the_primal_has_the_optimum_of_the_protocols_dual() -> None:
    """Where the dual converges: a tolerance of 1e-10 makes it arrive."""
    data = _digits()
    h, y = np.concatenate([data.train_h, data.val_h]), np.concatenate([data.train_y, data.val_y])
    x, new = (a / (np.linalg.norm(a, axis=1, keepdims=True) + 1e-5) for a in (h, data.test_h))
    model = LinearSVC(C=0.1, dual=True, class_weight={1: 2, -1: 1}, tol=1e-10, max_iter=10**6, random_state=0)
    oracle = model.fit(x, np.where(y == 0, 1, -1)).decision_function(new)
    np.testing.assert_allclose(svm(data, costs=(0.1,)).prediction[:, 0], oracle, atol=2e-3)


def test_wrong_labels_are_named() -> None:
    h = np.eye(3)
    y = np.array([[0, 1], [1, 0], [2, 0]])
    with pytest.raises(ShapeError) as caught:
        svm(ProbeData(h, y, h, y, h, y))
    assert str(caught.value) == (
        "The SVM probe expects several labels as a matrix (n, c) of 0 and 1, but got int64 with other values. "
        "For one class a row pass integers or texts (n,)."
    )
    y = np.ones((3, 2), int)
    with pytest.raises(ShapeError) as caught:
        svm(ProbeData(h, y, h, y, h, y))
    assert str(caught.value) == (
        "The SVM probe needs a label that some training rows have and others have not, and one on a test row, but "
        "0 of 2 labels vary and 6 are set in test."
    )
    y = np.array([1, 1, 1])
    with pytest.raises(ShapeError, match="The SVM probe needs at least 2 classes among the training rows"):
        svm(ProbeData(h, y, h, y, h, y))


def test_wrong_settings_are_named() -> None:
    data = _digits()
    with pytest.raises(ConfigError) as caught:
        svm(data, costs=(1.0, -1.0))
    assert str(caught.value) == "The SVM probe expects finite costs above 0, but got (1.0, -1.0)."
    with pytest.raises(ConfigError) as caught:
        svm(data, folds=1)
    assert str(caught.value) == "The SVM probe expects at least 2 folds, but got 1."


def test_the_costs_are_the_protocols() -> None:
    assert COSTS == (0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000)  # reference/methods.md, section 12


def test_labels_have_their_names_and_a_row_may_not_count_in_the_test() -> None:
    h = np.array([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]])
    y = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    wrong = np.array([[0, 0], [1, 0], [0, 1], [0, 1]], dtype=float)
    found = svm(ProbeData(h, y, h, y, h, wrong), costs=(1.0,), names=("cat", "dog"))
    assert found.per_class == {"cat": 0.5, "dog": 1.0}  # row 0 comes first: 1 of 2 is right at recall 1
    wrong[0, 0] = np.nan
    assert svm(ProbeData(h, y, h, y, h, wrong), costs=(1.0,), names=("cat", "dog")).per_class["cat"] == 1.0
    with pytest.raises(ShapeError) as caught:
        svm(ProbeData(h, y, h, y, h, y), names=("cat",))
    assert str(caught.value) == "The SVM probe got 1 names for 2 labels. Name each once."
