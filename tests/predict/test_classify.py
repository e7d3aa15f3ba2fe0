"""Classify: the cross-entropy written out, codes, and what is refused."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotone.errors import ShapeError
from isotone.predict.classify import Classify


def _slow(out: torch.Tensor, code: list[int]) -> float:
    """Return the mean of -log(exp(out_class) / sum exp(out)), term by term."""
    total = 0.0
    for row, c in zip(out.tolist(), code, strict=True):
        total -= math.log(math.exp(row[c]) / sum(math.exp(x) for x in row))
    return total / len(code)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), c=st.integers(1, 5))
def test_the_loss_is_the_definition_and_its_gradient_softmax_less_truth(seed: int, n: int, c: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    out = torch.randn(n, c, generator=draw, dtype=torch.float64, requires_grad=True)
    code = torch.randint(c, (n,), generator=draw)
    loss = Classify().loss(out, code[:, None].double())
    assert loss.item() == pytest.approx(_slow(out, code.tolist()), abs=1e-10)
    loss.backward()
    expected = (out.detach().softmax(dim=1) - torch.nn.functional.one_hot(code, c)) / n
    torch.testing.assert_close(out.grad, expected, rtol=0, atol=1e-12)


def test_by_hand() -> None:
    out = torch.tensor([[0.0, math.log(3.0)]])
    assert Classify().loss(out, torch.tensor([[0.0]])).item() == pytest.approx(math.log(4.0), rel=1e-6)  # 1 / (1 + 3)
    assert Classify().loss(out, torch.tensor([[1.0]])).item() == pytest.approx(math.log(4 / 3), rel=1e-6)


def test_codes_come_back() -> None:
    out = torch.eye(300)
    assert Classify().outputs(300) == 300
    assert Classify().decode(out).flatten().tolist() == list(range(300))
    assert Classify().decode(torch.ones(1, 3)).tolist() == [[0.0]]  # of equals, the first
    assert Classify().decode(out.bfloat16()).flatten().tolist() == list(range(300))  # bfloat16 would round 257


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_outputs_stay_finite(size: float) -> None:
    out = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    loss = Classify().loss(out, torch.tensor([[1.0], [1.0]]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert out.grad is not None
    assert bool(out.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    out = torch.tensor([[1.0, 2.0]], dtype=dtype)
    assert Classify().loss(out, torch.tensor([[1.0]])).dtype == torch.float32


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0.0], [-1.0]], "from 0 to 2, but they go from -1 to 0. Leave out the rows without a label."),
        ([[0.0], [3.0]], "from 0 to 2, but they go from 0 to 3. Leave out the rows without a label."),
        ([[0.5], [1.0]], "from 0 to 2, but they go from 0.5 to 1. Leave out the rows without a label."),
        ([[float("nan")], [1.0]], "from 0 to 2, but they go from nan to nan. Leave out the rows without a label."),
    ],
)
def test_codes_that_are_no_class_are_refused(codes: list[list[float]], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Classify().loss(torch.zeros(2, 3), torch.tensor(codes))
    assert str(caught.value) == f"Classify expects whole class codes {message}"


@pytest.mark.usefixtures("unhooked")
def test_flat_codes_are_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        Classify().loss(torch.zeros(4, 3), torch.zeros(4))
    assert str(caught.value) == (
        "Classify expects outputs (n, c) and class codes (n, 1) with n >= 1, but got outputs (4, 3) and targets (4,).\n"
        "Give the codes as category[:, None]."
    )
