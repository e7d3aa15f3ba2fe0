"""Ordinal entropy as a method: value and gradient against the definition, ties, extremes."""

import math

import pytest
import torch
from oracle import ordinal_entropy as oracle
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.ordinal_entropy import OrdinalEntropy, ordinal_entropy
from isotone.records import Batch, Facts, Tags


def _rows(n: int, k: int, values: int) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(0)
    h = torch.randn(n, 4, generator=make, dtype=torch.float64)
    return h, torch.randint(0, values, (n, k), generator=make).double()


@pytest.mark.parametrize(
    ("n", "k", "values"), [(2, 1, 1), (2, 1, 9), (12, 1, 4), (12, 1, 1000), (12, 2, 3), (12, 1, 1)]
)
def test_value_and_gradient_are_the_definitions(n: int, k: int, values: int) -> None:
    h, y = _rows(n, k, values)
    h.requires_grad_()
    for found, expected in zip(ordinal_entropy(h, y), oracle.terms(h, y), strict=True):
        torch.testing.assert_close(found, expected)
        if expected.requires_grad:
            (a,), (b,) = (torch.autograd.grad(x, h, retain_graph=True) for x in (found, expected))
            torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-7)


def test_by_hand() -> None:
    # at 0, 90, 90 degrees with targets 0, 2, 2: two centres sqrt(2) apart, 2 (sqrt(2) 2) / 2; at home, all rows
    h = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 7.0]], dtype=torch.float64)
    far, near = ordinal_entropy(h, torch.tensor([[0.0], [2.0], [2.0]], dtype=torch.float64))
    assert float(far) == pytest.approx(-2 * math.sqrt(2))
    assert float(near) == pytest.approx(0.0, abs=1e-12)
    # one target at 0 and 90 degrees: the centre is at 45, |(1, 0) - (.707, .707)| = 2 sin(22.5 degrees) = .7654
    far, near = ordinal_entropy(h[:2], torch.zeros(2, 1, dtype=torch.float64))
    assert float(far) == 0.0
    assert float(near) == pytest.approx(0.7654, abs=1e-4)


def test_what_ties_is_told_by_the_unscaled_targets() -> None:
    h, y = _rows(6, 1, 3)
    jitter = y / 3 + 1e-16 * torch.arange(6, dtype=torch.float64)[:, None]
    for found, expected in zip(ordinal_entropy(h, jitter, y), ordinal_entropy(h, y / 3), strict=True):
        torch.testing.assert_close(found, expected)


def test_collapsed_features_and_zeros_have_a_finite_gradient() -> None:
    for h in (torch.ones(4, 3), torch.zeros(4, 3)):
        h.requires_grad_()
        far, near = ordinal_entropy(h, torch.tensor([[0.0], [1.0], [1.0], [3.0]]))
        (far + near).backward()
        assert h.grad is not None
        assert bool(torch.isfinite(h.grad).all())


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("k", [1, 2])
def test_the_loss_is_the_heads_and_both_terms(views: int, k: int) -> None:
    method = OrdinalEntropy(spread=0.3, tightness=0.7, views=views)
    net = method.build(nn.Linear(3, 4), Facts(4, kind="rows", shape=(3,), k=k))
    y = _rows(9, k, 4)[1]
    batch = Batch(torch.randn(views, 9, 3), Tags(torch.arange(9), target=y, scaled=y / 1.7))
    out = method.loss(net, batch)
    x = batch.views.flatten(0, 1)
    far, near = oracle.terms(net.encoder(x).double(), (y / 1.7).repeat(views, 1))
    error = (net(x).double() - (y / 1.7).repeat(views, 1)).abs().mean()
    assert float(out.total.detach()) == pytest.approx(float((error + 0.3 * far + 0.7 * near).detach()), rel=1e-5)
    assert float(out.parts["tightness"]) == pytest.approx(float(near.detach()), rel=1e-5)


def test_settings_out_of_range() -> None:
    for name in ("spread", "tightness"):
        with pytest.raises(ConfigError) as caught:
            OrdinalEntropy(**{name: -1.0})
        assert str(caught.value) == f"`{name}` must be between 0 and 1,000,000, got -1."
