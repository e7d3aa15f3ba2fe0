"""EEGNet, a compact encoder for signals of many electrodes or sensors: filters in time, then across channels.

Source: Lawhern et al. 2018, arXiv 1611.08024, table 2 (EEGNet-8,2). Left out is the limit on the norm of the weights,
and the classifier, which is the head's business here.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

FILTERS = 8  # in time, F1
SPATIAL = 2  # for each of them, across channels, D
FEATURES = 16  # of the separable convolution, F2
KERNEL = 64  # samples of a filter in time: half a second at the paper's 128 Hz, so it sees 2 Hz and above
SEPARABLE = 16  # samples of the separable convolution, half a second after pooling by 4
DROPOUT = 0.25  # the paper's choice where people in the test were never trained on
LEAST = 32  # samples: two poolings, by 4 and by 8, leave one step


class EEGNet(nn.Module):
    """Eight filters in time, two combinations of all channels for each, and a separable convolution: 16 features.

    A window of t samples has t // 32 steps, which stay apart: the representation has 16 * (t // 32) numbers. Signals
    at about 100 to 250 Hz suit it; at another rate the filters see other frequencies.

    Args:
        channels: of the signals.

    Example:
        >>> encoder, x = EEGNet(channels=21), torch.randn(3, 21, 500)
        >>> encoder(x).shape, encoder.frames(x).shape, sum(p.numel() for p in encoder.parameters())
        (torch.Size([3, 240]), torch.Size([3, 15, 16]), 1440)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = FILTERS * SPATIAL
        temporal = nn.Conv2d(1, FILTERS, (1, KERNEL), bias=False)
        spatial = nn.Conv2d(FILTERS, inner, (channels, 1), groups=FILTERS, bias=False)
        depthwise = nn.Conv2d(inner, inner, (1, SEPARABLE), groups=inner, bias=False)
        pointwise = nn.Conv2d(inner, FEATURES, 1, bias=False)
        self.stages = nn.Sequential(
            nn.Sequential(_same(KERNEL), temporal, nn.BatchNorm2d(FILTERS)),
            nn.Sequential(spatial, nn.BatchNorm2d(inner), nn.ELU(), nn.AvgPool2d((1, 4)), nn.Dropout(DROPOUT)),
            nn.Sequential(
                _same(SEPARABLE),
                depthwise,
                pointwise,
                nn.BatchNorm2d(FEATURES),
                nn.ELU(),
                nn.AvgPool2d((1, 8)),
                nn.Dropout(DROPOUT),
            ),
        )

    def forward(self, signals: Float[Tensor, "b c t"]) -> Float[Tensor, "b d"]:
        """Return the representations, 16 features of t // 32 steps."""
        return self._map(signals).flatten(1)

    def frames(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b s 16"]:
        """Return the features of each step, s = t // 32, in the order of time."""
        return self._map(x).transpose(1, 2)

    def _map(self, x: Tensor) -> Tensor:
        return torch.squeeze(self.stages(x[:, None]), 2)  # (b, 16, t // 32)


# ----------------------------------------------------------------------------------------------------------------------


def _same(kernel: int) -> nn.Module:
    """Zeros on both sides, so that an even kernel keeps the number of samples."""
    return nn.ZeroPad2d((kernel // 2 - 1, kernel // 2, 0, 0))
