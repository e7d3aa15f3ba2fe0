"""DEX against its definition, numbers by hand, and extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import heads
from predict.binned import case, finite_at_extremes, inside, same_value_and_gradient

from isotone.predict.dex import DEX, expectation
from isotone.records import Bins

SIZES = {"n": st.integers(1, 4), "k": st.integers(1, 2), "count": st.integers(1, 7)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_loss_is_the_definition(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count)
    found = DEX(made.bins).loss(made.out, made.y)
    same_value_and_gradient(found, heads.dex(made.out, made.y, made.centres), made.out)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_prediction_is_the_expectation_and_never_leaves_the_bins(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count)
    found = DEX(made.bins).decode(made.out.detach())
    assert found.shape == (n, k)
    torch.testing.assert_close(found, torch.tensor(heads.expectation(made.out.detach(), made.centres)).double())
    assert inside(found, made.bins)


def test_by_hand() -> None:
    # centres 0, 1, 2; softmax of (0, log 2, 0) is (1/4, 1/2, 1/4), of (0, 0, log 2) it is (1/4, 1/4, 1/2)
    dex, two = DEX(Bins((0.0,), (2.0,), 3)), math.log(2)
    out = torch.tensor([[0.0, two, 0.0], [0.0, 0.0, two]])
    assert dex.loss(out, torch.tensor([[0.7], [0.2]])).item() == pytest.approx((two + 2 * two) / 2)  # bins 1 and 0
    assert dex.decode(out).flatten().tolist() == pytest.approx([1.0, 0.25 + 2 * 0.5])
    assert dex.outputs(1) == 3


def test_targets_beyond_the_bins_count_as_the_ends() -> None:
    dex, out = DEX(Bins((0.0,), (2.0,), 3)), torch.tensor([[3.0, 1.0, -2.0]])
    for target, end in ((-50.0, 0.0), (50.0, 2.0)):
        assert dex.loss(out, torch.tensor([[target]])).item() == dex.loss(out, torch.tensor([[end]])).item()


def test_one_bin_and_equal_targets_predict_the_constant() -> None:
    for bins in (Bins((0.5,), (0.5,), 1), Bins((0.5,), (0.5,), 4)):
        dex = DEX(bins)
        out = torch.zeros(2, dex.outputs(1), requires_grad=True)
        dex.loss(out, torch.full((2, 1), 0.5)).backward()
        assert out.grad is not None
        assert dex.decode(out).flatten().tolist() == [0.5, 0.5]


def test_extremes_stay_finite() -> None:
    finite_at_extremes(DEX(Bins((-1.0,), (1.0,), 50)))
    finite_at_extremes(DEX(Bins((0.0, 0.0), (0.0, 1.0), 3)), k=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    bins, out = Bins((-1.0,), (1.0,), 300), torch.zeros(1, 300, dtype=dtype)
    assert DEX(bins).loss(out, torch.zeros(1, 1)).dtype == torch.float32
    assert expectation(out, bins).item() == pytest.approx(0.0, abs=1e-6)
