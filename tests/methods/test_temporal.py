"""Neighbours in time as a method: the neighbour is the positive, other sequences are the negatives, the rest is out."""

import math

import pytest
import torch
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.losses import info_nce, triplet
from isotone.methods.temporal import Temporal
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags

ROWS = 8
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=50)
SEQUENCE = torch.tensor([4, 4, 9, 9, 9, 2, 7, 4])


def _batch(views: int = 1, sequence: Tensor = SEQUENCE, copies: int = 1) -> Batch:
    make = torch.Generator().manual_seed(0)
    sample = torch.randn(10, 5, generator=make)[sequence] + 0.3 * torch.randn(ROWS, 5, generator=make)
    near = sample + 0.1 * torch.randn(copies, ROWS, 5, generator=make)
    views_ = sample + 0.1 * torch.randn(views, ROWS, 5, generator=make)
    return Batch(views_, Tags(torch.arange(ROWS) * 3, sequence=sequence), partners=near)


def _net(method: Temporal) -> Network:
    torch.manual_seed(0)
    return method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), FACTS)


def _slow(z: Tensor, sample: list[int], sequence: list[int], temperature: float) -> Tensor:
    """Return the InfoNCE of rows z (n, d), from the formula: rows of one sample and of its neighbour share a number."""
    s = nn.functional.normalize(z, dim=1) @ nn.functional.normalize(z, dim=1).T / temperature
    terms = []
    for i in range(len(z)):
        positives = [j for j in range(len(z)) if j != i and sample[j] == sample[i]]
        negatives = [j for j in range(len(z)) if sequence[j] != sequence[i]]
        # rows of the other positives stand in the denominator, as in SupCon
        bottom = s[i, positives + negatives].logsumexp(0)
        terms.append(torch.stack([bottom - s[i, p] for p in positives]).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize(("views", "copies"), [(1, 1), (2, 1), (2, 2)])
def test_the_loss_is_info_nce_with_other_sequences_as_negatives(views: int, copies: int) -> None:
    method, batch = Temporal(views=views, temperature=0.4, width=6), _batch(views, copies=copies)
    net = _net(method)
    out = method.loss(net, batch)
    assert batch.partners is not None
    z = torch.cat([net(x, "z") for x in (*batch.views, *batch.partners)])  # (rows * 8, 6)
    rows = views + copies
    expected = _slow(z, list(range(ROWS)) * rows, SEQUENCE.tolist() * rows, 0.4)
    torch.testing.assert_close(out.total, expected)
    counts = [sum(rows for b in SEQUENCE.tolist() if b != a) for a in SEQUENCE.tolist()]
    assert float(out.parts["negatives"]) == pytest.approx(sum(counts) / len(counts))
    parameters = list(net.parameters())
    ours = torch.autograd.grad(out.total, parameters, retain_graph=True)
    for a, b in zip(ours, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_where_every_row_is_of_its_own_sequence_it_is_nt_xent() -> None:
    method, batch = Temporal(temperature=0.4), _batch(sequence=torch.arange(ROWS))
    net = _net(method)
    assert batch.partners is not None
    z = torch.stack([net(batch.views[0], "z"), net(batch.partners[0], "z")], 1)
    torch.testing.assert_close(method.loss(net, batch).total, info_nce(z, temperature=0.4))


def test_a_batch_of_one_sequence_has_nothing_to_tell_apart() -> None:
    method = Temporal()
    net = _net(method)
    out = method.loss(net, _batch(sequence=torch.zeros(ROWS, dtype=torch.int64)))
    assert float(out.total.detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(out.parts["negatives"]) == 0.0
    out.total.backward()
    assert all(float(p.grad.abs().max()) < 1e-6 for p in net.parameters())  # type: ignore[union-attr]


def test_triplets_take_the_sequence_for_the_track() -> None:
    method, batch = Temporal(form="triplet", margin=0.7), _batch()
    net = _net(method)
    assert batch.partners is not None
    z = torch.cat([net(batch.views[0], "z"), net(batch.partners[0], "z")])
    out = method.loss(net, batch)
    torch.testing.assert_close(out.total, triplet(z, SEQUENCE.repeat(2), margin=0.7))
    assert set(out.parts) == {"active", "negatives"}


def test_there_is_no_score_and_no_memory() -> None:
    method = Temporal()
    assert method.memory(_net(method), FACTS) is None
    assert math.isnan(method.score(torch.zeros(3, 2), Tags()))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"temperature": -1.0}, "`temperature` must be a finite number above 0, got -1.0."),
        ({"margin": 0.0}, "`margin` must be a finite number above 0, got 0.0."),
    ],
)
def test_settings_out_of_range(settings: dict, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Temporal(**settings)
    assert str(caught.value) == text
