"""An encoder for signals: strided 1-d convolutions, whose local features are a coarse time axis of their own.

Source: after van den Oord, Li, Vinyals 2018, arXiv 1807.03748, section 3.1 (five strided convolutions, one frame of 160
samples of raw audio), but smaller: one frame of 16 samples, for windows of some hundred to some thousand samples.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 128)
KERNELS = (8, 4, 4, 4)
POOLED = 4  # steps of the representation: beginning, middle and end stay apart


@runtime_checkable
class Framed(Protocol):
    """An encoder that also gives the local features before pooling, one for each short stretch of the signal."""

    def frames(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b s w"]:
        """Return the features of each stretch, in the order of time."""
        ...


class CNN1d(nn.Module):
    """Four 1-d convolutions of stride 2 (32, 64, 128, 128 channels), each with norm and ReLU, pooled to 4 steps.

    A window of t samples has t // 16 frames; a frame sees 50 samples, so neighbouring frames overlap.

    With group norm a frame also knows the mean and variance of its whole window; with channel norm it does not.

    Args:
        channels: of the signals.

    Example:
        >>> import torch
        >>> encoder, x = CNN1d(channels=2), torch.randn(3, 2, 500)
        >>> encoder(x).shape, encoder.frames(x).shape
        (torch.Size([3, 512]), torch.Size([3, 31, 128]))
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stages = nn.Sequential()
        for before, after, kernel in zip((channels, *WIDTHS), WIDTHS, KERNELS, strict=False):
            convolution = nn.Conv1d(before, after, kernel, stride=2, padding=kernel // 2 - 1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            self.stages.append(nn.Sequential(convolution, nn.BatchNorm1d(after), nn.ReLU(inplace=True)))
        self.pool = nn.AdaptiveAvgPool1d(POOLED)

    def forward(self, signals: Float[Tensor, "b c t"]) -> Float[Tensor, "b 512"]:
        """Return the representations, 128 channels of 4 steps."""
        return self.pool(self.stages(signals)).flatten(1)

    def frames(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b s 128"]:
        """Return the local features before pooling, s = t // 16, in the order of time."""
        return self.stages(x).transpose(1, 2)
