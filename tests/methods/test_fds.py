"""FDS as a method: statistics and moved features against the definition, through epochs, chunks and a resume."""

import pytest
import torch
from oracle import fds as oracle
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.methods.fds import FDS, LARGEST_RATIO, Statistics
from isotone.methods.label_bins import LabelBins, gaussian_bins
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags
from isotone.train.cached import Cached

BINS, ROWS = 6, 40
Y = torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).square()
FACTS = Facts(4, kind="rows", shape=(3,), k=1, instances=ROWS, targets=Y.numpy())
METHOD = FDS(label_bins=BINS, kernel_bins=3, kernel_sigma=1.0, feature_momentum=0.7)


def _features(epoch: int) -> Tensor:
    return torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(epoch), dtype=torch.float64) + Y


def _batch(epoch: int, views: int = 1) -> Batch:
    x = torch.randn(views, ROWS, 3, generator=torch.Generator().manual_seed(epoch))
    return Batch(x, Tags(torch.arange(ROWS), target=Y, scaled=Y), epoch=epoch)


def _made() -> tuple[Network, Statistics]:
    torch.manual_seed(0)
    net = METHOD.build(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), FACTS)
    return net, METHOD.memory(net, FACTS)


def test_features_are_moved_as_the_definition_says_in_any_steps() -> None:
    memory = METHOD.memory(nn.Identity(), FACTS)
    places = memory.bins(Y).tolist()
    bins: list[oracle.Bin | None] = [None] * BINS
    for epoch in range(4):
        h = _features(epoch)
        scale, shift = memory(Y, epoch)
        expected = [
            oracle.moved(row, b, bins, window=3, sigma=1.0, largest=LARGEST_RATIO)
            for row, b in zip(h.tolist(), places, strict=True)
        ]
        torch.testing.assert_close(scale * h + shift, torch.tensor(expected, dtype=torch.float64))
        for part in torch.arange(ROWS).split(7):
            memory.update(h[part], Y[part], epoch)
        bins = oracle.epoch(list(zip(places, h.tolist(), strict=True)), bins, 0.7)
    assert min(places.count(b) for b in range(BINS)) < 2, "a bin without statistics was among them"


def test_by_hand_two_bins_meet_in_the_middle() -> None:
    # bins hold 0, 2 and 10, 14: means 1, 12, variances 2, 8; with equal weights both get mean 6.5 and variance 5, so
    # the row at 2 goes to sqrt(5 / 2) (2 - 1) + 6.5 = 8.0811 and the row at 14 to sqrt(5 / 8) (14 - 12) + 6.5 = 8.0811
    y = torch.tensor([[0.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    h = torch.tensor([[0.0], [2.0], [10.0], [14.0]], dtype=torch.float64)
    memory = Statistics(LabelBins(y, 2), torch.ones(2, 2, dtype=torch.float64), 1, 0.9)
    memory.update(h, y, 0)
    scale, shift = memory(y, 1)
    assert (scale * h + shift)[[1, 3], 0].tolist() == pytest.approx([8.0811, 8.0811], abs=1e-4)


def test_the_first_epoch_is_the_baseline() -> None:
    net, memory = _made()
    batch = _batch(0)
    torch.testing.assert_close(METHOD.loss(net, batch, memory).total, (net(batch.views[0]) - Y.float()).abs().mean())
    METHOD.after_step(net, memory, METHOD.loss(net, batch, memory))
    torch.testing.assert_close(METHOD.loss(net, batch, memory).total, (net(batch.views[0]) - Y.float()).abs().mean())


def test_the_second_epoch_s_loss_is_that_of_moved_features() -> None:
    net, memory = _made()
    METHOD.after_step(net, memory, METHOD.loss(net, _batch(0), memory))
    batch = _batch(1)
    scale, shift = memory(Y, 1)
    assert not torch.equal(scale, torch.ones_like(scale))
    assert net.head is not None
    expected = (net.head((scale * net.encoder(batch.views[0]) + shift).float()) - Y.float()).abs().mean()
    found = METHOD.loss(net, batch, memory).total
    torch.testing.assert_close(found, expected)
    for p, q in zip(_gradient(net, found), _gradient(net, expected), strict=True):
        torch.testing.assert_close(p, q)


def test_chunks_have_the_gradient_of_the_whole_batch_while_features_are_moved() -> None:
    net, memory = _made()
    METHOD.after_step(net, memory, METHOD.loss(net, _batch(0, 2), memory))
    net.double()
    batch = Batch(_batch(1, 2).views.double(), _batch(1).tags, epoch=1)
    whole = _gradient(net, METHOD.loss(net, batch, memory).total)
    cached = Cached(net, micro_batch=7)
    cached.backward(METHOD.loss(cached, batch, memory).total)
    for p, q in zip(net.parameters(), whole, strict=True):
        torch.testing.assert_close(p.grad, q, rtol=1e-12, atol=1e-14)


def test_a_saved_memory_goes_on_as_it_was() -> None:
    net, memory = _made()
    for epoch in (0, 1):
        METHOD.after_step(net, memory, METHOD.loss(net, _batch(epoch), memory))
    again = METHOD.memory(net, FACTS)
    again.load_state_dict(memory.state_dict())
    assert torch.equal(METHOD.loss(net, _batch(2), again).total, METHOD.loss(net, _batch(2), memory).total)


def test_a_dying_unit_and_lone_rows_stay_finite() -> None:
    y = torch.tensor([[0.0], [0.0], [0.5], [1.0], [1.0]], dtype=torch.float64)
    memory = Statistics(LabelBins(y, 3), gaussian_bins(3, 3, 1.0), 2, 0.9)
    h = torch.tensor([[0.0, 1.0], [0.0, 2.0], [5.0, 5.0], [1e-9, 1.0], [2e-9, 1.0]], dtype=torch.float64)
    memory.update(h, y, 0)
    scale, shift = memory(y, 1)
    assert scale[2].tolist() == [1.0, 1.0]  # alone in its bin
    assert shift[2].tolist() == [0.0, 0.0]
    assert float(scale.max()) <= LARGEST_RATIO**0.5
    assert bool(torch.isfinite(scale).all() & torch.isfinite(shift).all())


def test_the_head_s_weights_are_saved_once() -> None:
    net, _ = _made()
    assert sorted(net.state_dict()) == ["encoder.0.bias", "encoder.0.weight", "head.bias", "head.weight"]


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        FDS(feature_momentum=1.5)
    assert str(caught.value) == "`feature_momentum` must be between 0 and 1, got 1.5."


def _gradient(net: nn.Module, total: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(total, list(net.parameters())))
