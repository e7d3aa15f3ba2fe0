"""The triplet loss against its definition, hand-worked values and its promises at the extremes."""

import math
from importlib import import_module
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.triplet import triplet as slow_triplet
from torch import Tensor
from torch.overrides import TorchFunctionMode

from isotone.errors import ConfigError
from isotone.losses.triplet import Margin, TripletLoss, triplet, triplet_output

module = import_module("isotone.losses.triplet")  # the package's name of it is the function

MINING = ["all", "hard", "semi-hard"]
MARGINS: list[Margin] = [0.2, 1.0, "soft"]
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
@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", MARGINS)
def test_value_and_gradient_equal_the_definition(kind: str, mining: str, margin: Margin) -> None:
    y = LABELS[kind]
    for normalize, average, scale in product([True, False], ["all", "active"], [1.0, 30.0]):
        v = (_normal(9, 3) * scale).requires_grad_()
        out = triplet_output(v, torch.tensor(y), margin=margin, mining=mining, normalize=normalize, average=average)
        slow, active = slow_triplet(v, y, margin, mining, normalize, average)
        torch.testing.assert_close(out.total, slow, rtol=1e-10, atol=1e-13)
        grads = [torch.autograd.grad(value, v)[0] for value in (out.total, slow)]
        torch.testing.assert_close(grads[0], grads[1], rtol=1e-10, atol=1e-12)
        assert out.parts["active"].item() == pytest.approx(active)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_views_are_rows_that_share_the_label(views: int) -> None:
    z, y = _normal(4, views, 3), [0, 1, 0, 2]
    slow, _ = slow_triplet(z.transpose(0, 1).reshape(-1, 3), y * views, 0.5, "all", True, "all")
    torch.testing.assert_close(triplet(z, torch.tensor(y), margin=0.5), slow, rtol=1e-12, atol=0)


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.7, "soft"])
def test_gradcheck(mining: str, margin: Margin) -> None:
    for normalize, average in product([True, False], ["all", "active"]):
        loss = TripletLoss(margin, mining, normalize, average)
        assert torch.autograd.gradcheck(lambda v, f=loss: f(v, torch.tensor([0, 0, 1, 1, 1, 2])), _grad(6, 3))
    assert torch.autograd.gradcheck(
        lambda v: triplet(v, torch.tensor([0, 1, 1]), margin=margin, mining=mining), _grad(3, 2, 3)
    )


def _grad(*shape: int) -> Tensor:
    return _normal(*shape).requires_grad_()


# losses.md section 11: z = e1, e1, e2, e2; every d_ap = 0 and every d_an = sqrt 2
@pytest.mark.parametrize("mining", MINING)
def test_known_values(mining: str) -> None:
    z, y = torch.eye(2, dtype=torch.float64).repeat_interleave(2, 0), torch.tensor([0, 0, 1, 1])
    assert triplet(z, y, margin=1.41, mining=mining).item() == 0.0
    assert triplet(z, y, margin=2.0, mining=mining).item() == pytest.approx(2 - math.sqrt(2), abs=1e-15)
    soft = math.log1p(math.exp(-math.sqrt(2)))
    assert triplet(z, y, margin="soft", mining=mining).item() == pytest.approx(soft, abs=1e-15)


# On a line: rows 0, 1, 3, 3.5 of classes 0, 0, 1, 1, margin 2.2. Triplets (a, p, n), [d_ap - d_an + 2.2]+:
# (0,1,2) .2 | (0,1,3) -.3, so 0 | (1,0,2) 1.2 | (1,0,3) .7
# (2,3,0) -.3, so 0 | (2,3,1) .7 | (3,2,0) -.8, so 0 | (3,2,1) .2
# all: 3.0 / 8, five of them active. hard: the nearest negatives, .2 + 1.2 + .7 + .2 = 2.3 / 4. semi-hard: the nearest
# that is farther than p, here the nearest for each, so 2.3 / 4 too.
HAND = [("all", "all", 3.0 / 8), ("all", "active", 3.0 / 5), ("hard", "all", 2.3 / 4), ("semi-hard", "all", 2.3 / 4)]


