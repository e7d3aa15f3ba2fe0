"""What holds for every loss: finite on finite input of any type and scale, refused otherwise, and the symmetries."""

import inspect
from collections.abc import Callable

import pytest
import torch
from contract import cases
from contract.cases import CASES, Case, answers, views
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from isotone import losses
from isotone.errors import IsotoneError

Loss = Callable[..., Tensor]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
TYPES = [torch.float32, torch.float16, torch.bfloat16]
FINITE = [
    *("normalised", "x30", "x1e4", "identical rows", "all zero", "one zero row", "coincident views"),
    *("one class", "all distinct", "labels 1e30", "one sample"),
]
NEED_TWO = {"info_nce, pairs", "info_nce, two sides", "n_pair", "n_pair, norms", "nce", "pirl_nce"}  # one row each


def test_every_public_loss_has_a_case_and_a_module() -> None:
    public = {name: thing for name, thing in vars(losses).items() if inspect.isfunction(thing)}
    functions = {name for name in public if not name.endswith("_floor") and not name.endswith("_output")}
    assert functions == {case.name.split(",")[0] for case in CASES}
    modules = {name for name, thing in vars(losses).items() if inspect.isclass(thing) and issubclass(thing, nn.Module)}
    assert all(name.endswith("Loss") for name in modules)
    assert len(modules) == len(functions)


def _nasty(case: Case, kind: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    b = 1 if kind == "one sample" else 8
    z, y = views(b, 16, seed=3), answers(case, b, seed=3)
    z = z / z.norm(dim=-1, keepdim=True) if kind == "normalised" else z
    z = {"x30": z * 30, "x1e4": z * (1e3 if dtype == torch.float16 else 1e4)}.get(kind, z)
    z = z[:1, :1].repeat(b, 2, 1) if kind == "identical rows" else z
    z = z * 0 if kind == "all zero" else z
    z = z[:, :1].repeat(1, 2, 1) if kind == "coincident views" else z
    z[0, 0] = 0 if kind == "one zero row" else z[0, 0]
    y = y * 0 if kind == "one class" else torch.arange(b) if kind == "all distinct" else y
    if kind == "labels 1e30":
        y = y.double() * 1e30 if case.takes == "targets" else y * 10**17
    return z.to(dtype), y


@each
@pytest.mark.parametrize("kind", FINITE)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_finite_input_gives_a_finite_loss_and_gradient(case: Case, kind: str, dtype: torch.dtype) -> None:
    z, y = _nasty(case, kind, dtype)
    z.requires_grad_()
    if kind == "one sample" and case.name in NEED_TWO:
        with pytest.raises(IsotoneError, match="larger batch"):
            case.loss(z, y)
        return
    value = case.loss(z, y)
    assert value.dtype == torch.float32
    (gradient,) = torch.autograd.grad(value, z)
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(gradient).all())


@each
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(case: Case, bad: float) -> None:
    z, y = views(6, 4, seed=1), answers(case, 6, seed=1)
    z[2, 1, 3] = bad
    with pytest.raises(IsotoneError, match="NaN or infinity in 1 of"):
        case.loss(z, y)


@each
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_labels_that_are_not_finite_are_refused(case: Case, bad: float) -> None:
    if case.takes == "nothing" or (case.name == "rnc, missing" and bad != bad) or case.name == "rnc, weights":
        pytest.skip("takes no labels, takes NaN for a missing one, or makes its weights of them")
    z, y = views(6, 4, seed=1), answers(case, 6, seed=1).double()
    y[4] = bad
    with pytest.raises(IsotoneError, match=r"NaN or infinity|expects integers"):
        case.loss(z, y)


@each
def test_gradcheck(case: Case) -> None:
    z, y = views(5, 3, seed=11), answers(case, 5, seed=11)
    assert torch.autograd.gradcheck(lambda x: case.loss(x, y), z.requires_grad_())


@each
def test_float32_is_within_1e_5_of_float64(case: Case) -> None:
    low = views(12, 16, seed=5, dtype=torch.float32).requires_grad_()
    high, y = low.detach().double().requires_grad_(), answers(case, 12, seed=5)
    a, b = case.loss(low, y), case.loss(high, y)
    assert b.dtype == torch.float64
    torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-7)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-5


@each
def test_autocast_changes_nothing(case: Case) -> None:
    z, y = views(8, 8, seed=2, dtype=torch.float32).requires_grad_(), answers(case, 8, seed=2)
    plain = case.loss(z, y)
    (expected,) = torch.autograd.grad(plain, z)  # backward stands outside, as torch asks
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = case.loss(z, y)
    assert torch.equal(value, plain)
    (gradient,) = torch.autograd.grad(value, z)
    assert torch.equal(gradient, expected)


@each
def test_inputs_are_not_changed_and_no_gradient_is_made_where_none_is_wanted(case: Case) -> None:
    z, y = views(8, 8, seed=2), answers(case, 8, seed=2)
    before = z.clone(), y.clone()
    with torch.no_grad():
        value = case.loss(z, y)
    assert not value.requires_grad
    assert torch.equal(z, before[0])
    assert torch.equal(y, before[1])
    torch.testing.assert_close(case.loss(z.requires_grad_(), y).detach(), value, rtol=1e-12, atol=1e-12)


@each
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), b=st.integers(3, 7))
def test_symmetries(case: Case, seed: int, b: int) -> None:
    """Row order, view order, the names of classes and a shift of the targets do not matter."""
    z, y = views(b, 4, seed), answers(case, b, seed)
    value = case.loss(z, y)
    order = torch.randperm(b, generator=torch.Generator().manual_seed(seed))
    others = [case.loss(z[order], y[order])]
    if case.symmetric:
        others.append(case.loss(z.flip(1), y))
    if case.name != "rnc, weights":  # whose weights are made of y
        others.append(case.loss(z, 3 * y + 7))
    if case.takes == "targets" and case.name != "rnc, weights":
        ranks = y.unique()
        others.append(case.loss(z, y * 2.5) if len(ranks) > 2 else case.loss(z, (y == ranks[0]).double()))
    for other in others:
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("in_blocks", "whole"),
    [
        (cases.compiled_rnc, losses.rnc),
        (cases.rnc_in_blocks, losses.rnc),
        (cases.supcon_in_blocks, losses.supcon),
        (cases.info_nce_in_blocks, lambda z, y: losses.info_nce(z)),
    ],
    ids=["rnc, compiled", "rnc", "supcon", "info_nce"],
)
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), b=st.integers(2, 7), cells=st.integers(1, 200))
def test_blocks_of_any_size_are_the_whole(in_blocks: Loss, whole: Loss, seed: int, b: int, cells: int) -> None:
    z = views(b, 4, seed).requires_grad_()
    y = answers(CASES[0], b, seed)
    value, expected = in_blocks(z, y, cells), whole(z, y)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    (gradient,), (slope,) = torch.autograd.grad(value, z), torch.autograd.grad(expected, z)
    torch.testing.assert_close(gradient, slope, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("rnc", [losses.rnc, cases.compiled_rnc], ids=["general", "compiled"])
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), b=st.integers(2, 7))
def test_rnc_depends_on_the_order_of_target_distances_alone(rnc: Loss, seed: int, b: int) -> None:
    z, y = views(b, 4, seed), answers(CASES[0], b, seed)
    bent = losses.rnc(z, y, distance=lambda p, q: ((p - q.T).abs() ** 3).log1p())
    torch.testing.assert_close(bent, rnc(z, y), rtol=1e-9, atol=1e-11)
