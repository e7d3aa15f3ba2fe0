"""The slow copy: where it starts, how it follows, and that its forward pass leaves no trace."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.nets.heads import Projection
from isotone.nets.momentum import Momentum
from isotone.nets.network import Network


def _net() -> Network:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    return Network(encoder, parts={"z": Projection(4, 3)})


def test_it_starts_as_a_copy_without_gradient_and_apart() -> None:
    net = _net()
    keys, x = Momentum(net, 0.9), torch.randn(6, 5)
    for part in (None, "z"):
        assert torch.equal(keys(x, part), net(x, part))
        assert not keys(x, part).requires_grad
    assert not any(p.requires_grad for p in keys.parameters())
    with torch.no_grad():
        net.encoder[0].weight.zero_()
    assert bool(keys.net.encoder[0].weight.any())


def test_an_update_weighs_the_old_weights_by_the_momentum() -> None:
    net = _net()
    keys = Momentum(net, 0.9)
    old = [p.clone() for p in keys.parameters()]
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p))
    net(torch.randn(6, 5))  # running statistics move
    keys.update(net)
    for before, after, new in zip(old, keys.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(after, 0.9 * before + 0.1 * new)
    for copied, buffer in zip(keys.buffers(), net.buffers(), strict=True):
        assert torch.equal(copied, buffer)


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_the_ends_are_exact(momentum: float) -> None:
    net = _net()
    keys = Momentum(net, momentum)
    old = [p.clone() for p in keys.parameters()]
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p))
    keys.update(net)
    expected = old if momentum else net.parameters()
    assert all(torch.equal(a, b) for a, b in zip(keys.parameters(), expected, strict=True))


def test_a_pass_uses_the_batch_s_statistics_and_changes_nothing() -> None:
    keys, x = Momentum(_net(), 0.9), 3 + torch.randn(6, 5)
    keys.eval()
    before = {name: value.clone() for name, value in keys.state_dict().items()}
    out = keys(x)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    assert torch.equal(out, keys(x))
    assert all(torch.equal(before[name], value) for name, value in keys.state_dict().items())


def test_a_loaded_copy_is_the_saved_one() -> None:
    net = _net()
    first, second, x = Momentum(net, 0.5), Momentum(net, 0.5), torch.randn(6, 5)
    with torch.no_grad():
        net.encoder[0].weight.add_(1)
    first.update(net)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_a_momentum_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        Momentum(nn.Linear(1, 1), 1.01)
    assert str(caught.value) == "`momentum` must be between 0 and 1, got 1.01."


@pytest.mark.parametrize("micro_batch", [1, 4, 6, 20])
def test_a_few_rows_at_a_time_give_what_all_give(micro_batch: int) -> None:
    torch.manual_seed(0)
    net = Network(nn.Sequential(nn.Linear(5, 4), nn.GroupNorm(2, 4)), parts={"z": Projection(4, 3)})
    keys, x = Momentum(net, 0.9), torch.randn(10, 5)
    seen: list[int] = []
    keys.net.encoder[0].register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    expected = keys(x, "z")
    assert seen == [10]
    torch.testing.assert_close(keys(x, "z", micro_batch=micro_batch), expected)
    assert seen[1:] == {1: [1] * 10, 4: [4, 3, 3], 6: [5, 5], 20: [10]}[micro_batch]


def test_batch_norm_has_the_statistics_of_the_rows_at_a_time() -> None:
    keys, x = Momentum(_net(), 0.9), torch.randn(10, 5)
    before = [buffer.clone() for buffer in keys.buffers()]
    found = keys(x, "z", micro_batch=5)
    torch.testing.assert_close(found, torch.cat([keys(x[:5], "z"), keys(x[5:], "z")]))
    assert all(torch.equal(a, b) for a, b in zip(before, keys.buffers(), strict=True))
