"""The contrastive pair loss against its definition, hand-worked values and its promises at the extremes."""

import math
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.contrastive import contrastive as slow_contrastive
from torch import Tensor

from isotone.errors import ConfigError
from isotone.losses.contrastive import ContrastiveLoss, contrastive, contrastive_output

module = import_module("isotone.losses.contrastive")  # the package's name of it is the function

FORMS = ["hadsell", "chopra"]
LABELS = {
    "three classes": [0, 0, 1, 1, 1, 2, 2, 0, 1],
    "uneven and lonely": [5, -3, 5, 5, 5, 9, 5, 2, 9],
    "all apart": list(range(9)),
    "one class": [4] * 9,
}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labels(n: int, classes: int, seed: int) -> Tensor:
    return torch.randint(0, classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [0.3, 1.0, 30.0])
def test_value_and_gradient_equal_the_definition(kind: str, form: str, scale: float) -> None:
    v, y = (_normal(9, 3) * scale).requires_grad_(), LABELS[kind]
    fast = contrastive(v, torch.tensor(y), margin=2.0, form=form, bound=6.0)
    slow = slow_contrastive(v, y, 2.0, form, 6.0)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    grads = [torch.autograd.grad(value, v)[0] for value in (fast, slow)]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_views_are_rows_that_share_the_label(views: int, form: str) -> None:
    z, y = _normal(4, views, 3), [0, 1, 0, 2]
    slow = slow_contrastive(z.transpose(0, 1).reshape(-1, 3), y * views, 3.0, form, 6.0)
    torch.testing.assert_close(
        contrastive(z, torch.tensor(y), margin=3.0, form=form, bound=6.0), slow, rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(form: str) -> None:
    loss = ContrastiveLoss(2.0, form, 6.0)
    assert torch.autograd.gradcheck(lambda v: loss(v, torch.tensor([0, 0, 1, 1, 1, 2])), _normal(6, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda v: loss(v, torch.tensor([0, 1, 1])), _normal(3, 2, 3).requires_grad_())


def test_known_value() -> None:  # losses.md section 11: a negative pair at sqrt 2, margin 2
    found = contrastive(torch.eye(2, dtype=torch.float64), torch.tensor([0, 1]), margin=2.0)
    assert found.item() == pytest.approx((2 - math.sqrt(2)) ** 2 / 2, abs=1e-15)


def test_worked_by_hand() -> None:
    # (0, 0) and (3, 4) of class 0, (0, 4) of class 1. Euclidean 5, 4 (apart), 3 (apart); L1 7, 4, 7 - 4 = 3.
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    assert contrastive(z, y, margin=3.5).item() == pytest.approx((25 / 2 + 0 + 0.5**2 / 2) / 3, abs=1e-14)
    terms = [2 / 8 * 49, 16 * math.exp(-2.77 * 4 / 8), 16 * math.exp(-2.77 * 3 / 8)]
    assert contrastive(z, y, form="chopra", bound=8.0).item() == pytest.approx(sum(terms) / 3, abs=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_coincident_rows_get_no_gradient_from_each_other(form: str) -> None:
    z, y = _normal(1, 3).repeat(6, 1).requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    value = contrastive(z, y, margin=1.5, form=form, bound=6.0)
    worst = 1.5**2 / 2 if form == "hadsell" else 2 * 6.0  # 12 of the 15 pairs are of two classes
    assert value.item() == pytest.approx(12 / 15 * worst, abs=1e-14)
    assert not torch.autograd.grad(value, z)[0].any()


def test_rows_alone_in_their_class_are_counted() -> None:
    lonely = [contrastive_output(_normal(9, 3), torch.tensor(y)).parts["lonely"].item() for y in LABELS.values()]
    assert lonely == [0, 2, 9, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
@pytest.mark.parametrize("form", FORMS)
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str, form: str) -> None:
    z = _normal(16, 32)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "identical": z[:1].repeat(16, 1)}.get(
        case, z
    )
    z = z * 0 if case == "zeros" else z
    z = torch.cat([z[:8], z[:8]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    z = z.to(dtype).requires_grad_()
    for labels in (torch.arange(16) // 4, torch.arange(16), torch.zeros(16, dtype=torch.long)):
        value = contrastive(z, labels, form=form, bound=64.0)
        assert value.dtype == torch.float32
        assert bool(torch.isfinite(value))
        assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


@pytest.mark.parametrize("form", FORMS)
def test_float32_is_within_1e_5_of_float64(form: str) -> None:
    z, y = _normal(48, 16), _labels(48, 8, 3)
    low = z.float().requires_grad_()
    high = low.detach().double().requires_grad_()
    a, b = (contrastive(v, y, margin=6.0, form=form, bound=20.0) for v in (low, high))
    torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_autocast_changes_nothing(form: str) -> None:
    z, y = _normal(16, 8).float().requires_grad_(), _labels(16, 4, 1)
    plain = contrastive(z, y, form=form, bound=16.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = contrastive(z, y, form=form, bound=16.0)
        assert torch.equal(cast, plain)
        assert torch.equal(torch.autograd.grad(cast, z)[0], torch.autograd.grad(plain, z)[0])


def test_l1_gradient_in_blocks_is_the_gradient_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    z, y = _normal(9, 3).requires_grad_(), _labels(9, 3, 1)
    whole = torch.autograd.grad(contrastive(z, y, form="chopra", bound=6.0), z)[0]
    for block in (1, 54, 60):
        monkeypatch.setattr(module, "BLOCK", block)
        parts = torch.autograd.grad(contrastive(z, y, form="chopra", bound=6.0), z)[0]
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-15)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 10), classes=st.integers(1, 5), form=st.sampled_from(FORMS))
def test_properties(seed: int, n: int, classes: int, form: str) -> None:
    z, y = _normal(n, 4, seed=seed), _labels(n, classes, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
    loss = ContrastiveLoss(2.0, form, 8.0)
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 2))[0] if form == "hadsell" else -torch.eye(4).double()
    for other in (loss(z[order], y[order]), loss(z @ turn + 5, 100 - 3 * y)):
        torch.testing.assert_close(other, loss(z, y), rtol=1e-9, atol=1e-12)


def test_parts_are_detached_and_the_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3).requires_grad_(), torch.arange(6) % 3
    assert torch.equal(ContrastiveLoss(0.7)(z, y), contrastive(z, y, margin=0.7))
    assert torch.equal(ContrastiveLoss(1.0, "chopra", 9.0)(z, y), contrastive(z, y, form="chopra", bound=9.0))
    assert not any(part.requires_grad for part in contrastive_output(z, y).parts.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((0.0,), "`margin` must be a finite number above 0, got 0.0."),
        ((1.0, "chopr"), "`form` has no 'chopr'; there are hadsell, chopra. Did you mean 'chopra'?"),
        ((1.0, "chopra", -1.0), "`bound` must be a finite number above 0, got -1.0."),
        (
            (1.0, "chopra"),
            "`form` chopra needs `bound`, the largest L1 distance two embeddings can have, got None. "
            "Coordinates within [-1, 1]: 2 * width; unit rows: 2 * sqrt(width).",
        ),
    ],
)
def test_wrong_settings_are_named_when_the_module_is_made(wrong: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ContrastiveLoss(*wrong)
    assert str(caught.value) == message
