"""Accuracies against scikit-learn, intervals against a slow bootstrap, confusion, recall and groups by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from isotone.errors import ShapeError
from isotone.evaluate.class_metrics import accuracy_by_group, by_class, class_metrics, confusion
from isotone.evaluate.metrics import expanded
from isotone.randomness import numpy_generator


def _rows(n: int = 60, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = draw.choice(c, n, p=[0.6, 0.2, 0.15, 0.05])
    return y, np.where(draw.random(n) < 0.7, y, draw.integers(0, c, n))


def test_values_are_scikit_learns() -> None:
    y, p = _rows()
    found = class_metrics(y, p)
    assert found["accuracy"].value == pytest.approx((y == p).mean())
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(y, p))
    assert np.array_equal(confusion(y, p, 4), confusion_matrix(y, p, labels=range(4)))


@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_are_those_of_resampled_rows(grouped: bool) -> None:
    y, p = _rows()
    group = np.arange(60) // 6 if grouped else np.arange(60)
    found = class_metrics(y, p, group=group if grouped else None, samples=200, seed=3)
    clusters = int(group.max()) + 1
    picked = numpy_generator("bootstrap", 3).integers(clusters, size=(200, clusters))
    scores = []
    for drawn in picked:
        rows = np.concatenate([np.flatnonzero(group == g) for g in drawn])
        hits = [(p[rows] == y[rows])[y[rows] == c].mean() for c in np.unique(y[rows])]
        scores.append(((y[rows] == p[rows]).mean(), np.mean(hits)))
    for column, name in enumerate(("accuracy", "balanced_accuracy")):
        low, high = np.percentile(np.array(scores)[:, column], expanded(clusters))
        assert found[name].low == pytest.approx(low)
        assert found[name].high == pytest.approx(high)


def test_whole_groups_give_wider_intervals() -> None:
    y = np.zeros(200, dtype=np.int64)
    group = np.arange(200) // 20
    p = (group % 2).astype(np.int64)  # whole groups right or wrong
    rows, groups = class_metrics(y, p)["accuracy"], class_metrics(y, p, group=group)["accuracy"]
    assert groups.high - groups.low > 2 * (rows.high - rows.low)


def test_one_row_has_no_interval() -> None:
    found = class_metrics(np.array([2]), np.array([2]))["accuracy"]
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_recall_by_class() -> None:
    counts = confusion(np.array([0, 0, 2]), np.array([0, 1, 1]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert by_class(counts, np.array([0, 1, 1]), ("cat", "dog", "owl")) == [
        {"class": "cat", "n_train": 1, "n": 2, "recall": 0.5},
        {"class": "dog", "n_train": 2, "n": 0, "recall": None},
        {"class": "owl", "n_train": 0, "n": 1, "recall": 0.0},
    ]


def test_groups_worst_first_and_small_ones_left_out() -> None:
    group = np.array(["b"] * 4 + ["a"] * 4 + ["c"] * 2)
    y, p = np.zeros(10, dtype=np.int64), np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 1])
    assert accuracy_by_group(y, p, group) == [
        {"group": "b", "n": 4, "accuracy": 0.25},
        {"group": "a", "n": 4, "accuracy": 0.5},
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (np.zeros(3, int), np.zeros(2, int)),
            "Scores of classes expect true and predicted codes of one shape (n,) with n >= 1, but got (3,) and (2,). "
            "Give one class a row.",
        ),
        (
            (np.array([0, -1]), np.array([0, 0])),
            "Scores of classes expect codes >= 0, but the smallest is -1. Leave out the rows without a label.",
        ),
    ],
)
@pytest.mark.usefixtures("unhooked")
def test_what_is_refused(given: tuple[np.ndarray, np.ndarray], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        class_metrics(*given)
    assert str(caught.value) == message


@pytest.mark.usefixtures("unhooked")
def test_a_group_for_each_row() -> None:
    with pytest.raises(ShapeError) as caught:
        accuracy_by_group(np.zeros(3, int), np.zeros(3, int), np.zeros(2))
    assert str(caught.value) == (
        "Accuracy by group expects one group for each of the 3 rows, but got shape (2,). Give (n,)."
    )
