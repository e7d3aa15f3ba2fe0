"""Gradient caching: the whole batch's gradient for every loss and chunk, one pass's worth of randomness and statistics.

What chunks are compared with is the whole batch where the network takes each row by itself, else the same chunks, all
of them in one graph (`_in_one_graph`).
"""

from collections.abc import Callable

import pytest
import torch
from contract.cases import CASES, Case, answers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from isotone.errors import ConfigError, ShapeError
from isotone.losses import rnc
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.train import Cached, cached_backward

ROWS = 14
Loss = Callable[[Tensor, Tensor], Tensor]  # of embeddings (n, d) and targets (n, 1)


def _of_views(case: Case) -> Loss:
    """Let a case of the contract, which takes (b, 2, d), take the first half of the rows for one view of the rest."""
    return lambda z, y: case.loss(z.unflatten(0, (2, -1)).transpose(0, 1), answers(case, len(z) // 2, seed=0))


LOSSES: dict[str, Loss] = {
    **{case.name: _of_views(case) for case in CASES},
    **{name: lambda z, y, name=name: predictor(name).loss(z[:, :1], y) for name in ("l1", "mse", "huber")},
}


def _net(norm: nn.Module | None = None, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 4, 3), norm or nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 6)]
    return nn.Sequential(*parts).to(dtype)


