"""The softmax kernel against its definition in float64: loss, number of positives, gradient in place.

Without a GPU it runs in Triton's interpreter, which Triton chooses by an environment variable when it is imported.
"""

import importlib.util
import math

import pytest
import torch
from torch import Tensor

from isotone.core.kernels import softmax_triton
from isotone.core.kernels.softmax_triton import softmax_rows_triton, usable

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
with pytest.MonkeyPatch.context() as patch:
    if DEVICE == "cpu":
        patch.setenv("TRITON_INTERPRET", "1")
    KERNELS = softmax_triton.compiled()
assert KERNELS is not None
if DEVICE == "cpu" and not KERNELS.interpreted:
    pytest.skip("triton was imported before this test could choose its interpreter", allow_module_level=True)


@pytest.fixture(autouse=True)
def _interpret(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":  # the first launch imports more of triton
        monkeypatch.setenv("TRITON_INTERPRET", "1")


def _slow(logits: Tensor, label: Tensor, other: Tensor, own: Tensor, form: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses, numbers of positives and gradient, term by term in float64."""
    s = logits.double().requires_grad_()
    losses, counts = [], []
    for i in range(len(s)):
        kept = [k for k in range(s.shape[1]) if k != own[i]]
        positive = [k for k in kept if other[k] == label[i]]
        counts.append(len(positive))
        if not positive:
            losses.append(s[i, 0] * 0)
            continue
        every, mean = s[i, kept].logsumexp(0), s[i, positive].mean()
        if form == "in":
            mean = s[i, positive].logsumexp(0) - math.log(len(positive))
        losses.append(every - mean)
    loss = torch.stack(losses)
    return loss.detach(), torch.tensor(counts), torch.autograd.grad(loss.sum(), s)[0]


def _case(b: int, m: int, classes: int, scale: float, queue: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(b + m)
    other = torch.randint(0, classes, (m,), generator=make)
    label, own = other[:b], torch.arange(b)
    if queue:  # labels that no candidate has, no column of one's own
        label, own = torch.randint(0, classes + 2, (b,), generator=make), torch.full((b,), -1)
    return torch.randn(b, m, generator=make) * scale, label, other, own


@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize(
    ("b", "m", "classes", "queue"), [(1, 2, 1, False), (6, 6, 6, False), (5, 11, 3, False), (4, 70, 5, True)]
)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_equals_the_definition(
    b: int, m: int, classes: int, queue: bool, scale: float, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax_triton, "_CHUNK", 16)
    logits, label, other, own = _case(b, m, classes, scale, queue)
    slow_loss, slow_count, slow_grad = _slow(logits, label, other, own, form)
    written = logits.to(DEVICE, copy=True)
    loss, count = softmax_rows_triton(written, *(x.to(DEVICE) for x in (label, other, own)), form)
    assert (loss.dtype, count.dtype) == (torch.float32, torch.int64)
    assert torch.equal(count.cpu(), slow_count)
    torch.testing.assert_close(loss.cpu().double(), slow_loss, rtol=1e-6, atol=1e-6)
    assert float((written.cpu() - slow_grad).norm()) <= 1e-6 * float(slow_grad.norm())


@pytest.mark.parametrize("form", ["out", "in"])
def test_known_values(form: str) -> None:
    # losses.md section 11: z = e1, e1, e2, e2, labels 0, 0, 0, 1, t = 1; mean over the 3 anchors with positives
    z = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]], device=DEVICE)
    label, own = torch.tensor([0, 0, 0, 1], device=DEVICE), torch.arange(4, device=DEVICE)
    loss, count = softmax_rows_triton(z @ z.T, label, label, own, form)
    assert count.tolist() == [2, 2, 2, 0]
    assert loss[3] == 0
    assert loss.sum().item() / 3 == pytest.approx({"out": 1.2181113806, "in": 1.1380350426}[form], abs=1e-6)


def test_a_view_with_longer_rows_is_written_in_place() -> None:
    logits, label, other, own = (x.to(DEVICE) for x in _case(3, 5, 2, 1.0, False))
    wide = torch.full((3, 9), 7.0, device=DEVICE)
    wide[:, :5] = logits
    loss, _ = softmax_rows_triton(wide[:, :5], label, other, own, "out")
    assert torch.equal(loss, softmax_rows_triton(logits, label, other, own, "out")[0])
    assert torch.equal(wide[:, :5], logits)
    assert bool((wide[:, 5:] == 7).all())


def test_nan_goes_through() -> None:
    logits, label, other, own = (x.to(DEVICE) for x in _case(3, 5, 1, 1.0, False))
    logits[1, 0] = float("nan")
    loss, _ = softmax_rows_triton(logits, label, other, own, "out")
    assert loss.isnan().tolist() == [False, True, False]


def test_when_it_is_used() -> None:
    assert usable(torch.zeros(2, 2, device=DEVICE))
    assert not usable(torch.zeros(2, 2, device=DEVICE).double())
    assert not usable(torch.zeros(2, 2, device=DEVICE).bfloat16())


@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("with_own", [True, False])
def test_the_streamed_rows_may_hand_a_block_to_it(form: str, with_own: bool) -> None:
    """`lse_rows` calls it on a GPU in place of its own steps; here both do the same block."""
    from isotone.core.kernels import lse_rows

    logits, label, other, own = _case(6, 9, 3, 3.0, queue=False)
    label[3] = 77  # a row without a positive adds 0
    rows = slice(2, 5)
    itself, weight = own[rows].to(DEVICE) if with_own else None, torch.arange(1.0, 4.0, device=DEVICE) / 7
    few = lse_rows.Positives(label[rows].to(DEVICE), other.to(DEVICE), form)  # pyright: ignore[reportArgumentType]
    fused, plain = logits[rows].clone().to(DEVICE), logits[rows].clone().to(DEVICE)
    expected = lse_rows._descend(plain, plain.new_zeros(3, 0), weight, itself, few)
    found = lse_rows._descend_fused(fused, weight, itself, few)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
