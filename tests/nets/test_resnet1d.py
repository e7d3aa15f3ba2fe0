"""The 1-d ResNet-18: its layout, its frames, what stays of it with group norm."""

import pytest
import torch
from torch import nn

from isotone.nets.norms import group_norm
from isotone.nets.resnet1d import ResNet1d
from isotone.nets.signals import Framed


def test_the_layout_is_that_of_resnet_18() -> None:
    """17 convolutions and three 1 x 1 ones where a stage begins with a stride; the eighteenth layer is the head."""
    widths = [
        (m.out_channels, m.kernel_size[0], m.stride[0]) for m in ResNet1d(2).modules() if isinstance(m, nn.Conv1d)
    ]
    assert len([w for w in widths if w[1] > 1]) == 17
    assert [w for w in widths if w[1] == 1] == [(128, 1, 2), (256, 1, 2), (512, 1, 2)]
    assert widths[0] == (64, 7, 2)


@pytest.mark.parametrize("samples", [32, 33, 500])
def test_the_representation_is_the_mean_of_the_frames(samples: int) -> None:
    encoder, x = ResNet1d(1).eval(), torch.randn(2, 1, samples)
    frames = encoder.frames(x)
    assert frames.shape == (2, -(-samples // 32), 512)
    torch.testing.assert_close(encoder(x), frames.mean(1))


def test_frames_survive_group_norm_and_a_sample_stands_alone() -> None:
    encoder = group_norm(ResNet1d(2)).eval()
    assert isinstance(encoder, Framed)
    one, x = torch.randn(1, 2, 64), torch.randn(3, 2, 64)
    torch.testing.assert_close(encoder(torch.cat([one, x]))[:1], encoder(one), rtol=1e-4, atol=1e-5)