def _data(dtype: torch.dtype = torch.float32, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(rows, 1, 4, 4, dtype=dtype), torch.randn(rows, 1, dtype=dtype)


def _gradient(*modules: nn.Module) -> Tensor:
    found = torch.cat([p.grad.flatten() for module in modules for p in module.parameters()])
    for module in modules:
        module.zero_grad(set_to_none=True)
    return found


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _in_one_graph(net: nn.Module, x: Tensor, micro_batch: int) -> Tensor:
    return torch.cat([net(part) for part in x.tensor_split(-(-len(x) // micro_batch))])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_chunks_give_the_gradient_of_the_whole_batch(loss: Loss, dtype: torch.dtype, tolerance: float) -> None:
    net, (x, y) = _net(dtype=dtype), _data(dtype)
    whole = loss(net(x), y)
    whole.backward()
    expected = _gradient(net)
    for micro_batch in (0, 1, 2, 3, 4, 8, 13, 14, 99):
        found = cached_backward(net, x, lambda z: loss(z, y), micro_batch=micro_batch)
        assert not found.requires_grad
        assert float(found) == pytest.approx(float(whole.detach()), rel=tolerance)
        error = _error(_gradient(net), expected)
        assert error <= tolerance, f"micro_batch {micro_batch}: {error:.1e}"


def test_a_named_part_is_embedded_in_chunks() -> None:
    """The second pass goes through the part that the first went through."""
    torch.manual_seed(0)
    net = Network(nn.Linear(3, 4), parts={"z": Projection(4, 2)}).double()
    x = torch.randn(7, 3, dtype=torch.float64)

    def loss(embed: nn.Module) -> Tensor:
        return embed(x).square().sum() + embed(x, "z").softmax(0).square().sum()

    loss(net).backward()
    expected = _gradient(net)
    cached = Cached(net, micro_batch=3)
    cached.backward(loss(cached))
    assert _error(_gradient(net), expected) <= 1e-12


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 12), st.integers(1, 13), st.sampled_from([1, 2, 3]), st.integers(0, 10**6))
def test_any_rows_any_chunks_any_calls(rows: int, micro_batch: int, calls: int, seed: int) -> None:
    torch.manual_seed(seed)
    net, x = nn.Linear(3, 2, dtype=torch.float64), torch.randn(calls, rows, 3, dtype=torch.float64)

    def loss(embed: nn.Module) -> Tensor:
        return torch.cat([embed(views) for views in x]).softmax(0).square().sum()

    loss(net).backward()
    expected = _gradient(net)
    cached = Cached(net, micro_batch=micro_batch)
    cached.backward(loss(cached))
    assert torch.allclose(_gradient(net), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 20])
def test_several_calls_and_parameters_outside(micro_batch: int) -> None:
    net, head = _net(dtype=torch.float64), nn.Linear(6, 2, dtype=torch.float64)
    (x, y), scale = _data(torch.float64), nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    outside = nn.ParameterList([scale])

    def loss(embed: nn.Module) -> Tensor:
        first, second = head(embed(x)), head(embed(x[:9] + 1))
        with torch.no_grad():
            fixed = embed(x * 2)  # as a target that is not learned
        own = net[4].weight.square().sum()  # a parameter of the network, used past its forward
        return rnc(torch.cat([first, second]) * scale, torch.cat([y, y[:9] + 0.1])) + (fixed[:, :2] * first).sum() + own

    loss(net).backward()
    expected = _gradient(net, head, outside)
    cached = Cached(net, micro_batch=micro_batch)
    cached.backward(loss(cached))
    assert _error(_gradient(net, head, outside), expected) <= 1e-12


class _Watch(nn.Module):
    """Keeps what rows come, and whether a graph is made of them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((len(x), torch.is_grad_enabled()))
        return self.net(x)


def test_chunks_are_nearly_equal_and_only_one_has_a_graph() -> None:
    watched, (x, y) = _Watch(_net()), _data()
    cached_backward(watched, x, lambda z: rnc(z, y), micro_batch=6)
    assert watched.seen == [(5, False), (5, False), (4, False), (5, True), (5, True), (4, True)]


def test_calls_that_fit_are_not_repeated_and_all_calls_count() -> None:
    watched, (x, y) = _Watch(_net()), _data()
    cached_backward(watched, x, lambda z: rnc(z, y), micro_batch=ROWS)
    assert watched.seen == [(ROWS, True)]
    watched.seen.clear()
    cached = Cached(watched, micro_batch=10)
    cached.backward((cached(x[:6]).sum() + cached(x[:8]).sum() + cached(x[:4]).sum()).tanh())
    assert watched.seen == [(6, True), (8, False), (4, True), (8, True)]


def test_a_call_that_the_loss_does_not_use_is_not_repeated() -> None:
    watched, (x, _) = _Watch(_net()), _data()
    cached = Cached(watched, micro_batch=7)
    used, left = cached(x), cached(x + 1).detach()
    cached.backward((used * left).sum())
    assert watched.seen == 4 * [(7, False)] + 2 * [(7, True)]


def test_gradients_add_up_over_steps_as_torchs_do() -> None:
    net, (x, y) = _net(), _data()
    cached = Cached(net, micro_batch=5)
    for _ in range(2):
        cached.backward(rnc(cached(x), y))
    twice = _gradient(net)
    cached.backward(rnc(cached(x), y))
    assert _error(twice, 2 * _gradient(net)) < 1e-6


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 14])
def test_both_passes_of_a_chunk_draw_the_same_dropout(micro_batch: int) -> None:
    net, (x, y) = nn.Sequential(_net(), nn.Dropout(0.5)), _data()
    torch.manual_seed(5)
    rnc(_in_one_graph(net, x, micro_batch) + torch.rand(ROWS, 6), y).backward()
    expected, after = _gradient(net), torch.get_rng_state()
    torch.manual_seed(5)
    cached_backward(net, x, lambda z: rnc(z + torch.rand(ROWS, 6), y), micro_batch=micro_batch)
    assert _error(_gradient(net), expected) <= 1e-6
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("micro_batch", [3, 5, 8])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_takes_each_chunk_for_the_batch_and_counts_it_once(micro_batch: int, momentum: float | None) -> None:
    expected, found = (_net(nn.BatchNorm2d(4, momentum=momentum), torch.float64) for _ in range(2))
    x, y = _data(torch.float64)
    rnc(_in_one_graph(expected, x, micro_batch), y).backward()
    cached_backward(found, x, lambda z: rnc(z, y), micro_batch=micro_batch)
    assert _error(_gradient(found), _gradient(expected)) <= 1e-12
    assert int(found[1].num_batches_tracked) == -(-ROWS // micro_batch)
    for name, x in found.state_dict().items():
        assert torch.equal(x, expected.state_dict()[name]), name


def test_a_pass_that_is_not_repeated_counts_for_batch_norm_too() -> None:
    expected, found = (_net(nn.BatchNorm2d(4)) for _ in range(2))
    x, _ = _data()
    cached = Cached(found, micro_batch=7)
    cached.backward((cached(x) * cached(x + 1).detach()).sum())
    (_in_one_graph(expected, x, 7) * _in_one_graph(expected, x + 1, 7)).sum()
    assert all(torch.equal(x, expected.state_dict()[name]) for name, x in found.state_dict().items())


def test_a_network_that_changes_its_buffers_in_each_pass_is_exact_too() -> None:
    """Spectral norm moves its vectors with each forward pass and divides by what they give."""
    nets = [nn.Sequential(_net(dtype=torch.float64)) for _ in range(2)]
    for net in nets:
        torch.manual_seed(3)
        nn.utils.parametrizations.spectral_norm(net[0][4])
    x, y = _data(torch.float64)
    z = [_in_one_graph(nets[0], views, 4) for views in (x, x + 1)]
    rnc(torch.cat(z), torch.cat([y, y])).backward()
    cached = Cached(nets[1], micro_batch=4)
    cached.backward(rnc(torch.cat([cached(x), cached(x + 1)]), torch.cat([y, y])))
    assert _error(_gradient(nets[1]), _gradient(nets[0])) <= 1e-12
    assert all(torch.equal(x, nets[0].state_dict()[name]) for name, x in nets[1].state_dict().items())


@pytest.mark.parametrize("whole_step", [True, False], ids=["backward within autocast", "backward after it"])
def test_autocast_reaches_the_second_pass_and_no_weight_is_lost(whole_step: bool) -> None:
    net, (x, y) = _net(), _data()
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):  # else chunks are added up in bfloat16
        total = rnc(_in_one_graph(net, x, 5), y)
    total.backward()
    expected = _gradient(net)
    with torch.autocast("cpu", torch.bfloat16):
        cached = Cached(net, micro_batch=5)
        total = rnc(cached(x), y)
        if whole_step:
            cached.backward(total)
    if not whole_step:
        cached.backward(total)
    assert _error(_gradient(net), expected) < 1e-6


def test_a_scaled_loss_scales_every_gradient_once() -> None:
    net, (x, y) = _net(), _data()
    rnc(net(x), y).backward()
    expected = _gradient(net)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD(net.parameters())
    cached_backward(net, x, lambda z: rnc(z, y), micro_batch=5, backward=lambda total: scaler.scale(total).backward())
    assert float(net[4].weight.grad.norm()) > 100 * float(expected.norm() / len(expected))
    scaler.unscale_(optimizer)
    assert _error(_gradient(net), expected) < 1e-6


def test_a_frozen_network_and_no_grad_are_only_embedded() -> None:
    (x, y), net, head = _data(), _net().requires_grad_(False), nn.Linear(6, 2)
    cached_backward(net, x, lambda z: rnc(head(z), y), micro_batch=5)
    assert head.weight.grad is not None
    with torch.no_grad():
        z = Cached(_net(), micro_batch=5)(x)
    assert not z.requires_grad
    assert torch.allclose(z, _net()(x), atol=1e-6)


def test_an_empty_share_of_the_batch_passes() -> None:
    net = nn.Linear(3, 2)
    cached_backward(net, torch.zeros(0, 3), lambda z: z.sum(), micro_batch=4)
    assert net.weight.grad is not None
    assert not net.weight.grad.any()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: Cached(nn.Linear(3, 2), micro_batch=-1),
            ConfigError,
            "`micro_batch` must be between 0 and 1,000,000, got -1.",
        ),
        (
            lambda: Cached(nn.Linear(3, 2), micro_batch=2)(torch.zeros(5, 3, requires_grad=True)),
            ConfigError,
            "gradient caching ends at the views, and these require a gradient. Pass views.detach(), or make what "
            "computes them a part of the network.",
        ),
        (
            lambda: Cached(nn.Flatten(0), micro_batch=2)(torch.zeros(4, 3)),
            ShapeError,
            "gradient caching expects a network that maps 2 rows to one tensor of 2 rows, got (6,). Flatten views to "
            "rows first: views.flatten(0, 1).",
        ),
    ],
)
def test_misuse_is_named(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
