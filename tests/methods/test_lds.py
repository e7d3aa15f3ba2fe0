"""LDS as a method: its weights against the definition, and the loss weighted by them."""

from dataclasses import replace

import pytest
import torch
from oracle import lds as oracle
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.lds import LDS, RareWeights
from isotone.records import Batch, Facts, Tags

Y = torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).square()  # skewed
FACTS = Facts(4, kind="rows", shape=(3,), k=1, instances=60, targets=Y.numpy())


@pytest.mark.parametrize(("reweight", "power"), [("sqrt", 0.5), ("inverse", 1.0)])
@pytest.mark.parametrize(("bins", "window"), [(20, 5), (20, 1), (7, 99), (2, 3)])
def test_the_weights_are_the_definitions(reweight: str, power: float, bins: int, window: int) -> None:
    method = LDS(reweight=reweight, label_bins=bins, kernel_bins=window, kernel_sigma=1.5)  # type: ignore[arg-type]
    found = method.memory(nn.Identity(), FACTS)(Y)
    expected = oracle.weights(Y.flatten().tolist(), bins=bins, window=window, sigma=1.5, power=power)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert float(found.mean()) == pytest.approx(1.0)


def test_the_weights_by_hand() -> None:
    # three rows at 0, one at 1, not smoothed: 1/p is 4/3 and 4, their mean over the rows (3 * 4/3 + 4) / 4 = 2
    y = torch.tensor([[0.0], [0.0], [0.0], [1.0]], dtype=torch.float64)
    assert RareWeights(y, 2, 1, 1.0, 1.0)(y).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_evenly_spread_targets_all_weigh_one_at_the_ends_too() -> None:
    y = torch.arange(30, dtype=torch.float64)[:, None]
    torch.testing.assert_close(RareWeights(y, 30, 5, 2.0, 1.0)(y), torch.ones(30, dtype=torch.float64))


@pytest.mark.parametrize("head", ["l1", "mse", "huber"])
@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_the_weighted_mean_of_the_heads(head: str, views: int) -> None:
    method = LDS(head=head, views=views, label_bins=10)  # type: ignore[arg-type]
    net, y = method.build(nn.Linear(3, 4), FACTS), Y[:8]
    memory = method.memory(net, FACTS)
    batch = Batch(torch.randn(views, 8, 3), Tags(torch.arange(8), target=y, scaled=y))
    out = method.loss(net, batch, memory)
    error = net(batch.views.flatten(0, 1))[:, 0].detach().double() - y[:, 0].repeat(views)
    each = {
        "l1": error.abs(),
        "mse": error.square(),
        "huber": torch.where(error.abs() <= 1, error.square() / 2, error.abs() - 0.5),
    }[head]
    assert float(out.total.detach()) == pytest.approx(float((memory(y).repeat(views) * each).mean()), rel=1e-6)
    assert float(out.parts["unweighted"]) == pytest.approx(float(each.mean()), rel=1e-6)


def test_constant_targets_are_the_baselines_loss() -> None:
    y = torch.zeros(6, 1, dtype=torch.float64)
    facts = replace(FACTS, targets=y.numpy())
    method = LDS()
    net = method.build(nn.Linear(3, 4), facts)
    batch = Batch(torch.randn(1, 6, 3), Tags(torch.arange(6), target=y, scaled=y))
    found = method.loss(net, batch, method.memory(net, facts)).total
    torch.testing.assert_close(found, net(batch.views[0]).abs().mean())


@pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)
def test_a_reweighting_that_there_is_not() -> None:
    with pytest.raises(ConfigError) as caught:
        LDS(reweight="square")  # type: ignore[arg-type]
    assert str(caught.value) == "`reweight` has no 'square'; there are sqrt, inverse. Did you mean 'sqrt'?"
