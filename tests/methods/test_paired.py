"""Two inputs of a sample as a method: each finds the other in the batch, by an encoder of its own."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.paired import Paired
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS = 9


def _facts() -> Facts:
    torch.manual_seed(1)
    other = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 4))
    return Facts(width=8, kind="rows", shape=(5,), instances=ROWS, second=(other, 4))


def _batch(views: int = 1, copies: int = 1) -> Batch:
    make = torch.Generator().manual_seed(0)
    sample, noise = torch.randn(ROWS, 2, generator=make), torch.randn(views, ROWS, 8, generator=make)
    both = sample @ torch.randn(2, 8, generator=make) + 0.1 * noise
    return Batch(both[..., :5], Tags(torch.arange(ROWS)), partners=both[:copies, :, 5:])


def _net(method: Paired) -> Network:
    facts = _facts()
    torch.manual_seed(0)
    return method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), facts)


@pytest.mark.parametrize(("views", "copies"), [(1, 1), (2, 1), (2, 2)])
def test_the_loss_is_the_two_sided_info_nce(views: int, copies: int) -> None:
    method, batch = Paired(views=views, temperature=0.4, width=6), _batch(views, copies)
    net = _net(method)
    assert batch.partners is not None
    terms = []
    for x, y in product(batch.views, batch.partners):
        a, b = (nn.functional.normalize(net(rows, name), dim=1) for rows, name in ((x, "first"), (y, "second")))
        for one, two in ((a, b), (b, a)):
            for i in range(ROWS):
                s = torch.stack([one[i] @ two[j] / 0.4 for j in range(ROWS)])
                terms.append(s.logsumexp(0) - s[i])
    expected = torch.stack(terms).mean()
    out = method.loss(net, batch)
    torch.testing.assert_close(out.total, expected)
    parameters = list(net.parameters())
    ours = torch.autograd.grad(out.total, parameters, retain_graph=True)
    for a, b in zip(ours, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_networks_encoder_is_that_of_the_first_input() -> None:
    facts = _facts()
    encoder = nn.Linear(5, 8)
    net = Paired().build(encoder, facts)
    assert net.encoder is encoder
    assert facts.second is not None
    assert net.parts["second"].own is facts.second[0]  # type: ignore[union-attr]
    assert net(torch.zeros(2, 5)).shape == (2, 8)
    assert net(torch.zeros(2, 3), "second").shape == (2, 128)


def test_the_two_projections_start_apart() -> None:
    facts = Facts(width=8, kind="rows", shape=(5,), second=(nn.Linear(3, 8), 8))
    parts = Paired().build(nn.Linear(5, 8), facts).parts
    assert not torch.equal(parts["first"].layers[0].weight, parts["second"].projection.layers[0].weight)  # type: ignore[union-attr, index, arg-type]


def test_there_is_no_score_and_no_memory() -> None:
    method = Paired()
    assert method.memory(_net(method), _facts()) is None
    assert math.isnan(method.score(torch.zeros(3, 2), Tags()))


def test_without_a_second_input() -> None:
    with pytest.raises(ConfigError) as caught:
        Paired().build(nn.Linear(5, 8), Facts(width=8))
    assert str(caught.value) == ("paired brings two inputs of each sample together. Name the other one with --second.")


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        Paired(width=0)
    assert str(caught.value) == "`width` must be between 1 and 65,536, got 0."
