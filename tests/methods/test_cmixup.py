"""C-Mixup as a method: whom a sample is mixed with, by how much, and that targets are mixed as inputs are."""

import numpy as np
import pytest
import torch
from oracle import cmixup as oracle
from scipy import stats
from torch import nn

from isotone.data.draws import sample_draws
from isotone.errors import ConfigError
from isotone.methods.cmixup import CMixup, partners
from isotone.records import Batch, Facts, Tags

FACTS = Facts(1, kind="rows", shape=(1,), k=1)


def _batch(y: torch.Tensor, views: int = 1, epoch: int = 0) -> Batch:
    """Return inputs that are the targets, so that what is mixed with what can be read off."""
    x = y.float().expand(views, -1, -1).clone()
    return Batch(x, Tags(torch.arange(len(y)), target=y, scaled=y), epoch=epoch)


@pytest.mark.parametrize("k", [1, 2])
def test_partners_are_the_definitions(k: int) -> None:
    make = torch.Generator().manual_seed(0)
    y = torch.randn(30, k, generator=make, dtype=torch.float64)
    u = torch.rand(30, generator=make, dtype=torch.float64)
    expected = [oracle.partner(y.tolist(), i, float(u[i]), 0.5) for i in range(30)]
    assert partners(y, y, u, 0.5).tolist() == expected


def test_partners_by_hand() -> None:
    # from 0 with bandwidth 1: exp(0), exp(-1/2), exp(-2) = 1, .607, .135; below: .574, .922, 1
    y = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    u = torch.tensor([0.57, 0.58, 0.93], dtype=torch.float64)
    assert partners(y[[0, 0, 0]], y, u, 1.0).tolist() == [0, 1, 2]


def test_how_often_each_is_drawn() -> None:
    y = torch.tensor([[0.0], [0.3], [1.0], [4.0]], dtype=torch.float64)
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    found = torch.bincount(partners(y[[1]].expand(10_000, 1), y, u, 0.7), minlength=4) / 10_000
    assert found.tolist() == pytest.approx(oracle.probabilities(y.tolist(), 1, 0.7), abs=2e-4)


def test_ties_are_equally_likely_and_far_targets_never_drawn() -> None:
    y = torch.tensor([[0.0], [0.0], [1e6]], dtype=torch.float64)
    u = torch.tensor([0.2, 0.7, 0.999999999], dtype=torch.float64)
    assert partners(y, y, u, 1.0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("views", [1, 2])
def test_inputs_and_targets_are_mixed_alike(views: int) -> None:
    y = torch.linspace(-2, 2, 50, dtype=torch.float64)[:, None]
    method, batch = CMixup(views=views, bandwidth=0.8), _batch(y, views)
    net = method.build(nn.Identity(), FACTS)
    assert net.head is not None
    nn.init.ones_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    seen: list[torch.Tensor] = []
    net.encoder.register_forward_hook(lambda _m, x, _o: seen.append(x[0]))
    assert float(method.loss(net, batch).total.detach()) == pytest.approx(0.0, abs=1e-6)  # the input is the target
    mixed = seen[0].view(views, 50)
    assert float((mixed - y[:, 0].float()).abs().max()) > 0.1
    assert torch.equal(mixed[0], mixed[-1])


def test_the_shares_are_beta_distributed() -> None:
    y = torch.zeros(2000, 1, dtype=torch.float64)
    y[1::2] = 1.0
    draws = sample_draws(_batch(y), 2, "cmixup")
    method = CMixup(alpha=0.5, bandwidth=1e6)  # everyone is as likely
    net = method.build(nn.Identity(), FACTS)
    seen: list[torch.Tensor] = []
    net.encoder.register_forward_hook(lambda _m, x, _o: seen.append(x[0]))
    method.loss(net, _batch(y))
    j = partners(y, y, draws[:, 0], 1e6)
    other = (y[j] != y)[:, 0]
    share = (seen[0][other, 0].double() - y[j][other, 0]).abs().numpy()
    assert 900 < len(share) < 1100
    assert stats.kstest(share, stats.beta(0.5, 0.5).cdf).pvalue > 0.01  # the draws are fixed: 0.54 was measured


def test_each_epoch_draws_anew_and_a_sample_s_share_does_not_depend_on_its_batch() -> None:
    y = torch.linspace(0, 1, 8, dtype=torch.float64)[:, None]
    one, two = (sample_draws(_batch(y, epoch=epoch), 2, "cmixup").numpy() for epoch in (0, 1))
    assert not np.array_equal(one, two)


def test_several_targets_are_taken() -> None:
    y = torch.rand(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    method = CMixup()
    facts = Facts(4, kind="rows", shape=(2,), k=2)
    net = method.build(nn.Linear(2, 4), facts)
    assert float(method.loss(net, _batch(y)).total.detach()) > 0


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        CMixup(alpha=0.0)
    assert str(caught.value) == "`alpha` must be between 0.001 and 1,000, got 0."
    with pytest.raises(ConfigError) as caught:
        CMixup(bandwidth=-1.0)
    assert str(caught.value) == "`bandwidth` must be a finite number above 0, got -1.0."
