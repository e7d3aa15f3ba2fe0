"""Error by target bin and by group."""

import re

import numpy as np
import pytest

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.breakdown import by_bin, by_group


def test_bins_by_hand() -> None:
    train = np.array([0.0, 1.0, 1.9, 2.0, 8.0])
    rows = by_bin(np.array([0.0, 2.0, 3.0, 7.9]), np.array([1.0, 2.0, 5.0, 8.0]), train, bins=4)
    assert [row["low"] for row in rows] == [0.0, 2.0, 4.0, 6.0]
    assert [row["high"] for row in rows] == [2.0, 4.0, 6.0, 8.0]
    assert [row["n_train"] for row in rows] == [3, 1, 0, 1]
    assert [row["n"] for row in rows] == [1, 2, 0, 1]
    assert [row["mae"] for row in rows] == [1.0, 1.0, None, pytest.approx(0.1)]


def test_every_row_is_in_one_bin_and_the_weighted_mean_is_the_mae() -> None:
    draw = np.random.default_rng(0)
    y, train = np.round(draw.normal(size=500), 1), np.round(draw.normal(size=300) * 2, 1)
    p = y + draw.normal(size=500)
    rows = by_bin(y, p, train)
    assert len(rows) == 8
    assert sum(int(row["n"] or 0) for row in rows) == 500
    assert sum(int(row["n_train"] or 0) for row in rows) == 300
    total = sum(float(row["mae"] or 0) * int(row["n"] or 0) for row in rows)
    assert total / 500 == pytest.approx(np.abs(y - p).mean(), rel=1e-12)
    for row in rows[:-1]:
        assert row["n"] == ((y >= row["low"]) & (y < row["high"])).sum()


def test_constant_range_has_one_bin() -> None:
    assert by_bin(np.full(3, 5.0), np.full(3, 4.0), np.full(2, 5.0)) == [
        {"low": 5.0, "high": 5.0, "n_train": 2, "n": 3, "mae": 1.0}
    ]


def test_no_training_rows() -> None:
    rows = by_bin(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros(0), bins=1)
    assert rows == [{"low": 0.0, "high": 1.0, "n_train": 0, "n": 2, "mae": 0.0}]


def test_groups_worst_first_and_small_ones_left_out() -> None:
    error = np.array([1.0, 1, 1, 2, 2, 2, 9, 9, 2, 2, 2])
    group = np.array([10, 10, 10, 7, 7, 7, 1, 1, 3, 3, 3])
    assert by_group(np.zeros(11), error, group) == [
        {"group": "3", "n": 3, "mae": 2.0},
        {"group": "7", "n": 3, "mae": 2.0},
        {"group": "10", "n": 3, "mae": 1.0},
    ]
    assert by_group(np.zeros(11), error, group, minimum=2)[0] == {"group": "1", "n": 2, "mae": 9.0}
    assert by_group(np.zeros(2), np.ones(2), np.array(["a", "b"])) == []


@pytest.mark.usefixtures("unhooked")
def test_wrong_inputs() -> None:
    text = (
        "An error breakdown expects target and prediction of one shape (n,) with n >= 1, "
        "but got (4,) and (4, 1). Score one target dimension at a time: y[:, 0]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        by_bin(np.zeros(4), np.zeros((4, 1)), np.zeros(2))
    text = (
        "An error breakdown expects finite numbers, but 1 rows hold NaN or infinity, the first is row 2. "
        "Leave these rows out."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        by_group(np.zeros(3), np.array([0, 0, np.nan]), np.zeros(3))
    text = "Error by group expects one group for each of the 3 rows, but got shape (2,). Give (n,)."
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        by_group(np.zeros(3), np.zeros(3), np.zeros(2))
    text = (
        "Error by bin expects finite training targets (t,), but got shape (3,) with 1 NaN or infinite values. "
        "Score one target dimension at a time: y[:, 0]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        by_bin(np.zeros(3), np.zeros(3), np.array([0, np.inf, 1]))
    text = "Error by bin expects bins >= 1, but got 0. 8 is a good value."
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        by_bin(np.zeros(3), np.zeros(3), np.zeros(3), bins=0)
