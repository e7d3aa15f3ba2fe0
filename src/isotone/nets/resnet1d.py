"""ResNet-18 for signals: every square kernel, stride and pooling in one dimension.

Source: He et al. 2016, arXiv 1512.03385, table 1; residual networks as a strong baseline for time series: Wang, Yan,
Oates 2017, arXiv 1611.06455. The latter's network never shortens the signal: 250 million products for a window of 500
samples, where this one needs 40 million.
"""

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
BLOCKS = 2  # in each stage
LEAST = 32  # samples: the stem and the stages halve the signal five times


class ResNet1d(nn.Module):
    """A stem of stride 4 and four stages of two residual blocks (64, 128, 256, 512 channels), averaged over time.

    A window of t samples has about t / 32 frames. Where in the window something happens does not reach the
    representation, as it does with `CNN1d`: a rate or a kind of rhythm suits it better than a moment.

    Args:
        channels: of the signals.

    Example:
        >>> import torch
        >>> encoder, x = ResNet1d(channels=2), torch.randn(3, 2, 500)
        >>> encoder(x).shape, encoder.frames(x).shape
        (torch.Size([3, 512]), torch.Size([3, 16, 512]))
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        stem = nn.Conv1d(channels, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        pool = nn.MaxPool1d(3, stride=2, padding=1)
        self.stages = nn.Sequential(nn.Sequential(stem, nn.BatchNorm1d(WIDTHS[0]), nn.ReLU(inplace=True), pool))
        for before, after in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False):
            first = _Block(before, after, stride=1 if before == after else 2)
            self.stages.append(nn.Sequential(first, *(_Block(after, after, stride=1) for _ in range(BLOCKS - 1))))
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, signals: Float[Tensor, "b c t"]) -> Float[Tensor, "b 512"]:
        """Return the representations, 512 channels averaged over time."""
        return self.stages(signals).mean(2)

    def frames(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b s 512"]:
        """Return the local features before they are averaged, in the order of time."""
        return self.stages(x).transpose(1, 2)


# ----------------------------------------------------------------------------------------------------------------------


class _Block(nn.Module):
    """Two convolutions over 3 samples, added to their input; a stride or new width passes by in a convolution of 1."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv1d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm1d(after),
            nn.ReLU(inplace=True),
            nn.Conv1d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm1d(after),
        )
        self.past = nn.Sequential()
        if stride != 1 or before != after:
            self.past = nn.Sequential(nn.Conv1d(before, after, 1, stride=stride, bias=False), nn.BatchNorm1d(after))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b o s"]:
        return self.relu(self.inner(x) + self.past(x))
