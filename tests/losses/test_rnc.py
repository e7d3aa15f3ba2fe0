"""RnC against its definition, published values and its promises at the extremes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.rnc import floor as slow_floor
from oracle.rnc import rnc as slow_rnc
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.losses import RnCLoss, rnc, rnc_floor


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _targets(kind: str, n: int = 8) -> Tensor:
    make = torch.Generator().manual_seed(7)
    return {
        "continuous": torch.rand(n, 1, generator=make, dtype=torch.float64),
        "ages": torch.randint(20, 24, (n, 1), generator=make).double(),
        "two dimensions": torch.rand(n, 2, generator=make, dtype=torch.float64),
        "all equal": torch.full((n, 1), 3.0, dtype=torch.float64),
    }[kind]


@pytest.mark.parametrize("kind", ["continuous", "ages", "two dimensions", "all equal"])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_value_and_gradient_equal_the_definition(kind: str, scale: float) -> None:
    v, y = (_normal(8, 3) * scale).requires_grad_(), _targets(kind)
    fast, slow = rnc(v, y), slow_rnc(v, y, 2.0)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    torch.testing.assert_close(torch.autograd.grad(fast, v)[0], torch.autograd.grad(slow, v)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_views_are_rows_that_share_the_target(views: int) -> None:
    z, y = _normal(5, views, 3), _targets("continuous", 5)
    rows, repeated = z.transpose(0, 1).reshape(-1, 3), y.repeat(views, 1)
    torch.testing.assert_close(rnc(z, y), slow_rnc(rows, repeated, 2.0), rtol=1e-12, atol=0)


def test_gradcheck() -> None:
    y = _targets("ages")
    assert torch.autograd.gradcheck(lambda v: rnc(v, y), _normal(8, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda v: rnc(v, y[:4]), _normal(4, 2, 3).requires_grad_())


# losses.md section 11: worked by hand or with 50 digits; embedding, targets, temperature, value
FIXTURES = [
    ([[0.0], [1.0], [3.0]], [0.0, 1.0, 3.0], 1.0, 0.1255752310),
    ([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [1.0, 0.0]], [0.0, 2.0, 1.0, 1.0], 2.0, 0.7806476726),
    ([[1.0]] * 4, [0.0, 1.0, 3.0, 7.0], 2.0, math.log(6) / 3),
    ([[1.0]] * 5, [2.0] * 5, 2.0, math.log(4)),
]


@pytest.mark.parametrize(("z", "y", "t", "value"), FIXTURES)
def test_known_values(z: list[list[float]], y: list[float], t: float, value: float) -> None:
    found = rnc(torch.tensor(z, dtype=torch.float64), torch.tensor(y), temperature=t)
    assert found.item() == pytest.approx(value, abs=5e-11)


# labels 0..7 and [0,0,0,1,1,1] on the line v = c y: losses.md section 11; c, one view, two views
@pytest.mark.parametrize(
    ("c", "one", "two"), [(1, 0.834390, 1.535323), (10, 0.302125, 0.930483), (100, 0.297063, 0.924196)]
)
def test_line_embedding_reaches_the_floor(c: float, one: float, two: float) -> None:
    y = torch.arange(8, dtype=torch.float64)
    z = (c * y)[:, None]
    assert rnc(z, y).item() == pytest.approx(one, abs=1e-6)
    assert rnc(z[:, None].expand(8, 2, 1), y).item() == pytest.approx(two, abs=1e-6)


@pytest.mark.parametrize("kind", ["continuous", "ages", "two dimensions", "all equal"])
def test_floor_counts_ties(kind: str) -> None:
    y = _targets(kind)
    assert rnc_floor(y).item() == pytest.approx(slow_floor(y), abs=1e-12)
    assert rnc_floor(y, views=2).item() == pytest.approx(slow_floor(y.repeat(2, 1)), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates", "huge targets"]
)
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str) -> None:
    z, y = _normal(16, 32), torch.arange(16)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "identical": z[:1].repeat(16, 1)}.get(
        case, z
    )
    z = z * 0 if case == "zeros" else z
    z = torch.cat([z[:8], z[:8]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    y = y * 1e30 if case == "huge targets" else y
    z = z.to(dtype).requires_grad_()
    value = rnc(z, y)
    value.backward()
    assert value.dtype == torch.float32
    assert z.grad is not None
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(z.grad).all())


def test_float32_is_within_1e_5_of_float64() -> None:
    z, y = _normal(64, 16), _targets("continuous", 64)
    low = z.float().requires_grad_()
    high = low.detach().double().requires_grad_()
    a, b = rnc(low, y), rnc(high, y)
    torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-6


def test_autocast_changes_nothing() -> None:
    z, y = _normal(16, 8).float(), torch.rand(16)
    plain = rnc(z, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(rnc(z, y), plain)


def test_targets_that_float32_would_merge_stay_apart() -> None:
    seconds = torch.tensor([1.7e9, 1.7e9 + 30, 1.7e9 + 60, 1.7e9 + 120], dtype=torch.float64)
    z = _normal(4, 2)
    torch.testing.assert_close(rnc(z, seconds), rnc(z, seconds - 1.7e9), rtol=1e-12, atol=0)


def test_two_rows_have_nothing_to_rank() -> None:
    assert rnc(_normal(2, 3), torch.tensor([1.0, 2.0])).item() == 0.0


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 10), levels=st.integers(1, 6))
def test_properties(seed: int, n: int, levels: int) -> None:
    z = _normal(n, 4, seed=seed)
    y = torch.randint(0, levels, (n,), generator=torch.Generator().manual_seed(seed)).double()
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
    value = rnc(z, y)
    for other in (rnc(z[order], y[order]), rnc(z + 5, y), rnc(z, 3 * y - 7), rnc(z, y.exp() if levels == 2 else y)):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)
    assert value >= rnc_floor(y) - 1e-9


def test_views_may_be_swapped() -> None:
    z, y = _normal(6, 2, 3), _targets("ages", 6)
    torch.testing.assert_close(rnc(z.flip(1), y), rnc(z, y), rtol=1e-12, atol=0)


def test_other_distances_and_similarities() -> None:
    z, y = _normal(5, 3), torch.tensor([0.0, 90.0, 180.0, 350.0, 10.0])
    turned = rnc(z, y, distance="circular:360")
    torch.testing.assert_close(rnc(z, (y + 200) % 360, distance="circular:360"), turned)
    torch.testing.assert_close(rnc(z, y, distance=lambda a, b: (a - b.T).abs()), rnc(z, y))
    torch.testing.assert_close(rnc(z, y, similarity=lambda a, b: a @ b.T), rnc(z, y, similarity="dot"))
    assert rnc(z, y, similarity="cosine", temperature=0.1).isfinite()


def test_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3), _targets("continuous", 6)
    assert torch.equal(
        RnCLoss(0.5, "cosine", "l2")(z, y), rnc(z, y, temperature=0.5, similarity="cosine", distance="l2")
    )


Z, Y = torch.zeros(4, 3), torch.arange(4.0)
NAN = torch.tensor([0.0, float("nan"), 1.0, float("inf")])
MISTAKES: list[tuple[Tensor, Tensor, str]] = [
    (Z[0], Y, "RnC expects embeddings (n, d) or (b, v, d), got (3,). Add the width: embeddings[:, None]."),
    (Z.long(), Y, "RnC expects float embeddings, got torch.int64. Use embeddings.float()."),
    (
        Z[:1],
        Y[:1],
        "RnC compares samples and needs at least 2 rows, got 1. Use a larger batch, or drop the last incomplete one.",
    ),
    (
        Z + NAN[:, None],
        Y,
        "RnC expects finite embeddings, got NaN or infinity in 2 of 4 rows (1, 3). "
        "The network has diverged or its input is damaged: look at the loss before.",
    ),
    (
        Z,
        NAN,
        "RnC expects finite targets, got NaN or infinity in 2 of 4 rows (1, 3). "
        "Drop these rows, or fill in the missing targets.",
    ),
    (
        Z,
        Y[:3],
        "RnC expects targets (4,) or (4, k), one for each sample, got (3,). "
        "Views of one sample share its target: pass embeddings (b, v, d) with targets (b,).",
    ),
    (Z, Y > 1, "RnC orders samples by real targets, got torch.bool. Use SupCon for classes."),
]


@pytest.mark.parametrize(("z", "y", "message"), MISTAKES)
def test_mistakes_are_named(z: Tensor, y: Tensor, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        rnc(z, y)
    assert str(caught.value) == message


def test_wrong_settings_are_named_when_the_module_is_made() -> None:
    with pytest.raises(ConfigError) as caught:
        RnCLoss(temperature=0.0)
    assert str(caught.value) == "`temperature` must be a finite number above 0, got 0.0."
    with pytest.raises(ConfigError) as caught:
        RnCLoss(similarity="cosin")
    assert str(caught.value) == "`similarity` has no 'cosin'; there are l2, cosine, dot. Did you mean 'cosine'?"
    with pytest.raises(ConfigError) as caught:
        RnCLoss(distance="circular:x")
    assert str(caught.value) == "`period` must be a finite number above 0, got nan."
