"""The N-pair loss against its definition, hand-worked values and its promises at the extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.n_pair import n_pair as slow_n_pair
from torch import Tensor
from torch.nn.functional import cross_entropy

from isotone.errors import ConfigError, ShapeError
from isotone.losses.n_pair import NPairLoss, n_pair

LABELS = {"none": None, "distinct": [3, 1, 4, 0, 5, 9, 2], "some twice": [0, 1, 0, 2, 1, 0, 3], "one class": [6] * 7}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labels(n: int, classes: int, seed: int) -> Tensor:
    return torch.randint(0, classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("norm_weight", [0.0, 0.01])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_value_and_gradient_equal_the_definition(kind: str, norm_weight: float, scale: float) -> None:
    f, g = ((_normal(7, 3, seed=seed) * scale).requires_grad_() for seed in (1, 2))
    y = LABELS[kind]
    fast = n_pair(f, g, None if y is None else torch.tensor(y), norm_weight=norm_weight)
    slow = slow_n_pair(f, g, list(range(7)) if y is None else y, norm_weight)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-13)
    for a, b in zip(torch.autograd.grad(fast, (f, g)), torch.autograd.grad(slow, (f, g)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_gradcheck() -> None:
    pair = _normal(5, 3, seed=1).requires_grad_(), _normal(5, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, g: n_pair(f, g, norm_weight=0.1), pair)
    assert torch.autograd.gradcheck(lambda f, g: n_pair(f, g, torch.tensor([0, 1, 0, 2, 1])), pair)


def test_known_value() -> None:  # losses.md section 11: f = g = (e1, e2), no regularisation
    f = torch.eye(2, dtype=torch.float64)
    assert n_pair(f, f).item() == pytest.approx(math.log(1 + 1 / math.e), abs=1e-15)
    assert n_pair(f, 3 * f, norm_weight=0.1).item() == pytest.approx(math.log(1 + math.exp(-3)) + 0.5, abs=1e-15)


def test_rows_of_zeros_cost_ln_n() -> None:
    assert n_pair(torch.zeros(5, 3), torch.zeros(5, 3)).item() == pytest.approx(math.log(5))


def test_one_class_has_nothing_to_pick_from_and_stays_joined_to_the_graph() -> None:
    f, g = _normal(4, 3, seed=1).requires_grad_(), _normal(4, 3, seed=2).requires_grad_()
    value = n_pair(f, g, torch.zeros(4, dtype=torch.long))
    assert value.item() == 0.0
    assert not any(grad.any() for grad in torch.autograd.grad(value, (f, g)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str) -> None:
    z = _normal(16, 32)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "identical": z[:1].repeat(16, 1)}.get(
        case, z
    )
    z = z * 0 if case == "zeros" else z
    z = torch.cat([z[:8], z[:8]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    z = z.to(dtype).requires_grad_()
    for labels in (None, torch.arange(8) // 2, torch.zeros(8, dtype=torch.long)):
        value = n_pair(z[:8], z[8:], labels, norm_weight=0.001)
        assert value.dtype == torch.float32
        assert bool(torch.isfinite(value))
        assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


def test_float32_is_within_1e_5_of_float64() -> None:
    z, y = _normal(2, 48, 16), _labels(48, 20, 3)
    low = z.float().requires_grad_()
    high = low.detach().double().requires_grad_()
    a, b = (n_pair(v[0], v[1], y, norm_weight=0.01) for v in (low, high))
    torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-6


def test_autocast_changes_nothing() -> None:
    f, g = _normal(16, 8, seed=1).float(), _normal(16, 8, seed=2).float()
    plain = n_pair(f, g, norm_weight=0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(n_pair(f, g, norm_weight=0.01), plain)


def test_two_types_give_the_wider_one() -> None:
    f, g = _normal(4, 3), _normal(4, 3)
    assert n_pair(f.half(), g).dtype == torch.float64
    assert n_pair(f.half(), g.bfloat16()).dtype == torch.float32


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 10), classes=st.integers(1, 12))
def test_properties(seed: int, n: int, classes: int) -> None:
    f, g, y = _normal(n, 4, seed=seed), _normal(n, 4, seed=seed + 1), _labels(n, classes, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 2))
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 3))[0]
    value = n_pair(f, g, y, norm_weight=0.1)
    for other in (
        n_pair(f[order], g[order], y[order], norm_weight=0.1),
        n_pair(f @ turn, g @ turn, 100 - 3 * y, norm_weight=0.1),
        0.1 * (f.square().sum() + g.square().sum()) / (2 * n) + n_pair(f, g, y),
    ):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)
    plain = cross_entropy(f @ g.T, torch.arange(n))  # losses.md section 11: without the norms, the cross-entropy
    for labels in (None, torch.arange(n)):
        torch.testing.assert_close(n_pair(f, g, labels), plain, rtol=1e-9, atol=1e-12)


def test_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3), torch.arange(6) % 4
    f, g = z[:, 0], z[:, 1]
    assert torch.equal(NPairLoss(0.02)(f, g, y), n_pair(f, g, y, norm_weight=0.02))
    assert torch.equal(NPairLoss()(f, g), n_pair(f, g))


UNHOOKED = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)
Z, Y = torch.zeros(4, 3), torch.arange(4)
MISTAKES: list[tuple[Tensor, Tensor, Tensor, str]] = [
    (
        Z,
        Z[:3],
        Y,
        "N-pair loss expects anchors and positives (n, d) of one shape, got (4, 3) and (3, 3). "
        "From two views (b, 2, d): n_pair(z[:, 0], z[:, 1]).",
    ),
    (
        Z[:, None],
        Z[:, None],
        Y,
        "N-pair loss expects anchors and positives (n, d) of one shape, got (4, 1, 3) and (4, 1, 3). "
        "From two views (b, 2, d): n_pair(z[:, 0], z[:, 1]).",
    ),
    (
        Z[:1],
        Z[:1],
        Y[:1],
        "N-pair loss compares samples and needs at least 2 rows, got 1. "
        "Use a larger batch, or drop the last incomplete one.",
    ),
    (Z, Z.long(), Y, "N-pair loss expects float embeddings, got torch.int64. Use embeddings.float()."),
    (
        Z,
        Z / 0,
        Y,
        "N-pair loss expects finite embeddings, got NaN or infinity in 4 of 4 rows (0, 1, 2, 3). "
        "The network has diverged or its input is damaged: look at the loss before.",
    ),
    (
        Z,
        Z,
        Y.float(),
        "N-pair loss asks whether labels are equal and expects integers, got torch.float32. "
        "Use RnC for real targets; for classes pass labels.long().",
    ),
    (
        Z,
        Z,
        Y[:3],
        "N-pair loss expects labels (4,), one for each sample, got (3,). "
        "Views of one sample share its label: pass embeddings (b, v, d) with labels (b,).",
    ),
]


@UNHOOKED
@pytest.mark.parametrize(("f", "g", "y", "message"), MISTAKES)
def test_mistakes_are_named(f: Tensor, g: Tensor, y: Tensor, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        n_pair(f, g, y)
    assert str(caught.value) == message


def test_wrong_settings_are_named_when_the_module_is_made() -> None:
    with pytest.raises(ConfigError) as caught:
        NPairLoss(norm_weight=-1.0)
    assert str(caught.value) == "`norm_weight` must be between 0 and 1,000,000, got -1."
