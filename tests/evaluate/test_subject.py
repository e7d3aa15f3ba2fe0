"""Answers of a data set, features computed once, and a result as a line with intervals."""

from dataclasses import replace

import numpy as np
import pytest
from evaluate.subjects import CLASSES, digits, subject

from isotone.evaluate.class_metrics import class_metrics
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.metrics import regression_metrics
from isotone.evaluate.subject import Answers, FrozenRows, answers, plain, result_row
from isotone.evaluate.svm import svm


def test_classes_go_by_their_names_and_rows_without_one_are_on_no_side() -> None:
    data = digits()
    category = data.category.copy()
    category[data.rows("test")[:3]] = -1
    (one,) = answers(replace(data, category=category))
    assert (one.name, one.told) == ("digit", "classes")
    assert one.y[data.rows("train")].tolist() == [CLASSES[i] for i in category[data.rows("train")]]
    assert one.test.tolist() == data.rows("test")[3:].tolist()
    assert one.train.tolist() == data.rows("train").tolist()


def test_each_target_is_a_column_and_no_label_is_none() -> None:
    data = digits(answers="numbers")
    target = np.concatenate([data.target, data.target], axis=1)
    target[data.rows("train")[0], 1] = np.nan
    both = answers(replace(data, target=target, target_names=("grey", "again")))
    assert [(one.name, one.told, len(one.train)) for one in both] == [
        ("grey", "numbers", len(data.rows("train"))),
        ("again", "numbers", len(data.rows("train")) - 1),
    ]
    assert answers(digits(answers="none")) == []


def test_data_are_the_features_of_the_rows_in_their_order() -> None:
    one = Answers("a", np.array([5, 6, 7, 8]), np.array([3, 1]), np.array([0]), np.array([2]))
    assert one.rows.tolist() == [3, 1, 0, 2]
    data = one.data(np.array([[3.0], [1.0], [0.0], [2.0]]))
    assert (data.train_h[:, 0].tolist(), data.train_y.tolist()) == ([3.0, 1.0], [8, 6])
    assert (data.val_y.tolist(), data.test_y.tolist(), data.test_h.tolist()) == ([5], [7], [[2.0]])


def test_fewer_rows_are_drawn_by_the_seed_and_the_test_stays() -> None:
    one = Answers("a", np.zeros(90), np.arange(60), np.arange(60, 80), np.arange(80, 90))
    few = one.fewer(10, 5, seed=1)
    assert (len(few.train), len(few.val), few.test.tolist()) == (10, 5, one.test.tolist())
    assert np.isin(few.train, one.train).all()
    assert np.all(np.diff(few.train) > 0)
    assert few.train.tolist() == one.fewer(10, 5, seed=1).train.tolist()
    assert few.train.tolist() != one.fewer(10, 5, seed=2).train.tolist()
    assert one.fewer(60, 20, seed=0).train.tolist() == one.train.tolist()


def test_features_are_computed_once_and_those_that_are_kept_are_taken() -> None:
    made = subject()
    frozen = made.frozen
    assert made.frozen is frozen
    np.testing.assert_array_equal(frozen.h[5:7], made.embed(np.arange(5, 7)))
    assert (frozen.classes, frozen.category_name) == (CLASSES, "digit")
    kept = FrozenRows(frozen.h, frozen.target, (), frozen.split)
    made.kept = kept
    assert made.answers == []


@pytest.mark.parametrize("told", ["classes", "numbers"])
def test_a_row_has_the_intervals_of_the_metrics(told: str) -> None:
    made = subject(digits(answers=told))
    (one,) = made.answers
    result = (knn_classes if told == "classes" else knn_numbers)(one.data(made.frozen.h[one.rows]))
    row = result_row(one, result, seed=3)
    truth = one.y[one.test]
    if told == "classes":
        codes = np.searchsorted(CLASSES, truth), np.searchsorted(CLASSES, result.prediction)
        expected, name = class_metrics(*codes, seed=3), "accuracy"
        assert row["by_class"].keys() == set(CLASSES)
    else:
        expected, name = regression_metrics(truth, result.prediction, seed=3), "mae"
        assert "by_class" not in row
    assert row["score"] == result.score == pytest.approx(row[name]["value"])
    for key, interval in expected.items():
        assert row[key] == {"value": interval.value, "low": interval.low, "high": interval.high}
    assert (row["probe"], row["target"], row["split"], row["n"]) == ("knn", one.name, "test", len(truth))
    assert (row["score_name"], row["settings"]) == (name, dict(result.settings))


def test_groups_are_drawn_whole() -> None:
    made = subject()
    (one,) = made.answers
    result = knn_classes(one.data(made.frozen.h[one.rows]))
    result = replace(result, prediction=np.where(np.arange(20) < 8, "one", result.prediction))  # not all right
    alone = result_row(one, result, seed=0)["accuracy"]
    together = result_row(replace(one, group=np.arange(120) // 40), result, seed=0)["accuracy"]
    assert alone["value"] == together["value"]
    assert alone["low"] != together["low"]


def test_a_mean_average_precision_has_no_interval() -> None:
    made = subject()
    (one,) = made.answers
    row = result_row(one, svm(one.data(made.frozen.h[one.rows]), costs=(1.0,)), seed=0)
    assert "accuracy" not in row
    assert row["score_name"] == "mean average precision"
    assert row["score"] == pytest.approx(np.mean([*row["by_class"].values()]))


def test_what_is_not_finite_is_null() -> None:
    assert [plain(x) for x in (1.5, float("nan"), float("inf"))] == [1.5, None, None]
