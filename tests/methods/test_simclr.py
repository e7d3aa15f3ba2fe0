"""SimCLR as a method: its loss is NT-Xent of the projected views, and no label is looked at."""

import math

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.losses import info_nce
from isotone.methods.simclr import SimCLR
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS = 12
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=ROWS)


def _batch(views: int = 2) -> Batch:
    make = torch.Generator().manual_seed(0)
    sample, noise = torch.randn(ROWS, 5, generator=make), torch.randn(views, ROWS, 5, generator=make)
    return Batch(sample + 0.2 * noise, Tags(torch.arange(ROWS)))


def _net(method: SimCLR) -> Network:
    torch.manual_seed(0)
    return method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), FACTS)


@pytest.mark.parametrize("views", [2, 3])
def test_the_loss_is_nt_xent_of_the_projection(views: int) -> None:
    method, batch = SimCLR(views=views, temperature=0.4, width=6), _batch(views)
    net = _net(method)
    z = net(batch.views.flatten(0, 1), "z").unflatten(0, (views, ROWS)).transpose(0, 1)
    assert z.shape == (ROWS, views, 6)
    torch.testing.assert_close(method.loss(net, batch).total, info_nce(z, temperature=0.4))


def test_equal_embeddings_cost_the_logarithm_of_the_candidates() -> None:
    method = SimCLR()
    net = _net(method)
    nn.init.zeros_(net.parts["z"].layers[-1].weight)  # type: ignore[union-attr, index, arg-type]
    assert float(method.loss(net, _batch()).total.detach()) == pytest.approx(math.log(2 * ROWS - 1))


def test_there_is_no_score_and_no_memory() -> None:
    method = SimCLR()
    assert math.isnan(method.score(torch.zeros(2, 2), Tags()))
    assert method.memory(_net(method), FACTS) is None


def test_one_view_has_no_partner() -> None:
    with pytest.raises(ConfigError) as caught:
        SimCLR(views=1)
    assert str(caught.value) == "`views` must be between 2 and 16, got 1."
