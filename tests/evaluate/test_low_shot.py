"""Few rows of each class: how they are drawn, what is fitted on them, mean and spread over the draws."""

from dataclasses import replace

import numpy as np
import pytest
from evaluate.subjects import digits, subject
from sklearn.linear_model import LogisticRegression

from isotone.errors import ShapeError
from isotone.evaluate.low_shot import draw_rows, low_shot
from isotone.evaluate.svm import svm


def test_a_draw_has_as_many_rows_of_each_class_and_holds_the_smaller_draws() -> None:
    (one,) = subject().answers
    for count in (1, 2, 4):
        rows = draw_rows(one, count, seed=0, draw=0)
        assert np.unique(one.y[rows], return_counts=True)[1].tolist() == [count] * 6
        assert np.isin(rows, one.train).all()
        assert np.isin(rows, draw_rows(one, count + 1, seed=0, draw=0)).all()
    assert draw_rows(one, 2, seed=0, draw=0).tolist() != draw_rows(one, 2, seed=0, draw=1).tolist()
    assert draw_rows(one, 2, seed=0, draw=0).tolist() != draw_rows(one, 2, seed=1, draw=0).tolist()


def test_a_line_is_the_mean_over_the_draws_of_fits_on_these_rows() -> None:
    made = subject()
    (one,) = made.answers
    lines = low_shot(made, shots=(1, 2), draws=3)
    assert [(line["settings"]["rows_per_class"], line["score_name"]) for line in lines] == [
        *((1, "accuracy"), (1, "mean average precision")),
        *((2, "accuracy"), (2, "mean average precision")),
    ]
    h = made.frozen.h.astype(np.float64)
    std = h[one.train].std(axis=0)
    x = (h - h[one.train].mean(axis=0)) / np.where(std > 1e-6 * std.max(), std, 1)
    accuracies, precisions = [], []
    for draw in range(3):
        rows = draw_rows(one, 2, seed=0, draw=draw)
        told = LogisticRegression(C=1.0, max_iter=1000).fit(x[rows], one.y[rows]).predict(x[one.test])
        accuracies.append(float((told == one.y[one.test]).mean()))
        few = replace(one, train=rows, val=one.val[:0])
        precisions.append(svm(few.data(made.frozen.h[few.rows]), costs=(1.0,)).score)
    assert lines[2]["scores"] == pytest.approx(accuracies)
    assert lines[2]["score"] == pytest.approx(np.mean(accuracies))
    assert lines[2]["std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert lines[3]["scores"] == pytest.approx(precisions)
    assert lines[2]["settings"] == {"rows_per_class": 2, "model": "logistic", "C": 1.0, "draws": 3}
    assert lines[0]["probe"] == lines[3]["probe"] == "low-shot"
    assert lines[3]["n"] == len(one.test)


def test_more_rows_do_better_and_what_the_smallest_class_cannot_give_is_left_out() -> None:
    made = subject()
    (one,) = made.answers
    smallest = int(np.unique(one.y[one.train], return_counts=True)[1].min())
    lines = [line for line in low_shot(made, draws=2) if line["score_name"] == "accuracy"]
    assert [line["settings"]["rows_per_class"] for line in lines] == [k for k in (1, 2, 4, 8, 16) if k <= smallest]
    assert lines[-1]["score"] > lines[0]["score"]
    assert [line["notes"] for line in lines] == [[]] * (len(lines) - 1) + [
        [f"the smallest class has {smallest} training rows"]
    ]


def test_one_draw_has_no_spread() -> None:
    assert low_shot(subject(), shots=(1,), draws=1)[0]["std"] is None


def test_a_single_class_is_refused() -> None:
    data = digits()
    same = replace(data, category=np.zeros(120, dtype=np.int64))
    with pytest.raises(ShapeError) as caught:
        low_shot(subject(same), shots=(1,), draws=1)
    assert str(caught.value) == (
        "The low-shot probe needs at least 2 classes among the training rows, but all 1 are of class 'five'. "
        "Look at the split, or probe another column."
    )
