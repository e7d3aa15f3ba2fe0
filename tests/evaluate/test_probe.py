"""What a probe is given and returns: refused input, standardised features, scores worked by hand."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from isotone.errors import ShapeError
from isotone.evaluate.probe import (
    ProbeData,
    class_result,
    classes,
    number_result,
    numbers,
    standardised,
    unseen,
    without_fit_warnings,
)

H, Y = np.eye(3), np.array([1.0, 2.0, 4.0])


def _same(h: np.ndarray, y: np.ndarray) -> ProbeData:
    return ProbeData(h, y, h, y, h, y)


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(
    ("sides", "got"),
    [
        ((H, Y, H, Y, H[:, :2], Y), "(3, 3) with (3,), (3, 3) with (3,), (3, 2) with (3,)"),
        ((H, Y[:2], H, Y, H, Y), "(3, 3) with (2,), (3, 3) with (3,), (3, 3) with (3,)"),
        ((H, Y, H, Y[:, None], H, Y), "(3, 3) with (3,), (3, 3) with (3, 1), (3, 3) with (3,)"),
        ((H[:0], Y[:0], H, Y, H, Y), "(0, 3) with (0,), (3, 3) with (3,), (3, 3) with (3,)"),
        ((H, Y, H, Y, H[:0], Y[:0]), "(3, 3) with (3,), (3, 3) with (3,), (0, 3) with (0,)"),
        ((H[:, :0], Y, H[:, :0], Y, H[:, :0], Y), "(3, 0) with (3,), (3, 0) with (3,), (3, 0) with (3,)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(sides: tuple[np.ndarray, ...], got: str) -> None:
    with pytest.raises(ShapeError) as caught:
        ProbeData(*sides)
    assert str(caught.value) == (
        "A probe expects features (n, d) of one width d for train, val and test, with answers (n,) or (n, c) "
        f"for each row, and rows in train and test, but got {got}."
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_named(value: float) -> None:
    h = H.copy()
    h[1, 2] = value
    with pytest.raises(ShapeError) as caught:
        ProbeData(H, Y, h, Y, H, Y)
    assert str(caught.value) == (
        "A probe expects finite features, but 1 of 3 val rows hold NaN or infinity, the first is row 1. "
        "Look for a diverged encoder, or leave these rows out."
    )


def test_numbers_refuse_what_is_none() -> None:
    with pytest.raises(ShapeError) as caught:
        numbers(_same(H, np.array(["a", "b", "c"])), "ridge")
    assert str(caught.value) == (
        "The ridge probe expects one real number a row, but the train answers are (3,) <U1. "
        "Probe one target at a time: y[:, 0]; for classes use a probe of classes."
    )
    with pytest.raises(ShapeError, match=r"the train answers are \(3, 1\) float64"):
        numbers(_same(H, Y[:, None]), "kNN")
    with pytest.raises(ShapeError) as caught:
        numbers(_same(H, np.array([1.0, np.nan, 2.0])), "ridge")
    assert str(caught.value) == (
        "A probe expects finite answers, but 1 of 3 train rows hold NaN or infinity, the first is row 1. "
        "Leave these rows out."
    )


def test_classes_refuse_floats_and_a_single_class() -> None:
    with pytest.raises(ShapeError) as caught:
        classes(_same(H, Y), "logistic")
    assert str(caught.value) == (
        "The logistic probe expects one class a row, integers or texts, but the train answers are (3,) float64. "
        "For real targets use a probe of numbers; for whole floats pass y.astype(int)."
    )
    with pytest.raises(ShapeError) as caught:
        classes(ProbeData(H, np.array([7, 7, 7]), H, np.array([1, 2, 3]), H, np.array([1, 2, 3])), "kNN")
    assert str(caught.value) == (
        "The kNN probe needs at least 2 classes among the training rows, but all 3 are of class '7'. "
        "Look at the split, or probe another column."
    )


@pytest.mark.parametrize("y", [np.array(["b", "a", "b"]), np.array(["b", "a", "b"], object), np.array([9, -1, 9])])
def test_classes_are_codes_in_sorted_order(y: np.ndarray) -> None:
    found = classes(_same(H, y), "kNN")
    assert found.train.tolist() == found.val.tolist() == found.test.tolist() == [1, 0, 1]
    assert found.names.tolist() == sorted(set(y.tolist()))


def test_a_class_of_one_side_alone_has_a_code() -> None:
    data = ProbeData(H, np.array([0, 1, 1]), H[:1], np.array([5]), H[:2], np.array([9, 9]))
    found = classes(data, "kNN")
    assert (found.names.tolist(), found.val.tolist(), found.test.tolist()) == ([0, 1, 5, 9], [2], [3, 3])
    assert unseen(found, found.train) == ("2 of 2 test rows count as wrong: no training row has their class ('9')",)
    assert unseen(found, np.arange(4)) == ()


def test_many_unseen_classes_are_shortened() -> None:
    h = np.eye(9)
    found = classes(ProbeData(h, np.arange(9) % 2, h, np.arange(9), h, np.arange(9)), "kNN")
    assert unseen(found, found.train) == (
        "7 of 9 test rows count as wrong: no training row has their class ('2', '3', '4', '5', '6', ...)",
    )


def test_features_are_standardised_by_the_training_rows_alone() -> None:
    draw = np.random.default_rng(0)
    train, test = draw.normal(3, 2, (500, 4)), draw.normal(-1, 5, (20, 4))
    y = np.zeros(500)
    x, val, new = standardised(ProbeData(train, y, test, y[:20], test, y[:20]))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=2e-3)  # sqrt(1 / (1 + 0.05²)) = 0.9988 for equal spreads
    np.testing.assert_allclose(new, (test - train.mean(axis=0)) / train.std(axis=0), rtol=3e-3)
    assert np.array_equal(val, new)


def test_constant_features_become_0_even_where_a_test_row_differs() -> None:
    h = np.full((4, 2), 0.1, np.float32)
    x, _, new = standardised(ProbeData(h, np.zeros(4), h, np.zeros(4), h + 5, np.zeros(4)))
    assert not x.any()
    assert not new.any()


def test_a_unit_that_slept_in_training_is_not_blown_up() -> None:
    train = np.random.default_rng(0).normal(size=(100, 2))
    train[:, 1] *= 1e-4
    test = np.array([[0.0, 1.0]])  # 10,000 standard deviations of the training rows
    y = np.zeros(100)
    woken = standardised(ProbeData(train, y, train, y, test, y[:1]))[2][0, 1]
    assert 20 < woken < 30  # 1 / (0.05 * the typical spread of sqrt(1 / 2))


def test_scores_of_numbers_by_hand() -> None:
    result = number_result("x", np.array([0.0, 2.0]), np.array([1.0, 2.0]), {"k": 1})
    assert result.score == 0.5
    assert result.others == {"r2": 0.5}  # 1 - 1 / 2
    assert (result.score_name, result.higher_is_better) == ("mae", False)
    assert math.isnan(number_result("x", np.ones(2), np.zeros(2), {}).others["r2"])


def test_scores_of_classes_by_hand() -> None:
    y = np.array(["a", "a", "a", "b"])
    found = classes(_same(np.eye(4), y), "x")
    result = class_result("x", found, np.array([0, 0, 1, 1]), {})
    assert result.score == 0.75
    assert result.others == {"balanced accuracy": pytest.approx((2 / 3 + 1) / 2)}
    assert result.per_class == {"a": pytest.approx(2 / 3), "b": 1.0}
    assert result.prediction.tolist() == ["a", "a", "b", "b"]


def test_a_class_without_test_rows_has_no_recall() -> None:
    data = ProbeData(H, np.array([0, 1, 2]), H, np.array([0, 1, 2]), H[:2], np.array([0, 1]))
    result = class_result("x", classes(data, "x"), np.array([0, 2]), {})
    assert math.isnan(result.per_class["2"])
    assert result.others == {"balanced accuracy": 0.5}


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        number_result("x", Y, Y, {}).score = 0.0  # type: ignore[misc]


def test_many_classes_in_few_rows_are_no_regression() -> None:
    """scikit-learn warns of it; a warning is an error in these tests."""
    with without_fit_warnings():
        LogisticRegression(max_iter=1).fit(np.eye(22), np.minimum(np.arange(22), 15))