@pytest.mark.parametrize(("mining", "average", "value"), HAND)
def test_worked_by_hand(mining: str, average: str, value: float) -> None:
    z, y = torch.tensor([[0.0], [1.0], [3.0], [3.5]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    found = triplet(z, y, margin=2.2, mining=mining, average=average, normalize=False)
    assert found.item() == pytest.approx(value, abs=1e-14)


def test_semi_hard_takes_the_farthest_negative_where_none_is_farther_than_the_positive() -> None:
    # on a line, 0 and 5 of one class, 1 and 2 of another. The first two are 5 apart and both negatives are nearer:
    # from 0 the farthest is 2 off, from 5 it is 4 off. The others are 1 apart: from 1 the negatives are 1 off, which
    # is no farther, and 4 off; from 2 they are 2 off and 3 off.
    z, y = torch.tensor([[0.0], [5.0], [1.0], [2.0]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    found = triplet(z, y, margin=4.0, mining="semi-hard", normalize=False)
    assert found.item() == pytest.approx(((5 - 2 + 4) + (5 - 4 + 4) + (1 - 4 + 4) + (1 - 2 + 4)) / 4, abs=1e-14)


def test_a_triplet_exactly_at_the_margin_is_not_active() -> None:
    z, y = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64), torch.tensor([0, 0, 1])
    out = triplet_output(z, y, margin=2.0, normalize=False)  # (0,1,2): 1 - 3 + 2 = 0; (1,0,2): 1 - 2 + 2 = 1
    assert (out.total.item(), out.parts["active"].item(), out.parts["lonely"].item()) == (0.5, 0.5, 1)


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.2, "soft"])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [7, 7, 7, 7]])
def test_without_a_triplet_the_loss_is_0_and_joined_to_the_graph(
    mining: str, margin: Margin, labels: list[int]
) -> None:
    z = _grad(4, 3)
    for average in ("all", "active"):
        out = triplet_output(z, torch.tensor(labels), margin=margin, mining=mining, average=average)
        assert (out.total.item(), out.parts["active"].item(), out.parts["lonely"].item()) == (0.0, 0.0, 4)
        assert not torch.autograd.grad(out.total, z)[0].any()


@pytest.mark.parametrize("mining", MINING)
def test_collapse_shows_as_the_margin(mining: str) -> None:
    z, y = _normal(1, 3).repeat(6, 1).requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    value = triplet(z, y, margin=0.3, mining=mining)
    assert value.item() == pytest.approx(0.3, abs=1e-15)
    assert triplet(z, y, margin="soft", mining=mining).item() == pytest.approx(math.log(2), abs=1e-15)
    assert not torch.autograd.grad(value, z)[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
@pytest.mark.parametrize("mining", MINING)
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str, mining: str) -> None:
    z = _normal(16, 32)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "identical": z[:1].repeat(16, 1)}.get(
        case, z
    )
    z = z * 0 if case == "zeros" else z
    z = torch.cat([z[:8], z[:8]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    z = z.to(dtype).requires_grad_()
    for labels, margin, normalize in product(
        [torch.arange(16) // 4, torch.arange(16), torch.zeros(16, dtype=torch.long)], [0.2, "soft"], [True, False]
    ):
        value = triplet(z, labels, margin=margin, mining=mining, normalize=normalize)
        assert value.dtype == torch.float32
        assert bool(torch.isfinite(value))
        assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


def test_the_soft_margin_does_not_overflow() -> None:
    z, y = torch.tensor([[0.0], [3e4], [1.0]]), torch.tensor([0, 0, 1])
    found = triplet(z, y, margin="soft", normalize=False)  # (29999 + softplus(1)) / 2: exp(29999) has no float
    assert found.item() == pytest.approx((29999 + math.log1p(math.e)) / 2, rel=1e-6)


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.2, "soft"])
def test_float32_is_within_1e_5_of_float64(mining: str, margin: Margin) -> None:
    z, y = _normal(48, 16), _labels(48, 8, 3)
    low = z.float().requires_grad_()
    high = low.detach().double().requires_grad_()
    a, b = (triplet(v, y, margin=margin, mining=mining) for v in (low, high))
    torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)
    ga, gb = torch.autograd.grad(a, low)[0].double(), torch.autograd.grad(b, high)[0]
    assert float((ga - gb).norm() / gb.norm()) < 1e-6


