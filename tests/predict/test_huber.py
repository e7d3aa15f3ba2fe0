"""Huber."""

import pytest
import torch

from isotone.errors import ConfigError, ShapeError
from isotone.predict.huber import Huber
from isotone.predict.l1 import L1
from isotone.predict.mse import MSE


def test_loss_by_hand() -> None:
    out, zero = torch.tensor([[0.5], [1.0], [-3.0]]), torch.zeros(3, 1)
    # delta 1: 0.125, 0.5, 1 * (3 - 0.5); delta 2: 0.125, 0.5, 2 * (3 - 1)
    assert Huber().loss(out, zero).item() == pytest.approx((0.125 + 0.5 + 2.5) / 3)
    assert Huber(delta=2.0).loss(out, zero).item() == pytest.approx((0.125 + 0.5 + 4.0) / 3)


def test_limits_are_half_mse_and_l1() -> None:
    out, target = torch.tensor([[0.3], [-1.5], [4.0]]).double(), torch.zeros(3, 1).double()
    assert Huber(delta=100.0).loss(out, target).item() == pytest.approx(MSE().loss(out, target).item() / 2, rel=1e-12)
    assert Huber(delta=1e-6).loss(out, target).item() / 1e-6 == pytest.approx(L1().loss(out, target).item(), rel=1e-5)


def test_gradient_is_bounded_by_delta() -> None:
    out = torch.tensor([[0.2], [1e6]], requires_grad=True)
    Huber(delta=0.5).loss(out, torch.zeros(2, 1)).backward()
    assert out.grad is not None
    assert out.grad.flatten().tolist() == pytest.approx([0.1, 0.25])


def test_gradcheck_on_both_sides_of_delta() -> None:
    out = torch.tensor([[0.4, -0.7], [3.0, -4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Huber().loss(x, torch.zeros(2, 2, dtype=torch.float64)), out)


def test_outputs_and_decode_are_the_identity() -> None:
    out = torch.tensor([[1.0, 2.0]])
    assert Huber().outputs(2) == 2
    assert torch.equal(Huber().decode(out), out)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan"), float("inf")])
def test_delta_out_of_range(delta: float) -> None:
    expected = (
        rf"^Huber expects a finite delta > 0, but got {delta}\. "
        r"It is in standardised units: try a value from 0\.1 to 2\.$"
    )
    with pytest.raises(ConfigError, match=expected):
        Huber(delta=delta)


@pytest.mark.usefixtures("unhooked")
def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"but got outputs \(4, 1\) and targets \(4,\)\."):
        Huber().loss(torch.zeros(4, 1), torch.zeros(4))
