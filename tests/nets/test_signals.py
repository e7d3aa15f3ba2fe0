"""The encoder for signals: its frames, its reach, what stays of it with group norm."""

import pytest
import torch

from isotone.nets.norms import channel_norm, group_norm
from isotone.nets.signals import CNN1d, Framed


@pytest.mark.parametrize("samples", [16, 31, 32, 128, 500, 1001])
def test_a_frame_stands_for_sixteen_samples(samples: int) -> None:
    encoder, x = CNN1d(3).eval(), torch.randn(2, 3, samples)
    assert encoder.frames(x).shape == (2, samples // 16, 128)
    assert encoder(x).shape == (2, 512)


def test_the_representation_pools_the_frames() -> None:
    encoder, x = CNN1d(1).eval(), torch.randn(2, 1, 128)
    frames = encoder.frames(x)  # (2, 8, 128): two for each of the 4 steps
    pooled = frames.unflatten(1, (4, 2)).mean(2)  # (2, 4, 128)
    torch.testing.assert_close(encoder(x), pooled.transpose(1, 2).flatten(1))


def test_a_frame_sees_50_samples() -> None:
    encoder, x = CNN1d(1).eval(), torch.randn(1, 1, 320, requires_grad=True)
    encoder.frames(x)[0, 10].sum().backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero().flatten()
    assert int(seen.max() - seen.min()) + 1 == 50  # 1 + 7 + 3 * (2 + 4 + 8)
    assert int(seen.min()) <= 160 <= int(seen.max())  # its own 16 samples among them


def test_with_channel_norm_a_frame_knows_nothing_of_what_comes_after_it() -> None:
    """With group norm it does: the mean and variance of the window hold the future."""
    now = torch.randn(1, 1, 320)
    later = torch.cat([now[..., :160], 3 + 2 * torch.randn(1, 1, 160)], dim=-1)
    for norm, knows in ((channel_norm, False), (group_norm, True)):
        encoder = norm(CNN1d(1))
        same = torch.equal(encoder.frames(now)[:, :8], encoder.frames(later)[:, :8])
        assert same != knows


def test_frames_survive_group_norm() -> None:
    encoder = group_norm(CNN1d(2))
    assert isinstance(encoder, Framed)
    one, x = torch.randn(1, 2, 64), torch.randn(3, 2, 64)
    torch.testing.assert_close(encoder.frames(torch.cat([one, x]))[:1], encoder.frames(one))
    assert not isinstance(torch.nn.Linear(2, 2), Framed)
