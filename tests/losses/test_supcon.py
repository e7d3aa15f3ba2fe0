"""SupCon against its definition, known values and its promises at the extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.supcon import supcon as slow_supcon
from torch import Tensor

from isotone.core import contrast, cosine
from isotone.errors import ConfigError
from isotone.losses import SupConLoss, info_nce, supcon
from isotone.losses.supcon import supcon_output, unchecked_supcon

unhooked = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)

FORMS = ["out", "in"]
LABELS = {
    "classes": [0, 2, 0, 1, 2, 2, 0, 1],
    "some alone": [0, 2, 0, 3, 2, 5, 9, 1],
    "one class": [4] * 8,
    "pairs": [0, 1, 2, 3, 3, 2, 1, 0],
}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labels(n: int, classes: int, seed: int) -> Tensor:
    return torch.randint(0, classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("t", [0.07, 0.5, 2.0])
def test_value_and_gradient_equal_the_definition(form: str, kind: str, t: float) -> None:
    z, y = _normal(8, 3).requires_grad_(), torch.tensor(LABELS[kind])
    fast, slow = supcon(z, y, temperature=t, form=form), slow_supcon(z, y, t, form)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(torch.autograd.grad(fast, z), torch.autograd.grad(slow, z), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("form", "spread"), [("out", 1.0), ("out", 0.3), ("in", 1.0), ("in", 0.6)])
def test_float32_is_within_1e_5_of_the_definition(form: str, spread: float) -> None:
    y = torch.arange(12) % 4
    low = (_normal(4, 16)[y] + spread * _normal(12, 16, seed=1)).float().requires_grad_()
    high = low.detach().double().requires_grad_()
    fast, slow = supcon(low, y, form=form), slow_supcon(high, y, 0.1, form)
    torch.testing.assert_close(fast.double(), slow, rtol=1e-5, atol=0)
    a, b = torch.autograd.grad(fast, low)[0].double(), torch.autograd.grad(slow, high)[0]
    assert float((a - b).norm() / b.norm()) < 1e-5


@pytest.mark.parametrize("views", [1, 2, 3])
def test_views_are_rows_that_share_the_label(views: int) -> None:
    z, y = _normal(5, views, 3), torch.tensor([0, 1, 1, 0, 2])
    rows, repeated = z.transpose(0, 1).reshape(-1, 3), y.repeat(views)
    torch.testing.assert_close(supcon(z, y), slow_supcon(rows, repeated, 0.1), rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(form: str) -> None:
    y = torch.tensor(LABELS["some alone"])
    assert torch.autograd.gradcheck(lambda z: supcon(z, y, form=form), _normal(8, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda z: supcon(z, y[:4], form=form), _normal(4, 2, 3).requires_grad_())


E1, E2 = [1.0, 0.0], [0.0, 1.0]
# losses.md section 11, worked by hand; labels, temperature, form, value for z = e1, e1, e2, e2
FIXTURES = [
    ([0, 0, 1, 1], 1.0, "out", 0.5514447139),  # ln(1 + 2/e)
    ([0, 0, 1, 1], 1.0, "in", 0.5514447139),
    ([0, 0, 1, 1], 0.5, "out", 0.2395447662),  # ln(1 + 2/e^2)
    ([0, 0, 0, 1], 1.0, "out", 1.2181113806),
    ([0, 0, 0, 1], 1.0, "in", 1.1380350426),
]


@pytest.mark.parametrize(("y", "t", "form", "value"), FIXTURES)
def test_known_values(y: list[int], t: float, form: str, value: float) -> None:
    z = torch.tensor([E1, E1, E2, E2], dtype=torch.float64)
    assert supcon(z, torch.tensor(y), temperature=t, form=form).item() == pytest.approx(value, abs=5e-11)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("t", [0.005, 0.1, 1.0])
def test_equal_rows_give_the_log_of_the_candidates(form: str, t: float) -> None:
    z = torch.full((16, 4), 3.0, requires_grad=True)
    value = supcon(z, torch.arange(16) // 2, temperature=t, form=form)
    assert value.item() == pytest.approx(math.log(15), rel=1e-6)  # ln(M - 1), whatever the temperature
    assert torch.autograd.grad(value, z)[0].abs().max() < 1e-4 / t


def test_it_is_the_one_contrast_with_distance_0_and_1() -> None:
    z, y = _normal(8, 3).requires_grad_(), torch.tensor(LABELS["some alone"])
    same, others = y[:, None] == y, ~torch.eye(8, dtype=torch.bool)
    general = contrast(cosine(z, z) / 0.1, (~same).double(), others, same)
    special = supcon(z, y)
    torch.testing.assert_close(special, general, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.autograd.grad(special, z), torch.autograd.grad(general, z), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_all_distinct_classes_and_two_views_are_nt_xent(form: str) -> None:
    z = _normal(6, 2, 3)
    torch.testing.assert_close(supcon(z, torch.arange(6), form=form), info_nce(z), rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_rows_alone_in_their_class_have_no_term_and_are_counted(form: str) -> None:
    z, y = _normal(6, 3), torch.tensor([0, 0, 0, 1, 1, 7])
    out = supcon_output(z, y, form=form)
    assert out.parts["lonely"].item() == 1
    assert out.total.item() == pytest.approx(sum(_term(z, y, i, form) for i in range(5)) / 5, rel=1e-12)


def _term(z: Tensor, y: Tensor, i: int, form: str) -> float:
    """One anchor's cross-entropy against the uniform target over its positives, in torch's own words."""
    keep = torch.arange(len(y)) != i
    s = (cosine(z[i : i + 1], z) / 0.1)[0][keep]
    log_p, positive = s.log_softmax(0), (y == y[i])[keep]
    return -(log_p[positive].mean() if form == "out" else log_p[positive].exp().mean().log()).item()


@pytest.mark.parametrize("form", FORMS)
def test_where_all_are_alone_it_is_zero_and_joined_to_the_graph(form: str) -> None:
    z = _normal(5, 3).requires_grad_()
    out = supcon_output(z, torch.arange(5), form=form)
    assert out.total.item() == 0.0
    assert out.parts["lonely"].item() == 5
    assert not torch.autograd.grad(out.total, z)[0].any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [0.0, 1e-25, 1e25])
def test_rows_of_zeros_and_of_any_length(form: str, scale: float) -> None:
    """A row of zeros has cosine 0 with everything; the square of 1e25 is no float32, nor is that of 1e-25."""
    z, y = _normal(8, 3), torch.tensor(LABELS["classes"])
    z[3] *= scale
    value = supcon(z.float(), y, form=form)
    assert value.item() == pytest.approx(slow_supcon(z, y, 0.1, form).item(), rel=1e-5)


def _nasty(case: str, dtype: torch.dtype) -> Tensor:
    z = _normal(16, 32)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "identical": z[:1].repeat(16, 1)}.get(
        case, z
    )
    z = z * 0 if case == "zeros" else z
    z = torch.cat([z[:8], z[:8]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    return z.to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
@pytest.mark.parametrize("form", FORMS)
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str, form: str) -> None:
    z = _nasty(case, dtype)
    for y in (torch.arange(16) // 4, torch.arange(16), torch.zeros(16, dtype=torch.long)):
        for t in (0.1, 0.001):
            value = supcon(z, y, form=form, temperature=t)
            assert value.dtype == torch.float32
            assert bool(torch.isfinite(value))
            assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


@pytest.mark.parametrize("form", FORMS)
def test_autocast_changes_nothing(form: str) -> None:
    z, y = _normal(16, 8).float().requires_grad_(), torch.arange(16) % 3
    plain = supcon(z, y, form=form)
    gradient = torch.autograd.grad(plain, z)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = supcon(z, y, form=form)
        assert torch.equal(value, plain)
        assert torch.equal(torch.autograd.grad(value, z)[0], gradient)  # even backward inside


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), b=st.integers(1, 5), classes=st.integers(1, 5), form=st.sampled_from(FORMS))
def test_properties(seed: int, b: int, classes: int, form: str) -> None:
    """Order, view order, class names, lengths and directions do not count; `in` is at most `out`."""
    z, y = _normal(b, 2, 4, seed=seed), _labels(b, classes, seed)
    make = torch.Generator().manual_seed(seed + 1)
    order, lengths = torch.randperm(b, generator=make), 0.1 + torch.rand(b, 2, 1, generator=make)
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 2))[0]
    loss = SupConLoss(0.2, form)
    value = loss(z, y)
    for other in (loss(z[order], y[order]), loss(z.flip(1), y), loss(z, 100 - 3 * y), loss(z @ turn * lengths, y)):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)
    assert supcon(z, y, form="in") <= supcon(z, y, form="out") + 1e-12


@unhooked
def test_bools_are_two_classes_and_labels_may_be_any_integers() -> None:
    z, y = _normal(6, 3), torch.tensor([0, 1, 1, 0, 1, 0])
    assert torch.equal(supcon(z, y.bool()), supcon(z, y))
    assert torch.equal(supcon(z, y.to(torch.uint8)), supcon(z, y))
    assert torch.equal(supcon(z, y * 10**17 - 5), supcon(z, y))


def test_unchecked_lets_nan_through() -> None:
    z = _normal(4, 3)
    z[1, 1] = float("nan")
    assert unchecked_supcon(z, torch.tensor([0, 0, 1, 1]), temperature=0.1).total.isnan()


def test_parts_are_detached_and_the_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3).requires_grad_(), torch.arange(6) % 3
    assert torch.equal(SupConLoss(0.3, "in")(z, y), supcon(z, y, temperature=0.3, form="in"))
    assert not any(part.requires_grad for part in supcon_output(z, y).parts.values())


Z, Y = torch.zeros(4, 3), torch.arange(4)


@unhooked
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0."),
        ({"temperature": float("nan")}, "`temperature` must be a finite number above 0, got nan."),
        ({"form": "outt"}, "`form` has no 'outt'; there are out, in. Did you mean 'out'?"),
    ],
)
def test_wrong_settings_are_named_when_the_module_is_made(wrong: dict[str, object], message: str) -> None:
    for make in (SupConLoss, lambda **given: supcon(Z, Y, **given)):
        with pytest.raises(ConfigError) as caught:
            make(**wrong)
        assert str(caught.value) == message
