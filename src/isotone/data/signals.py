"""Transforms of signals (and of rows of numbers) that are standardised: noise, gain, shift in time, a lost channel.

Pure functions of a batch and of uniform numbers, as `isotone.data.augment` describes them. What each may change:

- `jitter`: nothing that is larger than the noise; a label that lies in details below 0.05 standard deviations is lost.
- `scale`: an amplitude, a power, a dose. In most recordings a sensor's gain means nothing.
- `timeshift`: a phase, a moment, the time until something happens. Rates, ages and states stay.
- `channeldrop`: a label that one channel alone holds, such as a pulse beside accelerometers; of electrodes that see the
  same source from many sides none is needed.

Where that is what is predicted, leave the transform out.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.data.gaussian import gaussian

JITTER_SIGMA = 0.05  # in standard deviations of the feature or channel
SCALE = 0.2
TIMESHIFT = 0.06  # share of the window
DROP = 0.5  # probability that a channel is lost


def jitter(rows: Float[Tensor, "b *shape"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b *shape"]:
    """Add Gaussian noise of sigma 0.05 to every (standardised) feature, or to every moment of every channel."""
    return torch.add(rows, gaussian(u, math.prod(rows.shape[1:])).view_as(rows), alpha=JITTER_SIGMA)


def scale(signals: Float[Tensor, "b c t"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c t"]:
    """Multiply each signal by a factor within 1 ± 0.2, the same for all its channels.

    Example:
        >>> scale(torch.ones(1, 1, 2), torch.tensor([[0.75]])).tolist()
        [[[1.100000023841858, 1.100000023841858]]]
    """
    return signals * (1 + SCALE * (2 * u[:, :, None] - 1))


def timeshift(signals: Float[Tensor, "b c t"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c t"]:
    """Move each signal by whole steps, up to 6 % of its length to either side; its end values fill the gap.

    Positive moves (u > 0.5) are towards later times. Signals under 9 steps do not move.

    Example:
        >>> timeshift(torch.arange(10.0)[None, None], torch.tensor([[0.99]])).tolist()
        [[[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]]
    """
    length = signals.shape[2]
    steps = torch.round((2 * u - 1) * TIMESHIFT * length).long()  # (b, 1)
    source = (torch.arange(length, device=u.device) - steps).clamp_(0, length - 1)  # (b, t)
    return signals.gather(2, source[:, None].expand_as(signals))


def channeldrop(signals: Float[Tensor, "b c t"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c t"]:
    """Put one channel, drawn evenly, to 0 (its mean) in half of the signals; the only channel of a signal stays.

    Example:
        >>> channeldrop(torch.ones(2, 2, 1), torch.tensor([[0.3], [0.6]])).flatten(1).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    channels = signals.shape[1]
    lost = (u / DROP * channels).long()  # (b, 1), from 0; at `channels` and above none
    kept = (torch.arange(channels, device=u.device) != lost) | (channels == 1)
    return signals * kept[:, :, None]
