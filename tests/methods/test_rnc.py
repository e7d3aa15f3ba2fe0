"""RnC as a method: its loss is the loss, on the views of the batch; its parts say how far from the floor it is."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.losses import rnc, rnc_floor
from isotone.methods import RnC
from isotone.nets.network import Network
from isotone.records import Batch, Tags


def _batch(views: int = 2) -> Batch:
    make = torch.Generator().manual_seed(0)
    target = torch.rand(6, 1, generator=make, dtype=torch.float64)
    return Batch(torch.randn(views, 6, 5, generator=make), Tags(torch.arange(6), target=target))


@pytest.mark.parametrize("views", [1, 2, 3])
def test_the_loss_is_rnc_of_the_representation(views: int) -> None:
    method, batch = RnC(views=views, temperature=0.7), _batch(views)
    net = method.build(nn.Linear(5, 4), 4, 1)
    out = method.loss(net, batch)
    h = net(batch.views.flatten(0, 1)).unflatten(0, (views, 6)).transpose(0, 1)
    assert batch.tags.target is not None
    expected = rnc(h, batch.tags.target, temperature=0.7)
    torch.testing.assert_close(out.total.float(), expected)
    gap = float(expected.detach()) - float(rnc_floor(batch.tags.target, views=views))
    assert float(out.parts["gap"]) == pytest.approx(gap, abs=1e-5)


def test_there_is_no_projection_head() -> None:
    encoder = nn.Linear(5, 4)
    net = RnC().build(encoder, 4, 1)
    assert isinstance(net, Network)
    assert net.head is None
    assert net.encoder is encoder


def test_the_score_is_the_gap_of_clean_rows() -> None:
    y = torch.arange(10, dtype=torch.float64)[:, None]
    assert RnC().score(1000 * y, Tags(target=y)) == pytest.approx(0.0, abs=1e-9)
    assert RnC().score(torch.randn(10, 3), Tags(target=y)) > 0.5


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        RnC(temperature=-1)
    assert str(caught.value) == "`temperature` must be a finite number above 0, got -1."
