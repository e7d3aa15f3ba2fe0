import pytest
import torch

from isotone.data import signals
from isotone.data.augment import TRANSFORMS, augment_rows, parse

SIGNAL = [name for name, transform in TRANSFORMS.items() if "signal" in transform.kinds]


def windows(count=4, channels=3, length=50, seed=0):
    return torch.rand(count, channels, length, generator=torch.Generator().manual_seed(seed))


def numbers(count, draws, seed=1):
    return torch.rand(count, draws, generator=torch.Generator().manual_seed(seed))


def test_jitter_adds_a_twentieth_of_a_standard_deviation():
    got = signals.jitter(torch.zeros(4, 2000), numbers(4, 2))
    assert torch.allclose(got.std(1), torch.full((4,), 0.05), rtol=0.08)
    assert not torch.equal(got[0], got[1])
    assert signals.jitter(torch.zeros(1, 3), torch.zeros(1, 2)).shape == (1, 3)


def test_jitter_of_signals_differs_in_every_channel_and_moment():
    got = signals.jitter(torch.zeros(2, 5, 400), numbers(2, 2))
    assert got.flatten().unique().numel() > 3990
    assert torch.allclose(got.flatten(1).std(1), torch.full((2,), 0.05), rtol=0.08)


def test_scale_is_one_factor_for_all_channels():
    x = windows(3)
    got = signals.scale(x, torch.tensor([[0.0], [0.5], [0.75]]))
    torch.testing.assert_close(got, torch.stack([0.8 * x[0], x[1], 1.1 * x[2]]))


def test_timeshift_fills_with_the_end_values():
    x = windows(3)  # 6 % of 50 = 3 steps
    got = signals.timeshift(x, torch.tensor([[0.999], [0.5], [0.0]]))
    assert torch.equal(got[0, :, 3:], x[0, :, :-3])
    assert torch.equal(got[0, :, :3], x[0, :, :1].expand(-1, 3))
    assert torch.equal(got[1], x[1])
    assert torch.equal(got[2, :, :-3], x[2, :, 3:])
    assert torch.equal(got[2, :, -3:], x[2, :, -1:].expand(-1, 3))


def test_channeldrop_loses_one_channel_of_half_of_the_signals():
    x = torch.ones(30_000, 3, 2)
    got = signals.channeldrop(x, torch.arange(30_000.0)[:, None] / 30_000)
    lost = (got == 0).all(2)  # (n, c)
    assert torch.equal(lost.sum(0), torch.tensor([5_000, 5_000, 5_000]))
    assert int(lost.sum(1).max()) == 1
    assert torch.equal(got[~lost], x[~lost])


def test_channeldrop_keeps_the_only_channel():
    x = windows(channels=1)
    assert torch.equal(signals.channeldrop(x, torch.zeros(4, 1)), x)


@pytest.mark.parametrize("name", SIGNAL)
def test_a_batch_is_each_signal_alone_and_the_input_stays(name):
    x, u = windows(5), numbers(5, TRANSFORMS[name].draws)
    before = x.clone(), u.clone()
    together = augment_rows(x, (name,), u)
    alone = torch.cat([augment_rows(x[i : i + 1], (name,), u[i : i + 1]) for i in range(5)])
    assert torch.equal(together, alone)
    assert not torch.equal(together, x)
    assert torch.equal(x, before[0])
    assert torch.equal(u, before[1])
    assert augment_rows(x[:0], (name,), u[:0]).shape == (0, 3, 50)


def test_mild_signals_are_jittered_then_scaled():
    names = parse("mild", "signal")
    x, u = windows(), numbers(4, 3)
    assert torch.equal(augment_rows(x, names, u), signals.scale(signals.jitter(x, u[:, :2]), u[:, 2:]))