@pytest.mark.parametrize("mining", MINING)
def test_autocast_changes_nothing(mining: str) -> None:
    z, y = _normal(16, 8).float(), _labels(16, 4, 1)
    plain = triplet(z, y, mining=mining)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(triplet(z, y, mining=mining), plain)


class _Largest(TorchFunctionMode):
    """Remembers the largest tensor that any function returned."""

    numel = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(x.numel() for x in [out] if isinstance(x, Tensor))])
        return out


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.2, "soft"])
def test_nothing_is_larger_than_n_by_n(mining: str, margin: Margin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 40 * 41)
    with _Largest() as largest:
        for normalize in (True, False):
            triplet(_normal(40, 4) * 9, _labels(40, 3, 0), margin=margin, mining=mining, normalize=normalize)
    assert 40 * 40 <= largest.numel <= 40 * 41  # the cumulative sums start with a column of zeros


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 10),
    classes=st.integers(1, 5),
    mining=st.sampled_from(MINING),
    margin=st.sampled_from(MARGINS),
    average=st.sampled_from(["all", "active"]),
    normalize=st.booleans(),
)
def test_properties(
    seed: int, n: int, classes: int, mining: str, margin: Margin, average: str, normalize: bool
) -> None:
    z, y = _normal(n, 4, seed=seed), _labels(n, classes, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))
    loss = TripletLoss(margin, mining, normalize, average)
    lengths = 1 + torch.rand(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 2))[0]
    moved = z @ turn * lengths if normalize else z @ turn + 5
    for other in (loss(z[order], y[order]), loss(moved, 100 - 3 * y)):
        torch.testing.assert_close(other, loss(z, y), rtol=1e-9, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 10),
    classes=st.integers(1, 5),
    block=st.sampled_from([1, 7, 60]),
    normalize=st.booleans(),
)
def test_soft_in_blocks_is_soft_in_one(seed: int, n: int, classes: int, block: int, normalize: bool) -> None:
    z, y = (_normal(n, 4, seed=seed) * 9).requires_grad_(), _labels(n, classes, seed)
    whole = triplet(z, y, margin="soft", normalize=normalize)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        parts = triplet(z, y, margin="soft", normalize=normalize)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(torch.autograd.grad(parts, z), torch.autograd.grad(whole, z), rtol=1e-10, atol=1e-13)


def test_average_over_the_active_is_the_mean_over_the_active_fraction() -> None:
    z, y = _normal(12, 3), _labels(12, 3, 5)
    out = triplet_output(z, y, margin=0.2)
    active = triplet(z, y, margin=0.2, average="active")
    assert 0 < out.parts["active"] < 1
    assert (out.total / out.parts["active"]).item() == pytest.approx(active.item(), rel=1e-6)


def test_parts_are_detached_and_the_module_is_the_function() -> None:
    z, y = _normal(6, 2, 3).requires_grad_(), torch.arange(6) % 3
    given = {"margin": "soft", "mining": "hard", "normalize": False, "average": "active"}
    assert torch.equal(TripletLoss(**given)(z, y), triplet(z, y, **given))
    assert not any(part.requires_grad for part in triplet_output(z, y).parts.values())


UNHOOKED = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)


Z, Y = torch.zeros(4, 3), torch.arange(4)


@UNHOOKED
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"margin": 0.0}, "`margin` must be a finite number above 0, got 0.0."),
        ({"margin": "sofft"}, "`margin` has no 'sofft'; there are soft. Did you mean 'soft'?"),
        (
            {"mining": "semihard"},
            "`mining` has no 'semihard'; there are all, hard, semi-hard. Did you mean 'semi-hard'?",
        ),
        ({"average": "activ"}, "`average` has no 'activ'; there are all, active. Did you mean 'active'?"),
    ],
)
def test_wrong_settings_are_named_when_the_module_is_made(wrong: dict[str, Margin], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TripletLoss(**wrong)
    assert str(caught.value) == message
    with pytest.raises(ConfigError):
        triplet(Z, Y, **wrong)
