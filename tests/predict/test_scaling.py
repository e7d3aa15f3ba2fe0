"""Scaling of targets."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isotone.errors import CheckpointError, ShapeError
from isotone.predict.scaling import Scaling
from isotone.records import Bins

numbers = st.floats(min_value=-1e9, max_value=1e9)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=numbers))
def test_round_trip_in_numpy_torch_and_json(y: np.ndarray) -> None:
    before = y.copy()
    scaling = Scaling.of(y)
    z = scaling.standardise(y)
    size = np.abs(y).max() + 1
    np.testing.assert_allclose(scaling.restore(z), y, rtol=0, atol=1e-12 * size)
    tensor = scaling.standardise(torch.from_numpy(y))
    assert np.array_equal(tensor.numpy(), z)
    assert np.array_equal(scaling.restore(tensor).numpy(), scaling.restore(z))
    again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())))
    assert np.array_equal(again.mean, scaling.mean)
    assert np.array_equal(again.std, scaling.std)
    assert np.array_equal(y, before)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (9, 2), elements=st.floats(-1e6, 1e6)), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_standardised_training_targets_have_mean_0_and_std_1(y: np.ndarray, scale: float, shift: float) -> None:
    y[:, 0] = np.arange(9.0) + np.round(y[:, 0])  # at least one dimension that varies, mostly
    z = Scaling.of(y * scale + shift).standardise(y * scale + shift)
    varies = np.ptp(y * scale + shift, axis=0) > 1e-6 * np.abs(y * scale + shift).max(axis=0)
    np.testing.assert_allclose(z[:, varies].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z[:, varies].std(axis=0), 1, atol=1e-6)


def test_by_hand() -> None:
    scaling = Scaling.of(np.array([[1.0, 10.0], [3.0, 10.0]]))
    assert scaling.to_json() == {
        "mean": [2.0, 10.0],
        "std": [1.0, 1.0],
        "bins": {"low": (-1.0, 0.0), "high": (1.0, 0.0), "count": 50},
    }
    assert scaling.standardise(np.array([[5.0, 12.0]])).tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize("value", [0.1, 1e300, -7.0, 0.0])
def test_constant_dimension_is_exact(value: float) -> None:
    scaling = Scaling.of(np.full((49, 1), value))  # the rounded mean of 49 times 0.1 is not 0.1
    assert (scaling.mean.tolist(), scaling.std.tolist()) == ([value], [1.0])
    assert scaling.bins == Bins((0.0,), (0.0,), 50)
    assert scaling.standardise(np.full((2, 1), value)).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_extreme_scales(size: float) -> None:
    y = np.array([[0.0], [1.0], [2.0]]) * size
    np.testing.assert_allclose(Scaling.of(y).standardise(y)[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5), rtol=1e-12)


def test_time_stamps_keep_their_digits() -> None:
    y = 1.7e9 + np.array([[0.0], [60.0], [120.0]])
    z = Scaling.of(y).standardise(torch.from_numpy(y))
    assert z.dtype == torch.float64
    np.testing.assert_allclose(z.numpy()[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5), rtol=1e-12)


def test_restore_of_a_float32_tensor_keeps_the_gradient() -> None:
    z = torch.zeros(2, 1, requires_grad=True)
    Scaling.of(np.array([[0.0], [10.0]])).restore(z).sum().backward()
    assert z.grad is not None
    assert z.grad.flatten().tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("y", "got"),
    [
        (np.zeros(3), "(3,) with 0"),
        (np.zeros((0, 1)), "(0, 1) with 0"),
        (np.array([[1.0], [np.nan], [np.inf]]), "(3, 1) with 2"),
    ],
)
@pytest.mark.usefixtures("unhooked")
def test_of_refuses(y: np.ndarray, got: str) -> None:
    expected = (
        f"Scaling expects finite training targets (n, k) with n >= 1, but got shape {got} NaN or infinite values. "
        "Run `isotone check` on the table."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
        Scaling.of(y)


@pytest.mark.parametrize("y", [np.zeros(2), np.zeros((2, 1)), torch.zeros(2, 3)])
def test_values_of_another_shape_are_refused(y: np.ndarray | torch.Tensor) -> None:
    scaling = Scaling(mean=np.zeros(2), std=np.ones(2))
    expected = (
        f"This scaling expects values of shape (n, 2), but got {tuple(y.shape)}. "
        "For one target dimension, use y[:, None]."
    )
    for change in (scaling.standardise, scaling.restore):
        with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
            change(y)


def test_constructor_refuses_a_zero_std() -> None:
    expected = (
        "Scaling expects finite mean and std of one shape (k,) with std > 0, but got mean [1.0] and std [0.0]. "
        "Make it with Scaling.of(train_target)."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
        Scaling(mean=np.ones(1), std=np.zeros(1))


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"mean": [0.0]},
        {"mean": [0.0], "std": [1.0, 1.0]},
        {"mean": ["a"], "std": [1.0]},
        {"mean": [0.0], "std": [-1.0]},
        {"mean": [0.0], "std": [1.0], "bins": {"low": [0.0], "high": [1.0]}},
        {"mean": [0.0], "std": [1.0], "bins": {"low": [0.0, 0.0], "high": [1.0, 1.0], "count": 5}},
        {"mean": [0.0], "std": [1.0], "bins": {"low": [0.0], "high": [float("nan")], "count": 5}},
        {"mean": [0.0], "std": [1.0], "bins": {"low": [0.0], "high": [1.0], "count": 0}},
        {"mean": [0.0], "std": [1.0], "bins": [0.0, 1.0, 5]},
    ],
)
@pytest.mark.usefixtures("unhooked")
def test_from_json_refuses_a_changed_file(saved: dict[str, list[float]]) -> None:
    expected = (
        'The saved target scaling must be {"mean": [...], "std": [...]} with k finite numbers each and std > 0, '
        f"and bins like them, but got {saved!r}.\nThe file was changed or cut off: restore it, or train again."
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        Scaling.from_json(saved)


def test_no_targets_are_scaled_to_none() -> None:
    scaling = Scaling.of(np.empty((5, 0)))
    assert scaling.to_json() == {"mean": [], "std": [], "bins": {"low": (), "high": (), "count": 50}}
    assert scaling.standardise(torch.empty(3, 0)).shape == (3, 0)
    assert scaling.restore(np.empty((3, 0))).shape == (3, 0)
    assert Scaling.from_json(scaling.to_json()).mean.shape == (0,)


def test_bins_go_from_the_smallest_to_the_largest_training_target() -> None:
    scaling = Scaling.of(np.array([[10.0, 5.0], [30.0, 5.0], [50.0, 5.0]]), bins=7)
    assert scaling.bins is not None
    assert scaling.bins.count == 7
    ends = scaling.restore(np.array([scaling.bins.low, scaling.bins.high]))
    np.testing.assert_allclose(ends, [[10.0, 5.0], [50.0, 5.0]], rtol=1e-15)
    assert Scaling.from_json(json.loads(json.dumps(scaling.to_json()))).bins == scaling.bins


def test_models_from_before_there_were_bins_have_none() -> None:
    assert Scaling.from_json({"mean": [0.0], "std": [1.0]}).bins is None
