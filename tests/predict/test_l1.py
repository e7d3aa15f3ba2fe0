"""L1, and the shape check that all predictors share."""

import re

import pytest
import torch

from isotone.errors import ShapeError
from isotone.predict.l1 import L1, residual


def test_loss_is_the_mean_absolute_error_by_hand() -> None:
    out, target = torch.tensor([[1.0, -2.0], [4.0, 0.5]]), torch.tensor([[0.0, 1.0], [4.0, 0.0]])
    assert L1().loss(out, target).item() == (1 + 3 + 0 + 0.5) / 4


def test_gradient_is_the_sign_over_the_count() -> None:
    out = torch.tensor([[1.0], [2.0], [3.0], [-1.0]], requires_grad=True)
    L1().loss(out, torch.tensor([[0.0], [2.0], [5.0], [-2.0]])).backward()
    assert out.grad is not None
    assert out.grad.flatten().tolist() == [0.25, 0.0, -0.25, 0.25]


def test_gradcheck_away_from_the_kink() -> None:
    out = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: L1().loss(x, torch.zeros(2, 2, dtype=torch.float64)), out)


def test_half_precision_is_widened_and_float64_kept() -> None:
    target = torch.full((2, 1), 60000.0)
    assert L1().loss(-target.half(), target).item() == 120000.0  # infinite in float16
    assert L1().loss(torch.zeros(2, 1), target.double()).dtype == torch.float32
    assert L1().loss(torch.zeros(2, 1).double(), target).dtype == torch.float64


def test_outputs_and_decode_are_the_identity() -> None:
    out = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert L1().outputs(2) == 2
    assert torch.equal(L1().decode(out), out)


@pytest.mark.parametrize(
    ("out", "target"),
    [((32,), (32, 5)), ((4,), (4,)), ((4, 1), (4,)), ((4, 1), (4, 2)), ((1, 1), (4, 1)), ((0, 1), (0, 1))],
)
@pytest.mark.usefixtures("unhooked")
def test_shapes_that_would_broadcast_are_refused(out: tuple[int, ...], target: tuple[int, ...]) -> None:
    expected = (
        "A predictor's loss expects outputs and targets of one shape (n, k) with n >= 1, "
        f"but got outputs {out} and targets {target}.\n"
        "Give both as (n, k); for one target dimension, use target[:, None]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
        residual(torch.zeros(out), torch.zeros(target))
