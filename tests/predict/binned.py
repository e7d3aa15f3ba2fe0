"""Random outputs and targets for the predictors with bins, and their centres written as lists for the oracle."""

from dataclasses import dataclass

import torch
from torch import Tensor

from isotone.records import Bins, Predictor


@dataclass(frozen=True)
class Case:
    """Outputs (n, o) that ask for a gradient, targets (n, k), some beyond the bins, and the centres of each bin."""

    out: Tensor
    y: Tensor
    bins: Bins
    centres: list[list[float]]


def case(seed: int, n: int, k: int, count: int, *, less: int = 0) -> Case:
    """Return a random case in float64; `less` is the number of outputs that a dimension has less than bins."""
    draw = torch.Generator().manual_seed(seed)
    low = torch.randn(k, generator=draw, dtype=torch.float64)
    high = low + 0.1 + 3 * torch.rand(k, generator=draw, dtype=torch.float64)
    out = 3 * torch.randn(n, k * (count - less), generator=draw, dtype=torch.float64)
    y = low + (high - low) * (1.4 * torch.rand(n, k, generator=draw, dtype=torch.float64) - 0.2)
    bins = Bins(tuple(low.tolist()), tuple(high.tolist()), count)
    return Case(out.requires_grad_(), y, bins, centres(bins))


def centres(bins: Bins) -> list[list[float]]:
    """Return the centres of each dimension's bins."""
    steps = max(1, bins.count - 1)
    return [[a + (b - a) * j / steps for j in range(bins.count)] for a, b in zip(bins.low, bins.high, strict=True)]


def same_value_and_gradient(found: Tensor, expected: Tensor, out: Tensor) -> None:
    """Assert that two losses of `out` are equal to 1e-10, and so are their gradients."""
    gradients = [torch.autograd.grad(loss, out)[0] for loss in (found, expected)]
    assert abs(found.item() - expected.item()) <= 1e-10 * max(1.0, abs(expected.item()))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def finite_at_extremes(made: Predictor, k: int = 1) -> None:
    """Assert a finite loss, gradient and prediction for huge outputs, targets far outside, and a single row."""
    for size in (0.0, 1e4, 1e30):
        for target in (-1e15, 0.0, 1e15):
            draw = torch.Generator().manual_seed(0)
            signs = torch.randn(1, made.outputs(k), generator=draw).sign()
            out = (size * signs).requires_grad_()
            loss = made.loss(out, torch.full((1, k), target, dtype=torch.float64))
            (gradient,) = torch.autograd.grad(loss, out)
            assert bool(torch.isfinite(loss)), (size, target)
            assert bool(torch.isfinite(gradient).all()), (size, target)
            assert bool(torch.isfinite(made.decode(out)).all()), (size, target)


def inside(decoded: Tensor, bins: Bins) -> bool:
    """Tell whether predictions never leave the bins, but for rounding."""
    low, high = decoded.new_tensor(bins.low), decoded.new_tensor(bins.high)
    return bool(((decoded >= low - 1e-5) & (decoded <= high + 1e-5)).all())
