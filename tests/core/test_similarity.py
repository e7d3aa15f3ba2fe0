"""Similarities against their definitions, where rows are far, near and the same."""

import pytest
import torch
from torch import Tensor

from isotone.core import cosine, dot, negative_l2
from isotone.core.similarity import unit


def _rows(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_negative_l2_is_the_norm_of_differences(offset: float) -> None:
    a, b = _rows(6) + offset, _rows(5, 1) + offset
    expected = -(a[:, None] - b[None, :]).norm(dim=2)
    torch.testing.assert_close(negative_l2(a, b), expected, rtol=1e-9, atol=0)


def test_near_duplicates_keep_their_distance() -> None:
    a = _rows(4)
    b = a + 1e-5 * _rows(4, 1)
    torch.testing.assert_close(negative_l2(a, b).diagonal(), -(a - b).norm(dim=1), rtol=1e-5, atol=0)


def test_gradient_is_the_unit_difference_and_zero_where_rows_coincide() -> None:
    a = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[3.0, 4.0], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    value = negative_l2(a, b)
    grad_a, grad_b = torch.autograd.grad(value[0, 0] + value[1, 1], (a, b))
    assert value[1, 1].item() == 0.0
    assert grad_a.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    assert grad_b.tolist() == [[pytest.approx(-0.6), pytest.approx(-0.8)], [0.0, 0.0]]


@pytest.mark.parametrize("similarity", [negative_l2, cosine, dot])
def test_gradcheck(similarity: object) -> None:
    inputs = (_rows(4).requires_grad_(), _rows(3, 1).requires_grad_())
    assert torch.autograd.gradcheck(similarity, inputs)  # type: ignore[arg-type]


def test_cosine_of_a_row_of_zeros_is_zero_with_a_finite_gradient() -> None:
    a = torch.zeros(1, 3, requires_grad=True)
    value = cosine(a, torch.ones(2, 3))
    value.sum().backward()
    assert value.tolist() == [[0.0, 0.0]]
    assert a.grad is not None
    assert bool(torch.isfinite(a.grad).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_computed_in_float64_and_its_gradient_comes_back_in_kind(dtype: torch.dtype) -> None:
    a = _rows(4).to(dtype).requires_grad_()
    value = negative_l2(a, a)
    value.sum().backward()
    assert value.dtype == torch.float64
    assert a.grad is not None
    assert a.grad.dtype == dtype


def test_negative_l2_in_autocast_is_the_same_backward_too() -> None:
    a, b = _rows(6).float().requires_grad_(), _rows(5, 1).float().requires_grad_()
    weight = torch.rand(6, 5, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.grad((negative_l2(a, b) * weight).sum(), (a, b))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad((negative_l2(a, b) * weight).sum(), (a, b))
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_unit_rows_are_rows_by_their_length() -> None:
    x = _rows(6).requires_grad_()
    torch.testing.assert_close(unit(x), x / x.norm(dim=1, keepdim=True), rtol=1e-14, atol=0)
    assert torch.autograd.gradcheck(unit, x)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_unit_rows_of_any_length(scale: float) -> None:
    """The squares are no float32; the gradient of the scaled row is that of the row, over the scale."""
    x = _rows(6).float()
    scaled, plain = (x * scale).requires_grad_(), x.clone().requires_grad_()
    weight = _rows(6, 1).float()
    torch.testing.assert_close(unit(scaled), unit(plain), rtol=1e-6, atol=1e-7)
    a, b = (torch.autograd.grad((unit(v) * weight).sum(), v)[0] for v in (scaled, plain))
    torch.testing.assert_close(a * scale, b, rtol=1e-4, atol=1e-6)


def test_unit_keeps_a_row_of_zeros_with_the_gradient_of_the_identity() -> None:
    x, weight = torch.zeros(2, 3, requires_grad=True), torch.tensor([[1.0, -2.0, 3.0], [0.0, 5.0, 0.0]])
    value = unit(x)
    (value * weight).sum().backward()
    assert value.tolist() == [[0.0] * 3] * 2
    assert torch.equal(x.grad, weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_unit_is_of_float32_or_wider_and_its_gradient_comes_back_in_kind(dtype: torch.dtype) -> None:
    x = _rows(4).to(dtype).requires_grad_()
    value = unit(x)
    value.sum().backward()
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert unit(torch.full((1, 2), float("nan"))).isnan().all()
