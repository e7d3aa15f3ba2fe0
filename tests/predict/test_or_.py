"""OR against its definition, numbers by hand, and extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import heads
from predict.binned import case, finite_at_extremes, inside, same_value_and_gradient

from isotone.predict.or_ import OR
from isotone.records import Bins

SIZES = {"n": st.integers(1, 4), "k": st.integers(1, 2), "count": st.integers(2, 7)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_loss_is_the_definition(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count, less=1)
    found = OR(made.bins).loss(made.out, made.y)
    same_value_and_gradient(found, heads.niu(made.out, made.y, made.centres), made.out)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_prediction_counts_the_yeses(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count, less=1)
    found = OR(made.bins).decode(made.out.detach())
    expected = torch.tensor(heads.counted(made.out.detach(), made.centres, conditional=False), dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    assert inside(found, made.bins)


def test_by_hand() -> None:
    # centres 0, 1, 2, thresholds 0.5 and 1.5; σ(log 3) = 3/4
    niu, three = OR(Bins((0.0,), (2.0,), 3)), math.log(3)
    out = torch.tensor([[three, three]])
    value = -(math.log(3 / 4) + math.log(1 / 4)) / 2  # 1.2 is above the first alone
    assert niu.loss(out, torch.tensor([[1.2]])).item() == pytest.approx(value)
    assert niu.outputs(2) == 4
    # monotone or not, yeses are counted; exactly ½ is no yes
    rows = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    assert niu.decode(rows).flatten().tolist() == [0.0, 1.0, 1.0, 2.0, 1.0]


def test_targets_beyond_the_bins_count_as_the_ends() -> None:
    niu, out = OR(Bins((0.0,), (2.0,), 3)), torch.tensor([[3.0, 1.0]])
    for target, end in ((-50.0, 0.0), (50.0, 2.0)):
        assert niu.loss(out, torch.tensor([[target]])).item() == niu.loss(out, torch.tensor([[end]])).item()


def test_one_bin_and_equal_targets_predict_the_constant() -> None:
    for bins in (Bins((0.5,), (0.5,), 1), Bins((0.5,), (0.5,), 4)):
        niu = OR(bins)
        out = torch.zeros(2, niu.outputs(1), requires_grad=True)
        loss = niu.loss(out, torch.full((2, 1), 0.5))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert niu.decode(out).flatten().tolist() == [0.5, 0.5]


def test_extremes_stay_finite() -> None:
    finite_at_extremes(OR(Bins((-1.0,), (1.0,), 50)))
    finite_at_extremes(OR(Bins((0.0, 0.0), (0.0, 1.0), 3)), k=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    niu = OR(Bins((0.0,), (299.0,), 300))
    assert niu.loss(torch.zeros(1, 299, dtype=dtype), torch.zeros(1, 1)).dtype == torch.float32
    assert niu.decode(torch.ones(1, 299, dtype=dtype)).item() == 299.0  # bfloat16 would round it
