"""EEGNet: its parts are those of the paper, and a step sees its own stretch of the signal."""

import pytest
import torch
from torch import nn

from isotone.nets.eegnet import EEGNet
from isotone.nets.norms import group_norm
from isotone.nets.signals import Framed


def test_the_weights_are_those_of_the_paper() -> None:
    """Table 2 of arXiv 1611.08024 with F1 = 8, D = 2, F2 = 16, C = 64: 64 F1, C D F1, 16 D F1 and F2 D F1 weights."""
    convolutions = [m for m in EEGNet(64).modules() if isinstance(m, nn.Conv2d)]
    assert [m.weight.numel() for m in convolutions] == [8 * 64, 2 * 8 * 64, 16 * 2 * 8, 16 * 2 * 8]


@pytest.mark.parametrize("samples", [32, 63, 64, 500])
def test_a_step_stands_for_32_samples(samples: int) -> None:
    encoder, x = EEGNet(3).eval(), torch.randn(2, 3, samples)
    assert encoder.frames(x).shape == (2, samples // 32, 16)
    assert torch.equal(encoder(x).unflatten(1, (16, -1)).transpose(1, 2), encoder.frames(x))


def test_a_channel_enters_by_its_own_weight() -> None:
    encoder, x = EEGNet(3).eval(), torch.randn(1, 3, 64)
    with torch.no_grad():
        encoder.stages[1][0].weight[:, :, 1] = 0  # the second electrode
    other = x.clone()
    other[:, 1] += 5
    torch.testing.assert_close(encoder(other), encoder(x))


def test_steps_survive_group_norm_and_a_sample_stands_alone() -> None:
    encoder = group_norm(EEGNet(2)).eval()
    assert isinstance(encoder, Framed)
    one, x = torch.randn(1, 2, 64), torch.randn(3, 2, 64)
    torch.testing.assert_close(encoder(torch.cat([one, x]))[:1], encoder(one))
