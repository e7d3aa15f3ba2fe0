"""DLDL-v2 against its definition, numbers by hand, and extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import heads
from predict.binned import case, finite_at_extremes, inside, same_value_and_gradient

from isotone.errors import ConfigError
from isotone.predict.dex import DEX
from isotone.predict.dldl import DLDL
from isotone.records import Bins

SIZES = {"n": st.integers(1, 4), "k": st.integers(1, 2), "count": st.integers(1, 7)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), sigma=st.floats(0.5, 4), weight=st.floats(0.01, 3), **SIZES)
def test_the_loss_is_the_definition(seed: int, n: int, k: int, count: int, sigma: float, weight: float) -> None:
    made = case(seed, n, k, count)
    found = DLDL(made.bins, sigma=sigma, weight=weight).loss(made.out, made.y)
    if count == 1:  # the definition's only bin has no width: see below
        return
    same_value_and_gradient(found, heads.dldl(made.out, made.y, made.centres, sigma, weight), made.out)


def test_by_hand() -> None:
    # σ such that neighbours have half the height: t = (1, 2, 1) / 4 around the middle, and (4, 2, ¼) / 6.25 around 0,
    # where the Gaussian falls to (1, 1/2, 1/16); renormalised because the left half lies outside the bins
    dldl = DLDL(Bins((0.0,), (2.0,), 3), sigma=math.sqrt(1 / (2 * math.log(2))), weight=0.5)
    flat = torch.zeros(1, 3)
    middle = 0.25 * math.log(0.75) * 2 + 0.5 * math.log(1.5)
    assert dldl.loss(flat, torch.tensor([[1.0]])).item() == pytest.approx(middle, rel=1e-5)
    t = [16 / 25, 8 / 25, 1 / 25]
    edge = sum(x * math.log(3 * x) for x in t) + 0.5 * 1.0  # the flat expectation is 1 bin away
    assert dldl.loss(flat, torch.tensor([[0.0]])).item() == pytest.approx(edge, rel=1e-5)
    assert dldl.decode(flat).item() == pytest.approx(1.0)
    assert dldl.outputs(2) == 6


def test_the_loss_is_0_where_the_outputs_are_the_gaussian() -> None:
    bins = Bins((0.0,), (8.0,), 9)
    out = -(torch.arange(9.0) - 4).square()[None] / 8
    assert DLDL(bins).loss(out, torch.tensor([[4.0]])).item() == pytest.approx(0.0, abs=1e-6)


def test_far_beyond_the_bins_the_gaussian_is_the_last_bin() -> None:
    bins = Bins((0.0,), (2.0,), 3)
    dldl, out = DLDL(bins, weight=1e-12), torch.tensor([[0.3, -1.0, 2.0]])
    for target in (-1e7, 1e7, 1e12):
        far = torch.tensor([[target]])
        assert dldl.loss(out, far).item() - 1e-12 * abs(target) == pytest.approx(DEX(bins).loss(out, far).item(), 1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), **SIZES)
def test_the_prediction_is_the_expectation(seed: int, n: int, k: int, count: int) -> None:
    made = case(seed, n, k, count)
    found = DLDL(made.bins).decode(made.out.detach())
    torch.testing.assert_close(found, torch.tensor(heads.expectation(made.out.detach(), made.centres)).double())
    assert inside(found, made.bins)


def test_one_bin_and_equal_targets_predict_the_constant() -> None:
    for bins in (Bins((0.5,), (0.5,), 1), Bins((0.5,), (0.5,), 4)):
        dldl = DLDL(bins)
        out = torch.zeros(2, dldl.outputs(1), requires_grad=True)
        loss = dldl.loss(out, torch.full((2, 1), 0.5))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert dldl.decode(out).flatten().tolist() == [0.5, 0.5]


def test_extremes_stay_finite() -> None:
    finite_at_extremes(DLDL(Bins((-1.0,), (1.0,), 50)))
    finite_at_extremes(DLDL(Bins((0.0, 0.0), (0.0, 1.0), 3), sigma=1e-3), k=2)


@pytest.mark.parametrize("name", ["sigma", "weight"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        DLDL(Bins((0.0,), (1.0,)), **{name: value})
    assert str(caught.value) == f"`{name}` must be a finite number above 0, got {value}."
