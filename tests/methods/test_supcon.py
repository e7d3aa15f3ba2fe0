"""SupCon as a method: its loss is the loss of the projected views; a row without a class knows only its own views."""

import math

import pytest
import torch
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.losses import supcon
from isotone.methods.supcon import SupCon
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS = 12
FACTS = Facts(width=8, kind="rows", shape=(5,), classes=3, instances=ROWS)


def _batch(category: Tensor | None = None, views: int = 2) -> Batch:
    make = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS) % 3 if category is None else category
    return Batch(torch.randn(views, ROWS, 5, generator=make), Tags(torch.arange(ROWS) + 100, category=y))


def _net(method: SupCon) -> Network:
    torch.manual_seed(0)
    return method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), FACTS)


@pytest.mark.parametrize(("views", "form"), [(1, "out"), (2, "out"), (3, "in")])
def test_the_loss_is_supcon_of_the_projection_of_the_normalised_representation(views: int, form: str) -> None:
    method, batch = SupCon(views=views, form=form, temperature=0.2), _batch(views=views)  # type: ignore[arg-type]
    net = _net(method)
    h = nn.functional.normalize(net(batch.views.flatten(0, 1)))
    z = net.parts["z"].layers(h).unflatten(0, (views, ROWS)).transpose(0, 1)  # type: ignore[union-attr, operator]
    expected = supcon(z, torch.arange(ROWS) % 3, temperature=0.2, form=form)  # type: ignore[arg-type]
    torch.testing.assert_close(method.loss(net, batch).total, expected)


def test_a_row_without_a_class_is_related_to_its_own_views_alone() -> None:
    method = SupCon()
    net, y = _net(method), torch.arange(ROWS) % 3
    unlabelled, apart = y.clone(), y.clone()
    unlabelled[[1, 4]] = -1
    apart[[1, 4]] = torch.tensor([50, 51])  # two classes of one sample each
    out = method.loss(net, _batch(unlabelled))
    assert torch.equal(out.total, method.loss(net, _batch(apart)).total)
    assert int(out.parts["lonely"]) == 0
    assert int(SupCon(views=1).loss(net, _batch(unlabelled, views=1)).parts["lonely"]) == 2


def test_what_stays_is_the_encoder() -> None:
    net, x = _net(SupCon()), torch.randn(4, 5)
    assert net.head is None
    assert torch.equal(net(x), net.encoder(x))


def test_there_is_no_score_and_no_memory() -> None:
    method = SupCon()
    assert math.isnan(method.score(torch.zeros(2, 2), Tags()))
    assert method.memory(_net(method), FACTS) is None


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        SupCon(temperature=0.0)
    assert str(caught.value) == "`temperature` must be a finite number above 0, got 0.0."
