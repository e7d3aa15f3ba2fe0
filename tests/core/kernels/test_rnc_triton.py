"""The Triton kernels of RnC against `contrast` in float64: value, gradient, ties, chunks, blocks, extremes.

Without a GPU they run in Triton's interpreter, which Triton chooses by an environment variable when it is imported.
"""

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from isotone.core import contrast, negative_l2
from isotone.core.kernels import rnc_triton as kernels
from isotone.core.kernels.rnc_triton import rnc_triton, usable

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
with pytest.MonkeyPatch.context() as patch:
    if DEVICE == "cpu":
        patch.setenv("TRITON_INTERPRET", "1")
    KERNELS = kernels.compiled()
assert KERNELS is not None
if DEVICE == "cpu" and not KERNELS.interpreted:
    pytest.skip("triton was imported before this test could choose its interpreter", allow_module_level=True)


@pytest.fixture(autouse=True)
def _interpret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the interpreter's choice for the first launch, which imports more of triton; give it a scan of whole arrays.

    Its own scan takes one element after the other and a millisecond for each. This one adds as a GPU does, in a tree.
    """
    if DEVICE == "cpu":
        from triton.runtime.interpreter import ScanOps

        monkeypatch.setenv("TRITON_INTERPRET", "1")
        monkeypatch.setattr(ScanOps, "generic_scan", _scan)


def _scan(self: Any, parts: list[Any]) -> list[Any]:
    place, step = np.arange(parts[0].handle.data.shape[self.axis]), 1
    while step < len(place):
        before = [self.to_tensor(np.roll(x.handle.data, step, self.axis), x.dtype) for x in parts]
        added = self.combine_fn.fn(*before, *parts)
        chosen = [np.where(place < step, x.handle.data, a.handle.data) for x, a in zip(parts, added, strict=True)]
        parts = [self.to_tensor(c, x.dtype) for c, x in zip(chosen, parts, strict=True)]
        step *= 2
    return list(parts)


def _small(monkeypatch: pytest.MonkeyPatch, *, chunk: int, rows: int, n: int) -> None:
    """Cut the work into small pieces: chunks of a row, rows of a block."""
    monkeypatch.setattr(kernels, "_CHUNK", chunk)
    monkeypatch.setattr(kernels, "_ENTRIES", rows * n)


def _slow(z: Tensor, y: Tensor, t: float) -> tuple[Tensor, Tensor]:
    z = z.detach().cpu().double().requires_grad_()
    others = ~torch.eye(len(y), dtype=torch.bool)
    value = contrast(negative_l2(z, z) / t, (y[:, None] - y).abs(), others, others)
    return value.detach(), torch.autograd.grad(value, z)[0]


def _targets(kind: str, n: int) -> Tensor:
    make = torch.Generator().manual_seed(n)
    y = torch.rand(n, generator=make, dtype=torch.float64)
    return {
        "continuous": y,
        "integers": (y * 9).floor(),
        "two views": y[: (n + 1) // 2].repeat(2)[:n],
        "all equal": y * 0 + 3.0,
        # from the last one's place all the others are equally far; only the rounded differences say so
        "rounded together": torch.cat([y[1:], y[:1] + 1e16]),
    }[kind]


def _agree(z: Tensor, y: Tensor, t: float = 2.0) -> None:
    z = z.to(DEVICE).requires_grad_()
    value = rnc_triton(z, y.to(DEVICE), t)
    (grad,) = torch.autograd.grad(value, z)
    slow, slow_grad = _slow(z, y, t)
    assert (value.dtype, grad.dtype) == (torch.float64, z.dtype)
    torch.testing.assert_close(value.detach().cpu(), slow, rtol=1e-6, atol=1e-6)
    rounding = {torch.float32: 0.0, torch.float16: 1e-3, torch.bfloat16: 4e-3}[z.dtype]  # of the gradient handed back
    assert float((grad.cpu().double() - slow_grad).norm()) <= (1e-6 + rounding) * float(slow_grad.norm())


def _normal(n: int, d: int = 5) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("continuous", 1.0),
        ("continuous", 1e4),
        ("integers", 1.0),
        ("integers", 30.0),
        ("two views", 30.0),
        ("two views", 1e4),
        ("all equal", 1.0),
        ("rounded together", 1.0),
    ],
)
def test_value_and_gradient_equal_contrast(kind: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    _small(monkeypatch, chunk=8, rows=11, n=19)
    _agree(_normal(19) * scale, _targets(kind, 19))


@pytest.mark.parametrize("n", [2, 3, 70])
def test_other_sizes(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _small(monkeypatch, chunk=32, rows=n, n=n)
    _agree(_normal(n), _targets("integers", n))


def test_one_row_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    _small(monkeypatch, chunk=8, rows=9, n=9)
    monkeypatch.setattr(kernels, "_TILE", 8)
    _agree(_normal(9) * 10, _targets("two views", 9), 0.7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_types(dtype: torch.dtype) -> None:
    _agree(_normal(12).to(dtype), _targets("integers", 12))


def test_coincident_and_almost_coincident_rows_far_from_the_origin() -> None:
    z = _normal(12)
    z[6:] = z[:6] + 1e-4
    z[3] = z[4] = z[5]
    _agree(z + 1000.0, _targets("continuous", 12))


def test_a_gpu_with_slow_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_product_type", lambda device: torch.float32)
    _agree(_normal(12), _targets("two views", 12))


def test_identical_rows_have_no_gradient() -> None:
    z, y = torch.ones(9, 4, device=DEVICE, requires_grad=True), torch.arange(9.0, dtype=torch.float64, device=DEVICE)
    rnc_triton(z, y, 2.0).backward()
    assert z.grad is not None
    assert not z.grad.any()


def test_nan_goes_through() -> None:
    z, y = _normal(7).to(DEVICE), _targets("continuous", 7).to(DEVICE)
    z[2, 3] = float("nan")
    assert rnc_triton(z, y, 2.0).isnan()


def test_autocast_changes_nothing() -> None:
    z, y = _normal(7).to(DEVICE), _targets("continuous", 7).to(DEVICE)
    plain = rnc_triton(z, y, 2.0)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        assert torch.equal(rnc_triton(z, y, 2.0), plain)


def test_when_it_is_used() -> None:
    z = torch.zeros(8, 3, device=DEVICE)
    assert usable(z, torch.zeros(8, 1))
    assert usable(z.bfloat16(), torch.zeros(8, 1))
    assert not usable(z, torch.zeros(8, 2))
    assert not usable(z.double(), torch.zeros(8, 1))
