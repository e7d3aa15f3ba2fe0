"""MoCo as a method: queries against keys and queue, no key of an anchor's own sample, what follows after a step."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.losses import info_nce
from isotone.methods.moco import KeysAndQueue, MoCo
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS, ALL = 10, 60
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=ALL)


def _batch(start: int = 0) -> Batch:
    make = torch.Generator().manual_seed(start)
    sample, noise = torch.randn(ROWS, 5, generator=make), torch.randn(2, ROWS, 5, generator=make)
    return Batch(sample + 0.2 * noise, Tags(start + torch.arange(ROWS)))


def _made(method: MoCo) -> tuple[Network, KeysAndQueue]:
    torch.manual_seed(0)
    net = method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), FACTS)
    return net, method.memory(net, FACTS)


def _step(method: MoCo, net: Network, memory: KeysAndQueue, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    out = method.loss(net, batch, memory)
    optimizer.zero_grad()
    out.total.backward()
    optimizer.step()
    method.after_step(net, memory, out)
    return float(out.total.detach())


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_is_info_nce_against_the_queue(symmetric: bool) -> None:
    method, batch = MoCo(queue=23, temperature=0.3, symmetric=symmetric), _batch()
    net, memory = _made(method)
    for start in (20, 30, 40):
        method.after_step(net, memory, method.loss(net, _batch(start), memory))
    assert memory.queue.filled == 23  # not a multiple of the batch

    def term(query: Tensor, key: Tensor) -> Tensor:
        past = memory.queue.candidates().embeddings
        return info_nce(net(query, "z"), memory.keys(key, "z"), temperature=0.3, negatives=past, in_batch=False)

    expected = term(*batch.views)
    if symmetric:
        expected = (expected + term(*batch.views.flip(0))) / 2
    out = method.loss(net, batch, memory)
    torch.testing.assert_close(out.total, expected)
    assert int(out.parts["collisions"]) == 0


def test_keys_of_the_batch_s_own_samples_are_left_out() -> None:
    method = MoCo(queue=30)
    net, memory = _made(method)
    for start in (20, 5):
        method.after_step(net, memory, method.loss(net, _batch(start), memory))
    out = method.loss(net, _batch(), memory)  # samples 5 to 9 are in the queue
    assert int(out.parts["collisions"]) == 5
    past = memory.queue.candidates()
    assert past.tags.instance is not None
    query, key = _batch().views
    kept = past.embeddings[past.tags.instance >= ROWS]
    expected = info_nce(net(query, "z"), memory.keys(key, "z"), temperature=0.2, negatives=kept, in_batch=False)
    torch.testing.assert_close(out.total, expected)


def test_without_a_key_to_use_the_batch_s_other_keys_stand_in() -> None:
    method, batch = MoCo(queue=30), _batch()
    net, memory = _made(method)
    expected = info_nce(net(batch.views[0], "z"), memory.keys(batch.views[1], "z"), temperature=0.2)
    torch.testing.assert_close(method.loss(net, batch, memory).total, expected)  # the queue is empty
    method.after_step(net, memory, method.loss(net, batch, memory))
    torch.testing.assert_close(method.loss(net, batch, memory).total, expected)  # or holds nothing but the batch


@pytest.mark.parametrize("symmetric", [False, True])
def test_after_a_step_its_keys_are_queued_and_the_slow_encoder_follows(symmetric: bool) -> None:
    method, batch = MoCo(queue=30, key_momentum=0.75, symmetric=symmetric), _batch()
    net, memory = _made(method)
    keys = [nn.functional.normalize(memory.keys(view, "z")) for view in batch.views.flip(0)]
    old = memory.keys.net.encoder[0].weight.clone()
    _step(method, net, memory, batch, torch.optim.SGD(net.parameters(), lr=0.5))
    expected = torch.cat(keys) if symmetric else keys[0]
    past = memory.queue.candidates()
    torch.testing.assert_close(past.embeddings, expected)
    assert past.tags.instance is not None
    assert torch.equal(past.tags.instance, torch.arange(ROWS).repeat(1 + symmetric))
    assert not torch.equal(old, net.encoder[0].weight)
    torch.testing.assert_close(memory.keys.net.encoder[0].weight, 0.75 * old + 0.25 * net.encoder[0].weight)


@pytest.mark.parametrize("symmetric", [False, True])
def test_keys_are_made_a_few_rows_at_a_time_too(symmetric: bool) -> None:
    method, seen = MoCo(queue=30, symmetric=symmetric), []
    net, memory = _made(method)
    memory.keys.net.encoder[0].register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    whole = method.loss(net, _batch(), memory)
    few = method.loss(net, replace(_batch(), micro_batch=4), memory)
    assert seen == ([20, 4, 4, 4, 4, 4] if symmetric else [10, 4, 3, 3])
    torch.testing.assert_close(few.total, whole.total)
    torch.testing.assert_close(few.carry["keys"], whole.carry["keys"])


def test_the_keys_get_no_gradient() -> None:
    method = MoCo()
    net, memory = _made(method)
    method.loss(net, _batch(), memory).total.backward()
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad is None for p in memory.parameters())


def test_a_loaded_memory_goes_on_as_the_saved_one() -> None:
    method = MoCo(queue=25)
    net, memory = _made(method)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for start in (20, 30, 40):
        _step(method, net, memory, _batch(start), optimizer)
    loaded = method.memory(net, FACTS)
    loaded.load_state_dict(memory.state_dict())
    assert torch.equal(method.loss(net, _batch(), memory).total, method.loss(net, _batch(), loaded).total)


def test_a_queue_is_at_most_half_the_training_rows() -> None:
    net, memory = _made(MoCo())
    assert memory.queue.size == 6  # a tenth of 60
    assert MoCo(queue=30).memory(net, FACTS).queue.size == 30
    assert MoCo(width=1).memory(net, Facts(width=8, instances=1_281_167)).queue.size == 65_536
    with pytest.raises(ConfigError) as caught:
        MoCo(queue=31).memory(net, FACTS)
    assert str(caught.value) == (
        "`queue` 31 is more than half of the 60 training rows, so that old keys of the same samples would fill it. "
        "Use --queue 6 (a tenth, as --queue 0 does), at most 30."
    )


def test_there_is_no_score() -> None:
    assert math.isnan(MoCo().score(torch.zeros(2, 2), Tags()))


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        MoCo(views=3)
    assert str(caught.value) == "`views` must be between 2 and 2, got 3."
