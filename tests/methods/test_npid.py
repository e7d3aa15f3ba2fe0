"""NPID as a method: its loss is the bank's, a step's rows move afterwards, and a saved bank goes on as it was."""

import math

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.npid import NPID
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS, ALL = 12, 40
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=ALL)
FORMS = ("full", "softmax", "nce", "pirl-nce")


def _batch(views: int = 1, step: int = 0) -> Batch:
    make = torch.Generator().manual_seed(0)
    return Batch(torch.randn(views, ROWS, 5, generator=make), Tags(2 * torch.arange(ROWS)), step=step)


def _net(method: NPID) -> Network:
    torch.manual_seed(0)
    return method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), FACTS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_the_bank_s(form: str, views: int) -> None:
    method, batch = NPID(form=form, views=views, negatives=9, width=6), _batch(views, step=4)  # type: ignore[arg-type]
    net = _net(method)
    memory = method.memory(net, FACTS)
    z = net(batch.views.flatten(0, 1), "z")
    index = 2 * torch.arange(ROWS).repeat(views)
    torch.testing.assert_close(method.loss(net, batch, memory).total, memory(z, index, step=4))


def test_the_full_softmax_over_the_bank_by_hand() -> None:
    method, batch = NPID(temperature=0.1), _batch()
    net = _net(method)
    memory = method.memory(net, FACTS)
    logits = nn.functional.normalize(net(batch.views[0], "z")) @ memory.bank.embeddings.T / 0.1
    expected = nn.functional.cross_entropy(logits, 2 * torch.arange(ROWS))
    torch.testing.assert_close(method.loss(net, batch, memory).total, expected)


def test_after_a_step_its_rows_are_half_old_and_half_new() -> None:
    method, batch = NPID(), _batch()
    net = _net(method)
    memory = method.memory(net, FACTS)
    old = memory.bank.embeddings.clone()
    method.after_step(net, memory, method.loss(net, batch, memory))
    own = 2 * torch.arange(ROWS)
    new = nn.functional.normalize(net(batch.views[0], "z"))
    torch.testing.assert_close(memory.bank.rows(own), nn.functional.normalize((old[own] + new) / 2))
    others = torch.ones(ALL, dtype=torch.bool)
    others[own] = False
    assert torch.equal(memory.bank.embeddings[others], old[others])


def test_a_loaded_memory_goes_on_as_the_saved_one() -> None:
    method = NPID(form="nce", z="running", negatives=9)
    net = _net(method)
    saved, loaded = method.memory(net, FACTS), method.memory(net, FACTS)
    method.after_step(net, saved, method.loss(net, _batch(), saved))
    loaded.load_state_dict(saved.state_dict())
    for step in (1, 2):
        one, two = (method.loss(net, _batch(step=step), memory) for memory in (saved, loaded))
        assert torch.equal(one.total, two.total)
        method.after_step(net, saved, one)
        method.after_step(net, loaded, two)
    assert all(torch.equal(x, loaded.state_dict()[name]) for name, x in saved.state_dict().items())


def test_auto_chooses_by_the_number_of_rows() -> None:
    net = _net(NPID())
    assert NPID().memory(net, FACTS).form == "full"
    assert NPID(width=1).memory(net, Facts(width=8, instances=300_000)).form == "nce"


def test_there_is_no_score() -> None:
    assert math.isnan(NPID().score(torch.zeros(2, 2), Tags()))


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        NPID(bank_momentum=2.0)
    assert str(caught.value) == "`bank_momentum` must be between 0 and 1, got 2."
