"""RankSim as a method: value and gradient against the definition, one row of each target, any loss scale."""

import pytest
import torch
from oracle import ranksim as oracle
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.ranksim import RankSim, one_each, ranks, ranksim
from isotone.records import Batch, Facts, Tags

FACTS = Facts(4, kind="rows", shape=(3,), k=1)


def _rows(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=make, dtype=torch.float64), torch.randperm(n, generator=make).double()


@pytest.mark.parametrize(("weight", "interpolation"), [(1.0, 1.0), (100.0, 2.0), (3.0, 50.0)])
@pytest.mark.parametrize("n", [2, 3, 9])
def test_value_and_gradient_are_the_definitions(n: int, weight: float, interpolation: float) -> None:
    z, y = _rows(n)
    z.requires_grad_()
    found = weight * ranksim(z, y, interpolation=weight * interpolation)  # the paper hands its weight down
    assert float(found.detach()) == pytest.approx(oracle.value(z.detach(), y, weight), rel=1e-12)
    (gradient,) = torch.autograd.grad(found, z)
    torch.testing.assert_close(gradient, oracle.gradient(z, y, weight, interpolation))


def test_by_hand() -> None:
    # cosines of rows at 0, 60 and 90 degrees: 1, .5, 0 | .5, 1, .87 | 0, .87, 1; targets 1, 2, 4.
    # Row 2's neighbours by target: 2, 1, 3; by cosine 2, 3, 1, so two ranks are off by 1/3; rows 1 and 3 agree.
    # 2 (1/3)^2 / 3 = 2/27
    angle = torch.tensor([0.0, torch.pi / 3, torch.pi / 2], dtype=torch.float64)
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    assert float(ranksim(z, y, interpolation=1.0)) == pytest.approx(2 / 27)


def test_the_right_order_has_neither_value_nor_gradient() -> None:
    angle = torch.tensor([0.0, 0.1, 0.4, 1.0], dtype=torch.float64)
    z = torch.stack([angle.cos(), angle.sin()], dim=1).requires_grad_()
    found = ranksim(z, angle.detach(), interpolation=200.0)
    found.backward()
    assert float(found.detach()) == 0.0
    assert z.grad is not None
    assert float(z.grad.abs().max()) == 0.0


