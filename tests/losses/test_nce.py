"""Binary NCE, NPID's and PIRL's, against the definitions, published values and their promises at the extremes."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import nce as slow
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.losses.nce import NCELoss, PIRLNCELoss, nce, pirl_nce

N, T = 1000, 0.3


@pytest.fixture
def unhooked(request: pytest.FixtureRequest) -> None:
    """Skip a test of refused shapes where the type-checking hook, which is not there for users, refuses them first."""
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("the type-checking hook refuses the argument first")


def _batch(n: int = 6, k: int = 4, d: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(seed)
    shapes = ((n, d), (n, d), (n, k, d))
    return tuple(torch.randn(*shape, generator=make, dtype=torch.float64) for shape in shapes)  # type: ignore[return-value]


def _close(fast: Tensor, slow_value: Tensor, rows: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(fast, slow_value, rtol=1e-10, atol=0)
    for a, b in zip(torch.autograd.grad(fast, rows), torch.autograd.grad(slow_value, rows), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("z", [1.0, 2500.0, 1e9])
def test_value_and_gradient_equal_the_definition(z: float) -> None:
    rows = tuple(x.requires_grad_() for x in _batch())
    _close(nce(*rows, instances=N, z=z, temperature=T), slow.nce(*rows, n=N, z=z, t=T), rows)


def test_without_z_it_is_the_first_batch_s_estimate() -> None:
    rows = tuple(x.requires_grad_() for x in _batch())
    z = slow.first_batch_z(*rows, n=N, t=T)
    _close(nce(*rows, instances=N, temperature=T), slow.nce(*rows, n=N, z=z, t=T), rows)  # no gradient through Z


def test_pirl_s_value_and_gradient_equal_the_definition() -> None:
    rows = tuple(x.requires_grad_() for x in _batch())
    _close(pirl_nce(*rows, temperature=T), slow.pirl(*rows, t=T), rows)


def test_float32_is_within_1e_5_of_the_definition() -> None:
    low = tuple(x.float().requires_grad_() for x in _batch(16, 8, 12))
    high = tuple(x.detach().double().requires_grad_() for x in low)
    pairs = [
        (nce(*low, instances=N, z=2500.0), slow.nce(*high, n=N, z=2500.0, t=0.07)),
        (pirl_nce(*low), slow.pirl(*high, t=0.07)),
    ]
    for a, b in pairs:
        assert a.dtype == torch.float32
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=0)
        for ga, gb in zip(torch.autograd.grad(a, low), torch.autograd.grad(b, high), strict=True):
            assert float((ga.double() - gb).norm() / gb.norm()) < 1e-5


# ln(1+K) + K ln((1+K)/K), all P = 1/N: losses.md section 11, which drops a digit of the second
@pytest.mark.parametrize(("k", "value"), [(1, 2 * math.log(2)), (4, 2.5020121177), (4096, 9.3178882271)])
def test_known_values(k: int, value: float) -> None:
    z, rows = torch.ones(2, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)[:2]  # every cosine is 1/2
    noise = rows[:1].expand(k, 4)
    exact = nce(z, rows, noise, instances=N, z=N * math.exp(0.5 / T), temperature=T)
    for found in (exact, nce(z, rows, noise, instances=7), pirl_nce(z, rows, noise)):
        assert found.item() == pytest.approx(value, abs=5e-11)


def test_gradcheck() -> None:
    rows = tuple(x.requires_grad_() for x in _batch(3, 2, 3))
    assert torch.autograd.gradcheck(lambda v, p, q: nce(v, p, q, instances=N, z=500.0, temperature=T), rows)
    assert torch.autograd.gradcheck(lambda v, p, q: pirl_nce(v, p, q, temperature=T), rows)
    views = torch.stack([rows[0], rows[1]], 1).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: nce(v, rows[1], rows[2], instances=N, z=500.0, temperature=T), (views,))


def test_views_share_positive_and_noise() -> None:
    v, positive, noise = _batch()
    views = torch.stack([v, -v, v * 2 + 1], 1)  # (b, 3, d)
    rows = views.transpose(0, 1).reshape(-1, 5)
    for loss in (lambda *x: nce(*x, instances=N, z=2500.0), pirl_nce):
        whole = loss(rows, positive.repeat(3, 1), noise.repeat(3, 1, 1))
        torch.testing.assert_close(loss(views, positive, noise), whole, rtol=1e-12, atol=0)
        torch.testing.assert_close(loss(views.flip(1), positive, noise), whole, rtol=1e-12, atol=0)


def test_shared_noise_is_the_same_noise_for_each() -> None:
    v, positive, noise = _batch()
    for loss in (lambda *x: nce(*x, instances=N, z=2500.0), pirl_nce):
        each = loss(v, positive, noise[:1].expand(6, -1, -1))
        torch.testing.assert_close(loss(v, positive, noise[0]), each, rtol=1e-12, atol=0)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "given Z": lambda *x: nce(*x, instances=N, z=2500.0),
    "estimated Z": lambda *x: nce(*x, instances=N),
    "PIRL": pirl_nce,
}


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 6), k=st.integers(1, 6), scale=st.floats(1e-3, 1e3))
def test_properties(name: str, seed: int, n: int, k: int, scale: float) -> None:
    (v, positive, noise), loss = _batch(n, k, 3, seed), LOSSES[name]
    make = torch.Generator().manual_seed(seed)
    rows, draws = torch.randperm(n, generator=make), torch.randperm(k, generator=make)
    value = loss(v, positive, noise)
    assert value > 0
    assert value.isfinite()
    permuted = loss(v[rows], positive[rows], noise[rows])
    for other in (permuted, loss(v, positive, noise[:, draws]), loss(v * scale, positive, noise * scale)):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)


def test_n_cancels_where_z_is_estimated() -> None:
    rows = _batch()
    torch.testing.assert_close(nce(*rows, instances=10), nce(*rows, instances=10**6), rtol=1e-12, atol=0)


CASES = ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates", "opposite", "tiny temperature"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shared", [False, True])
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str, shared: bool) -> None:
    v, positive, noise = _batch(16, 8, 32)
    large = 1e3 if dtype == torch.float16 else 1e4
    scale = {"x30": 30.0, "x1e4": large, "zeros": 0.0}.get(case, 1.0)
    v, positive, noise = v * scale, positive * scale, noise * scale
    if case == "identical":
        v, positive, noise = v[:1].repeat(16, 1), v[:1].repeat(16, 1), v[:1].expand(16, 8, 32)
    if case == "duplicates":
        v, positive = torch.cat([v[:8], v[:8]]), torch.cat([positive[:8], positive[:8]])
    if case == "one zero":
        v[0], positive[1], noise[2, 3] = 0, 0, 0
    positive = -v if case == "opposite" else positive
    rows = tuple(x.to(dtype).requires_grad_() for x in (v, positive, noise[0] if shared else noise))
    t = 1e-4 if case == "tiny temperature" else 0.07
    values = [nce(*rows, instances=N, z=2500.0, temperature=t), nce(*rows, instances=N, temperature=t)]
    for value in [*values, pirl_nce(*rows, temperature=t)]:
        assert value.dtype == torch.float32
        assert bool(torch.isfinite(value))
        assert all(bool(torch.isfinite(g).all()) for g in torch.autograd.grad(value, rows))


def test_autocast_changes_nothing() -> None:
    rows = tuple(x.float() for x in _batch())
    shared = (rows[0], rows[1], rows[2][0])
    plain = [nce(*rows, instances=N, z=9.0), pirl_nce(*shared)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = [nce(*rows, instances=N, z=9.0), pirl_nce(*shared)]
    assert [x.item() for x in plain] == [x.item() for x in again]


def test_the_constant_module_is_the_function() -> None:
    rows = _batch()
    loss = NCELoss(N, 2500.0, T)
    assert torch.equal(loss(*rows), nce(*rows, instances=N, z=2500.0, temperature=T))
    loss.update(*rows)
    assert loss.z == 2500.0
    assert torch.equal(PIRLNCELoss(T)(*rows), pirl_nce(*rows, temperature=T))


def test_the_first_batch_s_z_is_kept_for_ever() -> None:
    first, second = _batch(seed=1), _batch(seed=2)
    loss = NCELoss(N, "first-batch", T)
    assert loss.z is None
    before = loss(*first)
    assert loss.z is None  # a loss changes nothing
    torch.testing.assert_close(before, nce(*first, instances=N, temperature=T), rtol=1e-12, atol=0)
    loss.update(*first)
    z = slow.first_batch_z(*first, n=N, t=T)
    assert loss.z == pytest.approx(z, rel=1e-6)  # the buffer is float32
    torch.testing.assert_close(loss(*first), before, rtol=1e-6, atol=0)
    loss.update(*second)
    assert loss.z == pytest.approx(z, rel=1e-6)
    torch.testing.assert_close(loss(*second), nce(*second, instances=N, z=loss.z, temperature=T), rtol=1e-12, atol=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_the_running_z_is_a_moving_average(momentum: float) -> None:
    loss, z = NCELoss(N, "running", T, momentum), None
    for step in range(4):
        rows = _batch(seed=step)
        now = slow.first_batch_z(*rows, n=N, t=T)
        z = now if z is None else momentum * z + (1 - momentum) * now
        loss.update(*rows)
        assert loss.z == pytest.approx(z, rel=1e-5)


@pytest.mark.parametrize("z", ["first-batch", "running"])
def test_z_is_saved_and_a_resumed_loss_goes_on_the_same(z: str) -> None:
    straight, stopped = NCELoss(N, z), NCELoss(N, z)  # type: ignore[arg-type]
    for step in range(3):
        straight.update(*_batch(seed=step))
        stopped.update(*_batch(seed=step))
    resumed = NCELoss(N, z)  # type: ignore[arg-type]
    resumed.load_state_dict(stopped.state_dict())
    for step in range(3, 6):
        rows = _batch(seed=step)
        assert torch.equal(straight(*rows), resumed(*rows))
        straight.update(*rows)
        resumed.update(*rows)
    assert straight.z == resumed.z
    assert all(bool(x.isfinite().all()) for x in NCELoss(N).state_dict().values())  # a checkpoint refuses NaN


V, P, Q = torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 2, 3)
DIVERGED = "The network has diverged or its input is damaged: look at the loss before."
MISTAKES: list[tuple[tuple[Tensor, Tensor, Tensor], str]] = [
    (
        (V[:1], P[:1], Q[:1]),
        "NCE compares samples and needs at least 2 rows, got 1. Use a larger batch, or drop the last incomplete one.",
    ),
    (
        (V, P[:3], Q),
        "NCE expects a float positive (4, 3) for each sample, got (3, 3) torch.float32. Views of one sample share it.",
    ),
    (
        (V, P, Q[:3]),
        "NCE expects float noise (4, k, 3), or (k, 3) shared by all, with k at least 1, got (3, 2, 3) torch.float32. "
        "Draw it from a Bank.",
    ),
    (
        (V, P, Q[:, :0]),
        "NCE expects float noise (4, k, 3), or (k, 3) shared by all, with k at least 1, got (4, 0, 3) torch.float32. "
        "Draw it from a Bank.",
    ),
    (
        (V, P, torch.tensor([1, 2])),
        "NCE expects float noise (4, k, 3), or (k, 3) shared by all, with k at least 1, got (2,) torch.int64. "
        "Draw it from a Bank.",
    ),
    (
        (V, P * torch.tensor([[1], [math.nan], [1], [1]]), Q),
        f"NCE expects finite positives, got NaN or infinity in 1 of 4 rows (1). {DIVERGED}",
    ),
    (
        (V, P, Q * torch.tensor([1, 1, math.inf, 1])[:, None, None]),
        f"NCE expects finite noise, got NaN or infinity in 1 of 4 rows (2). {DIVERGED}",
    ),
]


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(("rows", "message"), MISTAKES)
def test_mistakes_are_named(rows: tuple[Tensor, Tensor, Tensor], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        nce(*rows, instances=N)
    assert str(caught.value) == message
    with pytest.raises(ShapeError) as caught:
        pirl_nce(*rows)
    assert str(caught.value) == message.replace("NCE", "PIRL's NCE")


SETTINGS: list[tuple[dict[str, object], str]] = [
    ({"instances": 0}, "`instances` must be a finite number above 0, got 0."),
    ({"z": -1.0}, "`z` must be a finite number above 0, got -1.0."),
    ({"z": "runing"}, "`z` has no 'runing'; there are first-batch, running. Did you mean 'running'?"),
    ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0."),
    ({"momentum": 1.5}, "`momentum` must be between 0 and 1, got 1.5."),
]


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(("wrong", "message"), SETTINGS)
def test_wrong_settings_are_named_when_the_module_is_made(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        NCELoss(**{"instances": N, **wrong})  # type: ignore[arg-type]
    assert str(caught.value) == message
    if set(wrong) & {"instances", "temperature"} or wrong.get("z") == -1.0:
        with pytest.raises(ConfigError) as caught:
            nce(V, P, Q, **{"instances": N, **wrong})  # type: ignore[arg-type]
        assert str(caught.value) == message
    if "temperature" in wrong:
        with pytest.raises(ConfigError) as caught:
            PIRLNCELoss(0.0)
        assert str(caught.value) == message
