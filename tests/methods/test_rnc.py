"""RnC as a method: its loss is the loss, on the views of the batch; its score is the gap to the floor."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.losses import rnc
from isotone.methods import RnC
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags


def _batch(views: int = 2) -> Batch:
    make = torch.Generator().manual_seed(0)
    target = torch.rand(6, 1, generator=make, dtype=torch.float64)
    return Batch(torch.randn(views, 6, 5, generator=make), Tags(torch.arange(6), target=target, scaled=target / 0.3))


@pytest.mark.parametrize("views", [1, 2, 3])
def test_the_loss_is_rnc_of_the_representation(views: int) -> None:
    method, batch = RnC(views=views, temperature=0.7), _batch(views)
    net = method.build(nn.Linear(5, 4), Facts(4, k=1))
    out = method.loss(net, batch)
    h = net(batch.views.flatten(0, 1)).unflatten(0, (views, 6)).transpose(0, 1)
    assert batch.tags.target is not None
    expected = rnc(h, batch.tags.target, temperature=0.7)
    torch.testing.assert_close(out.total.float(), expected)


def test_only_the_nearest_are_positives_on_request() -> None:
    batch = _batch()
    method = RnC(positives=0.5)
    net = method.build(nn.Linear(5, 4), Facts(4, k=1))
    h = net(batch.views.flatten(0, 1)).unflatten(0, (2, 6)).transpose(0, 1)
    assert batch.tags.target is not None
    expected = rnc(h, batch.tags.target, positives=6)  # of the 11 other views; 5.5 is rounded to the even number
    torch.testing.assert_close(method.loss(net, batch).total.float(), expected)
    with pytest.raises(ConfigError) as caught:
        RnC(positives=0.0)
    assert str(caught.value) == "`positives` must be between 0.001 and 1, got 0."


def test_there_is_no_projection_head() -> None:
    encoder = nn.Linear(5, 4)
    net = RnC().build(encoder, Facts(4, k=1))
    assert isinstance(net, Network)
    assert net.head is None
    assert net.encoder is encoder


def test_the_queue_holds_the_steps_before_and_is_compared_with() -> None:
    method, batch = RnC(queue=20), _batch()
    net, memory = method.build(nn.Linear(5, 4), Facts(4, k=1)), method.memory(nn.Identity(), Facts(4, k=1))
    assert memory is not None
    assert batch.tags.target is not None
    first = method.loss(net, batch, memory)
    torch.testing.assert_close(first.total, method.loss(net, batch).total)  # it begins empty
    assert memory.filled == 0
    method.after_step(net, memory, first)
    assert memory.filled == 12
    h = net(batch.views.flatten(0, 1)).unflatten(0, (2, 6)).transpose(0, 1)
    expected = rnc(h, batch.tags.target, others=memory.candidates())
    torch.testing.assert_close(method.loss(net, batch, memory).total.float(), expected)
    assert RnC().memory(nn.Identity(), Facts(4, k=1)) is None


def test_the_score_is_the_gap_of_clean_rows() -> None:
    y = torch.arange(10, dtype=torch.float64)[:, None]
    assert RnC().score(1000 * y, Tags(target=y, scaled=y)) == pytest.approx(0.0, abs=1e-9)
    assert RnC().score(torch.randn(10, 3), Tags(target=y, scaled=y)) > 0.5


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        RnC(temperature=-1)
    assert str(caught.value) == "`temperature` must be a finite number above 0, got -1."


def test_ties_of_integer_targets_survive() -> None:
    # (28 - mean) / std and its like round apart what ties: 4.6907 instead of 4.6943 for 256 ages was seen
    make = torch.Generator().manual_seed(0)
    age = torch.randint(20, 70, (40, 1), generator=make).double()
    batch = Batch(torch.randn(2, 40, 5, generator=make), Tags(target=age, scaled=(age - 43.21) / 13.7))
    method = RnC()
    net = method.build(nn.Linear(5, 4), Facts(4, k=1))
    h = net(batch.views.flatten(0, 1)).unflatten(0, (2, 40)).transpose(0, 1)
    assert float(method.loss(net, batch).total.detach()) == pytest.approx(float(rnc(h, age).detach()), rel=1e-7)


def test_several_targets_are_ranked_in_standard_units() -> None:
    y = torch.rand(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    batch = Batch(torch.randn(1, 12, 5), Tags(target=y * torch.tensor([1.0, 1000.0]), scaled=y))
    method = RnC(views=1)
    net = method.build(nn.Linear(5, 4), Facts(4, k=2))
    assert float(method.loss(net, batch).total.detach()) == pytest.approx(float(rnc(net(batch.views[0]), y).detach()))


def test_on_a_circle_the_loss_is_that_of_its_distance() -> None:
    degrees = torch.tensor([[350.0], [10.0], [90.0], [180.0]], dtype=torch.float64)
    tags = Tags(torch.arange(4), target=degrees, scaled=torch.randn(4, 2, dtype=torch.float64))
    batch = Batch(torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(0)), tags)
    method = RnC(views=1, distance="circular:360", queue=8)
    net, memory = method.build(nn.Linear(5, 4), Facts(4, k=2)), method.memory(nn.Identity(), Facts(4, k=2))
    out = method.loss(net, batch, memory)
    expected = rnc(net(batch.views[0]), degrees, distance="circular:360")
    torch.testing.assert_close(out.total.float(), expected)
    assert not torch.isclose(expected, rnc(net(batch.views[0]), degrees))
    method.after_step(net, memory, out)  # the queue holds one number a row, not the two that the head regresses


def test_of_gazes_the_loss_is_that_of_the_angles_between_them() -> None:
    gaze = torch.tensor([[0.0, 0.0], [0.2, -0.4], [-0.5, 1.2], [0.1, 2.0]], dtype=torch.float64)
    tags = Tags(torch.arange(4), target=gaze, scaled=torch.randn(4, 2, dtype=torch.float64))
    batch = Batch(torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(0)), tags)
    method = RnC(views=1, distance="angular", queue=8)
    net, memory = method.build(nn.Linear(5, 4), Facts(4, k=2)), method.memory(nn.Identity(), Facts(4, k=2))
    out = method.loss(net, batch, memory)
    p, y = gaze.T
    vectors = torch.stack([-p.cos() * y.sin(), -p.sin(), -p.cos() * y.cos()], 1)
    torch.testing.assert_close(out.total.float(), rnc(net(batch.views[0]), vectors, distance="angular"))
    method.after_step(net, memory, out)


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        RnC(distance="l3")
    assert "`distance`" in str(caught.value)