def test_ties_of_the_targets_want_ties_of_the_cosines() -> None:
    # the middle one of three evenly spaced targets has both others equally near; on an arc of +-60 degrees its cosines
    # are equal to the bit, and nothing is left
    z = torch.tensor([[0.5, -(3**0.5) / 2], [1.0, 0.0], [0.5, 3**0.5 / 2]], dtype=torch.float64)
    assert _norms(z, torch.arange(3.0, dtype=torch.float64)) == (0.0, 0.0)
    # whole ages in perfect order on an arc that is bent by up to 1 %, so that no two cosines are equal: measured 0.0038
    # and 0.0387, against 10.5 and 0.4329 for the same features in another order
    age = torch.arange(20.0, 84.0, dtype=torch.float64)
    angle = age / 100 + (age / 100).square() / 100
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert _norms(z, age) == pytest.approx((0.0038, 0.0387), rel=0.02)
    shuffled = z[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    assert _norms(shuffled, age) == pytest.approx((10.51, 0.433), rel=0.02)
    # targets without ties, in the order of the same features, leave nothing
    assert _norms(z, angle) == (0.0, 0.0)


def _norms(z: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    z = z.clone().requires_grad_()
    found = ranksim(z, y, interpolation=200.0)
    (gradient,) = torch.autograd.grad(found, z)
    return float(found.detach()), float(gradient.norm())


def test_collapsed_features_are_told_apart_again() -> None:
    y = torch.arange(4, dtype=torch.float64)
    z = torch.ones(4, 3, dtype=torch.float64).requires_grad_()
    found = ranksim(z, y, interpolation=1.0)
    assert float(found.detach()) == pytest.approx(oracle.value(z.detach(), y, 1.0))
    (slope,) = torch.autograd.grad(found, z)
    assert bool(torch.isfinite(slope).all())


def test_a_loss_scale_scales_the_gradient_and_does_nothing_else() -> None:
    z, y = _rows(9)
    z.requires_grad_()
    found = ranksim(z, y, interpolation=1.0)
    (plain,) = torch.autograd.grad(found, z, retain_graph=True)
    (scaled,) = torch.autograd.grad(65536 * found, z)
    torch.testing.assert_close(scaled, 65536 * plain)


def test_ties_have_one_rank() -> None:
    a = torch.tensor([[3.0, 1.0, 3.0, 2.0]])
    assert ranks(a)[0].tolist() == oracle.ranks(a[0].tolist()) == [0.25, 1.0, 0.25, 0.75]


def test_one_row_of_each_target_is_drawn() -> None:
    y = torch.tensor([5.0, 2.0, 5.0, 2.0, 7.0])
    assert one_each(y, torch.tensor([0.4, 0.3, 0.2, 0.9, 0.8])).tolist() == [1, 2, 4]
    assert one_each(torch.zeros(3), torch.tensor([0.3, 0.1, 0.2])).tolist() == [1]


@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_the_heads_and_the_term(views: int) -> None:
    y = torch.tensor([1.0, 2.0, 2.0, 5.0, 9.0], dtype=torch.float64)[:, None]
    method = RankSim(views=views, rank_weight=3.0)
    net = method.build(nn.Linear(3, 4), FACTS)
    batch = Batch(torch.randn(views, 5, 3), Tags(torch.arange(5), target=y, scaled=y / 3))
    out = method.loss(net, batch)
    error = (net(batch.views.flatten(0, 1)).detach().double() - (y / 3).repeat(views, 1)).abs().mean()
    assert float(out.parts["error"]) == pytest.approx(float(error), rel=1e-6)
    assert float(out.total.detach()) == pytest.approx(float(out.parts["error"] + 3 * out.parts["ranking"]), rel=1e-6)
    h = net.encoder(batch.views.flatten(0, 1)).detach().double()
    # the rows of target 2 and of each view differ: one of the ways to draw them is what was found
    of = [[i for i in range(5 * views) if y[i % 5] == value] for value in (1.0, 2.0, 5.0, 9.0)]
    ways = torch.cartesian_prod(*(torch.tensor(rows) for rows in of))
    values = [oracle.value(h[way], y.repeat(views, 1)[way][:, 0], 1.0) for way in ways]
    assert min(abs(value - float(out.parts["ranking"])) for value in values) < 1e-6


def test_another_epoch_draws_other_rows() -> None:
    y = torch.zeros(40, 1, dtype=torch.float64)
    y[20:] = 1.0
    method = RankSim()
    net = method.build(nn.Linear(3, 4), FACTS)
    x = torch.randn(1, 40, 3)
    seen = {round(_slope(method, net, x, y, epoch), 9) for epoch in range(8)}
    assert len(seen) > 1  # which of 20 x 20 pairs was drawn shows in the gradient


def _slope(method: RankSim, net: nn.Module, x: torch.Tensor, y: torch.Tensor, epoch: int) -> float:
    y = torch.cat([y, y.new_full((1, 1), 3.0)])
    batch = Batch(torch.cat([x, torch.ones(1, 1, 3)], 1), Tags(torch.arange(41), target=y, scaled=y), epoch=epoch)
    total = method.loss(net, batch).total
    return float(torch.autograd.grad(total, list(net.parameters()))[0].sum())


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        RankSim(rank_interpolation=0.0)
    assert str(caught.value) == "`rank_interpolation` must be a finite number above 0, got 0.0."
    with pytest.raises(ConfigError) as caught:
        RankSim(rank_weight=-1.0)
    assert str(caught.value) == "`rank_weight` must be between 0 and 1,000,000, got -1."
