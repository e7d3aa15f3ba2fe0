"""CORN against its definition, numbers by hand, empty tasks, and extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import heads
from predict.binned import case, finite_at_extremes, inside, same_value_and_gradient

from isotone.predict.corn import CORN
from isotone.records import Bins

SIZES = {"n": st.integers(1, 4), "k": st.integers(1, 2), "count": st.integers(2, 7)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_loss_is_the_definition(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count, less=1)
    found = CORN(made.bins).loss(made.out, made.y)
    same_value_and_gradient(found, heads.corn(made.out, made.y, made.centres), made.out)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_prediction_counts_the_products_above_a_half(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count, less=1)
    found = CORN(made.bins).decode(made.out.detach())
    expected = torch.tensor(heads.counted(made.out.detach(), made.centres, conditional=True), dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    assert inside(found, made.bins)


def test_by_hand() -> None:
    # centres 0, 1, 2, thresholds 0.5 and 1.5; σ(log 3) = 3/4. The first task has both rows, the second the second row
    corn, three = CORN(Bins((0.0,), (2.0,), 3)), math.log(3)
    out = torch.tensor([[three, 100.0], [three, three]])
    value = -(math.log(1 / 4) + math.log(3 / 4) + math.log(1 / 4)) / 3
    assert corn.loss(out, torch.tensor([[0.0], [1.2]])).item() == pytest.approx(value)
    assert corn.outputs(2) == 4
    # 3/4 * 3/4 = 9/16 passes, 3/4 * 1/2 does not, and a threshold behind one that was missed is missed too
    rows = torch.tensor([[three, three], [three, 0.0], [-three, 100.0]])
    assert corn.decode(rows).flatten().tolist() == [2.0, 1.0, 0.0]


def test_tasks_without_rows_are_left_out() -> None:
    corn = CORN(Bins((0.0,), (9.0,), 10))
    out = torch.zeros(3, 9, requires_grad=True)
    loss = corn.loss(out, torch.tensor([[0.0], [1.0], [0.0]]))  # nobody passes the second threshold
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert out.grad is not None
    assert (out.grad != 0).any(dim=0).tolist() == [True, True] + [False] * 7


def test_targets_beyond_the_bins_count_as_the_ends() -> None:
    corn, out = CORN(Bins((0.0,), (2.0,), 3)), torch.tensor([[3.0, 1.0]])
    for target, end in ((-50.0, 0.0), (50.0, 2.0)):
        assert corn.loss(out, torch.tensor([[target]])).item() == corn.loss(out, torch.tensor([[end]])).item()


def test_one_bin_and_equal_targets_predict_the_constant() -> None:
    for bins in (Bins((0.5,), (0.5,), 1), Bins((0.5,), (0.5,), 4)):
        corn = CORN(bins)
        out = torch.zeros(2, corn.outputs(1), requires_grad=True)
        loss = corn.loss(out, torch.full((2, 1), 0.5))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert corn.decode(out).flatten().tolist() == [0.5, 0.5]


def test_extremes_stay_finite() -> None:
    finite_at_extremes(CORN(Bins((-1.0,), (1.0,), 50)))
    finite_at_extremes(CORN(Bins((0.0, 0.0), (0.0, 1.0), 3)), k=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    corn = CORN(Bins((0.0,), (299.0,), 300))
    assert corn.loss(torch.zeros(1, 299, dtype=dtype), torch.zeros(1, 1)).dtype == torch.float32
    assert corn.decode(torch.full((1, 299), 50.0, dtype=dtype)).item() == 299.0
