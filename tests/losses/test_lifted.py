"""The lifted structure loss against its definition, hand-worked values and its promises at the extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.lifted import generalised, published
from torch import Tensor

from isotone.errors import ConfigError
from isotone.losses.lifted import LiftedLoss, lifted, lifted_output

FORMS = ["published", "generalised"]
SLOW = {"published": published, "generalised": generalised}
LABELS = {
    "three classes": [0, 0, 1, 1, 1, 2, 2, 0, 1],
    "uneven and lonely": [5, -3, 5, 5, 5, 9, 5, 2, 9],
    "two classes": [0, 1] * 4 + [0],
}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labels(n: int, classes: int, seed: int) -> Tensor:
    return torch.randint(0, classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_value_and_gradient_equal_the_definition(kind: str, form: str, scale: float) -> None:
    v, y = (_normal(9, 3) * scale).requires_grad_(), LABELS[kind]
    fast, slow = lifted(v, torch.tensor(y), margin=1.0, form=form), SLOW[form](v, y, 1.0)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    grads = [torch.autograd.grad(value, v)[0] for value in (fast, slow)]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-10, atol=1e-10 * scale)


def test_terms_below_0_cost_nothing() -> None:
    v, y = torch.tensor([[0.0], [0.1], [9.0], [9.1], [2.0], [2.4]], dtype=torch.float64), [0, 0, 1, 1, 2, 2]
    v.requires_grad_()  # the pair far out has J about 1 - 6.6 + ln 8 + .1, below 0; the other two are above
    for form in FORMS:
        fast, slow = lifted(v, torch.tensor(y), form=form), SLOW[form](v, y, 1.0)
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
        grads = [torch.autograd.grad(value, v)[0] for value in (fast, slow)]
        torch.testing.assert_close(grads[0], grads[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_views_are_rows_that_share_the_label(views: int, form: str) -> None:
    z, y = _normal(4, views, 3), [0, 1, 0, 2]
    slow = SLOW[form](z.transpose(0, 1).reshape(-1, 3), y * views, 1.0)
    torch.testing.assert_close(lifted(z, torch.tensor(y), form=form), slow, rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(form: str) -> None:
    loss = LiftedLoss(1.0, form)
    assert torch.autograd.gradcheck(lambda v: loss(v, torch.tensor([0, 0, 1, 1, 1, 2])), _normal(6, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda v: loss(v, torch.tensor([0, 1, 1])), _normal(3, 2, 3).requires_grad_())


def test_known_values() -> None:
    # losses.md section 11: z = e1, e1, e2, e2, margin 1: four negatives at sqrt 2, two from either row of a pair at 0
    z, y = torch.eye(2, dtype=torch.float64).repeat_interleave(2, 0), torch.tensor([0, 0, 1, 1])
    j = math.log(4) + 1 - math.sqrt(2)
    assert lifted(z, y).item() == pytest.approx(j**2 / 2, abs=1e-15)
    # an anchor has one positive at 0 and two negatives: ln e^0 + ln(2 e^(1 - sqrt 2))
    assert lifted(z, y, form="generalised").item() == pytest.approx(math.log(2) + 1 - math.sqrt(2), abs=1e-15)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("labels", "lonely"), [([0, 1, 2, 3], 4), ([7, 7, 7, 7], 0)])
def test_without_a_positive_or_a_negative_it_is_0_and_joined_to_the_graph(
    form: str, labels: list[int], lonely: int
) -> None:
    for scale in (1.0, 1e38):  # a sum of the rows would overflow
        z = (_normal(4, 3).float() * scale).requires_grad_()
        out = lifted_output(z, torch.tensor(labels), form=form)
        assert (out.total.item(), out.parts["lonely"].item()) == (0.0, lonely)
        assert not torch.autograd.grad(out.total, z)[0].any()


@pytest.mark.parametrize("form", FORMS)
def test_coincident_rows_get_no_gradient_from_each_other(form: str) -> None:
    z, y = _normal(1, 3).repeat(6, 1).requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    value = lifted(z, y, form=form)  # four negatives an anchor, eight a pair, all at distance 0
    expected = (math.log(8) + 1) ** 2 / 2 if form == "published" else math.log(4) + 1
    assert value.item() == pytest.approx(expected, abs=1e-14)
    assert not torch.autograd.grad(value, z)[0].any()


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
        value = lifted(z, labels, form=form)
        assert value.dtype == torch.float32
        assert bool(torch.isfinite(value))
        assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


@pytest.mark.parametrize("form", FORMS)
def test_float32_is_within_1e_5_of_float64(form: str) -> None:
    z, y = _normal(48, 16), _labels(48, 8, 3)
    low = z.float().requires_grad_()
    high = low.detach().double().requires_grad_()
    a, b = (lifted(v, y, form=form) for v in (low, high))
    torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_autocast_changes_nothing(form: str) -> None:
    z, y = _normal(16, 8).float(), _labels(16, 4, 1)
    plain = lifted(z, y, form=form)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lifted(z, y, form=form), plain)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 10), classes=st.integers(1, 5), form=st.sampled_from(FORMS))
def test_properties(seed: int, n: int, classes: int, form: str) -> None:
    z, y = _normal(n, 4, seed=seed), _labels(n, classes, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 2))[0]
    loss = LiftedLoss(1.0, form)
    for other in (loss(z[order], y[order]), loss(z @ turn + 5, 100 - 3 * y)):
        torch.testing.assert_close(other, loss(z, y), rtol=1e-9, atol=1e-12)


def test_parts_are_detached_and_the_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3).requires_grad_(), torch.arange(6) % 3
    for form in FORMS:
        assert torch.equal(LiftedLoss(0.7, form)(z, y), lifted(z, y, margin=0.7, form=form))
    assert not any(part.requires_grad for part in lifted_output(z, y).parts.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((0.0,), "`margin` must be a finite number above 0, got 0.0."),
        (
            (1.0, "generalized"),
            "`form` has no 'generalized'; there are published, generalised. Did you mean 'generalised'?",
        ),
    ],
)
def test_wrong_settings_are_named_when_the_module_is_made(wrong: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LiftedLoss(*wrong)
    assert str(caught.value) == message
