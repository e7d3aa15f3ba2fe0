"""Binary noise contrast against its definition and at the extremes."""

import math

import pytest
import torch
from torch import Tensor

from isotone.core.nce import noise_contrast


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_value_is_logistic_regression(shape: tuple[int, ...]) -> None:
    positive, noise, threshold = _normal(5), _normal(5, 3) * 2, _normal(*shape) if shape else torch.tensor(0.7)
    total = 0.0
    for i in range(5):
        c = float(threshold[i] if shape else threshold)
        total += math.log(1 + math.exp(c - float(positive[i])))
        total += sum(math.log(1 + math.exp(float(s) - c)) for s in noise[i])
    assert noise_contrast(positive, noise, threshold).item() == pytest.approx(total / 5, rel=1e-12)


def test_gradcheck() -> None:
    given = _normal(4).requires_grad_(), _normal(4, 3).requires_grad_(), _normal(4).requires_grad_()
    assert torch.autograd.gradcheck(noise_contrast, given)


def test_scores_that_no_exponential_holds() -> None:
    positive, noise = torch.tensor([1e4, -1e4], requires_grad=True), torch.tensor([[-1e4], [1e4]], requires_grad=True)
    value = noise_contrast(positive, noise, torch.tensor(0.0))
    value.backward()
    assert value.item() == 1e4  # ((0 + 0) + (1e4 + 1e4)) / 2
    assert positive.grad is not None
    assert positive.grad.tolist() == [0.0, -0.5]
