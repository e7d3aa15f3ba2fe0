"""The compiled rows against `contrast`: value, gradient, ties, spans that float64 cannot exponentiate."""

import pytest
import torch
from torch import Tensor

from isotone.core import contrast, negative_l2
from isotone.core.kernels.rnc_rows import installed, rnc_rows, usable

pytestmark = pytest.mark.skipif(not installed(), reason="numba, the extra `fast`, is not installed")


def _slow(z: Tensor, y: Tensor, t: float) -> Tensor:
    others = ~torch.eye(len(y), dtype=torch.bool)
    return contrast(negative_l2(z, z) / t, (y[:, None] - y).abs(), others, others)


def _case(n: int, kind: str) -> tuple[Tensor, Tensor]:
    make = torch.Generator().manual_seed(n)
    y = torch.rand(n, generator=make, dtype=torch.float64)
    y = {"integers": (y * 9).floor(), "two views": y[: (n + 1) // 2].repeat(2)[:n], "all equal": y * 0}.get(kind, y)
    return torch.randn(n, 5, generator=make, dtype=torch.float64), y


@pytest.mark.parametrize("n", [2, 3, 7, 64, 130, 257])
@pytest.mark.parametrize("kind", ["continuous", "integers", "two views", "all equal"])
@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
def test_value_and_gradient_equal_contrast(n: int, kind: str, scale: float) -> None:
    z, y = _case(n, kind)
    z = (z * scale).requires_grad_()
    fast, slow = rnc_rows(z, y, 2.0), _slow(z, y, 2.0)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-13)
    fast_grad, slow_grad = torch.autograd.grad(fast, z)[0], torch.autograd.grad(slow, z)[0]
    torch.testing.assert_close(fast_grad, slow_grad, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("reach", [1100.0, 1190.0, 1210.0, 1300.0])
def test_plain_and_log_rows_agree_where_one_hands_over_to_the_other(reach: float) -> None:
    z, y = _case(20, "continuous")
    z = (z / torch.cdist(z, z).max() * reach).requires_grad_()
    fast, slow = rnc_rows(z, y, 2.0), _slow(z, y, 2.0)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.autograd.grad(fast, z)[0], torch.autograd.grad(slow, z)[0], rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("span", [50.0, 300.0, 370.0, 450.0, 590.0, 610.0])
@pytest.mark.parametrize("jump", [False, True])
def test_ordered_features_have_tiny_denominators(views: int, span: float, jump: bool) -> None:
    """What training aims at: the farthest candidates are the least alike, so a denominator may be exp(-span)."""
    y = torch.arange(70, dtype=torch.float64)
    y[-1] += 70 if jump else 0
    y = y.repeat(views)
    z = (y / y.max() * span * 2.0)[:, None].requires_grad_()
    fast, slow = rnc_rows(z, y, 2.0), _slow(z, y, 2.0)
    torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(torch.autograd.grad(fast, z)[0], torch.autograd.grad(slow, z)[0], rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(rnc_rows(z.detach().float(), y, 2.0), slow.detach(), rtol=1e-5, atol=1e-7)


def test_coincident_rows_have_a_finite_gradient() -> None:
    z, y = torch.ones(130, 4, requires_grad=True), torch.arange(130, dtype=torch.float64)
    rnc_rows(z, y, 2.0).backward()
    assert z.grad is not None
    assert not z.grad.any()


def test_float32_is_close_to_float64() -> None:
    z, y = _case(300, "two views")
    low, high = z.float().requires_grad_(), z.float().double().requires_grad_()
    torch.testing.assert_close(rnc_rows(low, y, 2.0), rnc_rows(high, y, 2.0), rtol=1e-7, atol=0)
    a = torch.autograd.grad(rnc_rows(low, y, 2.0), low)[0].double()
    b = torch.autograd.grad(rnc_rows(high, y, 2.0), high)[0]
    assert float((a - b).norm() / b.norm()) < 1e-6


@pytest.mark.parametrize("spread", [1e-1, 1e-2, 1e-3])
def test_views_that_nearly_coincide_keep_their_digits(spread: float) -> None:
    """The Gram matrix of float32 would lose a distance of 1e-3 of the rows' length altogether."""
    z, y = _case(150, "continuous")
    z = torch.cat([z, z + spread * _case(150, "continuous")[0].roll(1, 0)]).float()
    low, high, y = z.clone().requires_grad_(), z.double().requires_grad_(), y.repeat(2)
    a, b = rnc_rows(low, y, 2.0), _slow(high, y, 2.0)
    torch.testing.assert_close(a, b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-5


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_blocks_of_rows_add_up(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    z, y = _case(200, "integers")
    z = (z * scale).requires_grad_()
    whole = rnc_rows(z, y, 2.0)
    gradient = torch.autograd.grad(whole, z)[0]
    for rows in (1, 7, 64, 199):
        monkeypatch.setattr("isotone.core.kernels.rnc_rows.CELLS", rows * 200)
        value = rnc_rows(z, y, 2.0)
        torch.testing.assert_close(value, whole, rtol=1e-13, atol=0)
        torch.testing.assert_close(torch.autograd.grad(value, z)[0], gradient, rtol=1e-10, atol=1e-15)


def test_without_a_gradient_none_is_made() -> None:
    z, y = _case(130, "continuous")
    value = rnc_rows(z, y, 2.0)
    assert not value.requires_grad
    torch.testing.assert_close(value, _slow(z, y, 2.0), rtol=1e-11, atol=0)


def test_any_number_of_threads_gives_the_same_rows() -> None:
    z, y = _case(200, "integers")
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(rnc_rows(z, y, 2.0))
    finally:
        torch.set_num_threads(before)
    for value in found:
        torch.testing.assert_close(value, found[0], rtol=1e-14, atol=0)


def test_nan_goes_through() -> None:
    z, y = _case(7, "continuous")
    z[2, 3] = float("nan")
    assert rnc_rows(z, y, 2.0).isnan()


def test_when_it_is_used() -> None:
    z = torch.zeros(128, 3)
    assert usable(z, torch.zeros(128, 1))
    assert not usable(z, torch.zeros(128, 2))
    assert not usable(z[:127], torch.zeros(127, 1))
    close = torch.arange(128, dtype=torch.float64)[:, None]
    assert usable(z, close)
    close[1] = 1e-15  # |127 - 1e-15| rounds to 127: a tie that groups of equal targets do not see
    assert not usable(z, close)
