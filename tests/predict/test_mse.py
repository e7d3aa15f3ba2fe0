"""MSE."""

import pytest
import torch

from isotone.errors import ShapeError
from isotone.predict.mse import MSE


def test_loss_is_the_mean_squared_error_by_hand() -> None:
    out, target = torch.tensor([[1.0, -2.0], [4.0, 0.5]]), torch.tensor([[0.0, 1.0], [4.0, 0.0]])
    assert MSE().loss(out, target).item() == (1 + 9 + 0 + 0.25) / 4


def test_gradcheck() -> None:
    out = torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: MSE().loss(x, torch.ones(2, 2, dtype=torch.float64)), out)


def test_half_precision_is_widened() -> None:
    assert MSE().loss(torch.full((2, 1), 300.0).half(), torch.zeros(2, 1)).item() == 90000.0  # infinite in float16


def test_outputs_and_decode_are_the_identity() -> None:
    out = torch.tensor([[1.0, 2.0]])
    assert MSE().outputs(2) == 2
    assert torch.equal(MSE().decode(out), out)


@pytest.mark.usefixtures("unhooked")
def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"but got outputs \(32,\) and targets \(32, 5\)\."):
        MSE().loss(torch.zeros(32), torch.zeros(32, 5))
