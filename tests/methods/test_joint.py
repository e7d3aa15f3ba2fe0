"""Joint as a method: value and gradient against the definition, the baseline at weight 0, distances, settings."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from oracle.rnc import rnc as slow_rnc
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.losses import rnc
from isotone.methods.baseline import Baseline
from isotone.methods.joint import Joint
from isotone.methods.rnc import RnC
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

FACTS = Facts(4, kind="rows", shape=(5,), k=1)
Head = Literal["l1", "mse", "huber"]


def _batch(views: int, k: int = 1, n: int = 7) -> Batch:
    """Return rows whose targets tie here and there, in float64."""
    make = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (n, k), generator=make).double()
    x = torch.randn(views, n, 5, generator=make, dtype=torch.float64)
    return Batch(x, Tags(torch.arange(n), target=target, scaled=(target - 1.3) / 1.7))


def _net(method: Joint, k: int = 1) -> Network:
    torch.manual_seed(0)
    return method.build(nn.Linear(5, 4), replace(FACTS, k=k)).double()


def _slow(net: Network, batch: Batch, head: Head, weight: float, temperature: float) -> Tensor:
    """Return the error of each number that the head gives, one by one, and the oracle's RnC of all views."""
    assert batch.tags.scaled is not None
    assert batch.tags.target is not None
    assert net.head is not None
    several = batch.tags.target.shape[1] > 1
    rows, ranked, errors = [], [], []
    for view in batch.views:
        for i, x in enumerate(view):
            rows.append(net.encoder(x[None])[0])
            ranked.append((batch.tags.scaled if several else batch.tags.target)[i])
            for found, wanted in zip(net.head(rows[-1][None])[0], batch.tags.scaled[i], strict=True):
                e = found - wanted
                far = float(e.detach().abs()) > 1
                errors.append({"l1": e.abs(), "mse": e**2, "huber": e.abs() - 0.5 if far else e**2 / 2}[head])
    plain = sum(errors, torch.zeros((), dtype=torch.float64)) / len(errors)
    return plain + weight * slow_rnc(torch.stack(rows), torch.stack(ranked), temperature)


def _gradient(total: Tensor, net: Network) -> list[Tensor]:
    return list(torch.autograd.grad(total, list(net.parameters())))


@pytest.mark.parametrize("head", ["l1", "mse", "huber"])
@pytest.mark.parametrize(("views", "k"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_value_and_gradient_are_the_definitions(head: Head, views: int, k: int) -> None:
    method, batch = Joint(head, rnc_weight=0.3, temperature=0.7, views=views), _batch(views, k)
    net = _net(method, k)
    out, expected = method.loss(net, batch).total, _slow(net, batch, head, 0.3, 0.7)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=0)
    for a, b in zip(_gradient(out, net), _gradient(expected, net), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("head", ["l1", "mse", "huber"])
@pytest.mark.parametrize("k", [1, 2])
def test_at_weight_0_it_is_the_baseline_with_as_many_views(head: Head, k: int) -> None:
    method, baseline, batch = Joint(head, rnc_weight=0.0), Baseline(head, views=2), _batch(2, k)
    net = _net(method, k)
    found, expected = method.loss(net, batch), baseline.loss(net, batch)
    torch.testing.assert_close(found.total, expected.total)
    for a, b in zip(_gradient(found.total, net), _gradient(expected.total, net), strict=True):
        torch.testing.assert_close(a, b)
    assert float(found.parts["rnc"]) > 0


def test_the_parts_are_the_baselines_error_and_the_loss_of_rnc() -> None:
    method, batch = Joint(rnc_weight=5.0), _batch(2)
    net = _net(method)
    parts = method.loss(net, batch).parts
    assert list(parts) == ["error", "rnc"]
    torch.testing.assert_close(parts["error"], Baseline("l1", views=2).loss(net, batch).total.detach())
    torch.testing.assert_close(parts["rnc"], RnC().loss(Network(net.encoder), batch).total.detach())


def test_by_hand() -> None:
    # representations 0, 1, 3 are themselves the outputs, and their targets: no error; RnC at 1 is 0.125575 (its docs)
    method, y = Joint(rnc_weight=2.0, temperature=1.0, views=1), torch.tensor([[0.0], [1.0], [3.0]]).double()
    net = method.build(nn.Identity(), replace(FACTS, width=1)).double()
    assert isinstance(net.head, nn.Linear)
    nn.init.ones_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    out = method.loss(net, Batch(y[None], Tags(target=y, scaled=y)))
    assert float(out.total.detach()) == pytest.approx(0.251150, abs=1e-6)
    assert float(out.parts["error"]) == 0.0


@pytest.mark.parametrize("distance", ["circular:360", "angular"])
def test_on_a_circle_and_of_gazes_their_own_distance_ranks(distance: str) -> None:
    target = torch.tensor([[0.1, 0.2], [0.3, -0.4], [-0.5, 1.2], [0.1, 2.0]]).double()
    target = target if distance == "angular" else 180 + 80 * target[:, 1:]
    batch = Batch(_batch(2, n=4).views, Tags(target=target, scaled=torch.zeros(4, 2).double()))
    method = Joint(distance=distance)
    net = _net(method, 2)
    h = net.encoder(batch.views.flatten(0, 1)).unflatten(0, (2, 4)).transpose(0, 1)
    if distance == "angular":
        p, q = target.T
        target = torch.stack([-p.cos() * q.sin(), -p.sin(), -p.cos() * q.cos()], 1)
    torch.testing.assert_close(method.loss(net, batch).parts["rnc"], rnc(h, target, distance=distance).detach())


def test_collapsed_representations_have_a_finite_gradient() -> None:
    method = Joint()
    net, batch = _net(method), _batch(2)
    total = method.loss(net, replace(batch, views=torch.zeros_like(batch.views))).total
    assert all(bool(torch.isfinite(x).all()) for x in (total, *_gradient(total, net)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rnc_weight": -1.0}, "`rnc_weight` must be between 0 and 1,000,000, got -1."),
        ({"rnc_weight": math.nan}, "`rnc_weight` must be between 0 and 1,000,000, got nan."),
        ({"temperature": -1.0}, "`temperature` must be a finite number above 0, got -1.0."),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Joint(**settings)
    assert str(caught.value) == message
    with pytest.raises(ConfigError) as caught:
        Joint(distance="l3")
    assert "`distance`" in str(caught.value)
