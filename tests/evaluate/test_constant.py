"""Constant predictors."""

import re

import numpy as np
import pytest

from isotone.errors import ShapeError
from isotone.evaluate.constant import constant_predictors, most_frequent_class


def test_by_hand() -> None:
    constants = constant_predictors(np.array([[1, 0], [2, 0], [6, 4], [7, 4]], dtype=np.float32))
    assert list(constants) == ["median", "mean"]
    assert constants["median"].tolist() == [4.0, 2.0]
    assert constants["mean"].tolist() == [4.0, 2.0]
    assert constants["median"].dtype == np.float64


def test_each_is_the_best_constant_of_its_loss() -> None:
    y = np.random.default_rng(0).exponential(size=(101, 1))
    constants = constant_predictors(y)
    grid = np.linspace(0, 5, 501)
    assert np.abs(y - constants["median"]).mean() <= np.abs(y - grid).mean(axis=0).min()
    assert ((y - constants["mean"]) ** 2).mean() <= ((y - grid) ** 2).mean(axis=0).min()


@pytest.mark.parametrize("shape", [(3,), (0, 1)])
@pytest.mark.usefixtures("unhooked")
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    expected = (
        f"Constant predictors expect training targets (n, k) with n >= 1, but got {shape}. "
        "For one target dimension, use y[:, None]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
        constant_predictors(np.zeros(shape))


def test_the_most_frequent_class() -> None:
    assert most_frequent_class(np.array([3, 1, 3, 1, 0])) == 1  # of equals the first
    assert most_frequent_class(np.array([7])) == 7


@pytest.mark.parametrize("given", [np.zeros((2, 1), int), np.zeros(0, int), np.array([0, -1])])
@pytest.mark.usefixtures("unhooked")
def test_codes_of_classes_are_asked_for(given: np.ndarray) -> None:
    with pytest.raises(ShapeError) as caught:
        most_frequent_class(given)
    assert str(caught.value) == (
        "The most frequent class expects class codes (n,) >= 0 of n >= 1 training rows, but got shape "
        f"{given.shape}. Leave out the rows without a label."
    )
