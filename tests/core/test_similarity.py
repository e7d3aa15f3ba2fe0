"""Similarities against their definitions, where rows are far, near and the same."""

import pytest
import torch
from torch import Tensor

from isotone.core import cosine, dot, negative_l2


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
