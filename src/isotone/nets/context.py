"""The recurrent context of CPC: local features in their order, what each one says of those to come.

Source: van den Oord, Li, Vinyals 2018, arXiv 1807.03748, section 2.2.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.nets.signals import Framed
from isotone.randomness import key


class Context(nn.Module):
    """Predict the local features of the next steps from all so far: `c_t = GRU(z_1 ... z_t)`, `W_k c_t` for z_{t+k}.

    A part of a `Network`. A signal is one sequence of frames; an image is one sequence for each column of its patches,
    from the top down, so a context has seen the patches above it and its own. The context is computed in full precision
    whatever autocast says. The first weights depend on `seed` alone.

    The W_k start at 1 / sqrt(width) of a plain linear layer, so that the first products with wide features are small
    and the loss starts at chance: after 60 steps on CIFAR-10 it was 4.95, from plain weights 5.40 (chance: 5.55).

    Args:
        width: of a local feature.
        steps: K, how many steps ahead are predicted.
        hidden: width of the context; the paper's 256 for audio.
        seed: of the run.

    Example:
        >>> from isotone.nets.signals import CNN1d
        >>> Context(width=128, steps=3)(CNN1d(2), torch.randn(5, 2, 160)).shape  # 10 frames, each with 3 predictions
        torch.Size([5, 1, 10, 4, 128])

    Source: arXiv 1807.03748, equation 3.
    """

    def __init__(self, width: int, steps: int, hidden: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.steps = steps
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key("context", seed))
            self.gru = nn.GRU(width, hidden, batch_first=True)
            self.ahead = nn.Linear(hidden, steps * width, bias=False)  # W_1 ... W_K side by side
            nn.init.uniform_(self.ahead.weight, -((hidden * width) ** -0.5), (hidden * width) ** -0.5)

    def forward(self, encoder: nn.Module, x: Shaped[Tensor, "n *shape"]) -> Float[Tensor, "n g s o w"]:
        """Return of each sample's g sequences of s local features each feature itself (o = 0) and W_k c_t (o = k).

        Args:
            encoder: see `local_features`.
            x: see `local_features`.
        """
        z = local_features(encoder, x)  # (n, g, s, w)
        with torch.autocast(z.device.type, enabled=False):
            full = z.to(self.ahead.weight.dtype)
            context, _ = self.gru(full.flatten(0, 1))  # (n * g, s, hidden)
            predicted = self.ahead(context).view(*z.shape[:3], self.steps, -1)
            return torch.cat([full[..., None, :], predicted], 3)


def local_features(encoder: nn.Module, x: Shaped[Tensor, "n *shape"]) -> Float[Tensor, "n g s w"]:
    """Return the features of the pieces of each sample as g sequences of s.

    Args:
        encoder: for signals one with `frames` (`isotone.nets.signals.Framed`); for images any that takes patches.
        x: signals (n, c, t), or patches of images (n, columns, rows, c, p, p).

    Raises:
        ConfigError: for signals and an encoder without `frames`.

    Example:
        >>> local_features(nn.Flatten(), torch.zeros(5, 3, 4, 1, 8, 8)).shape
        torch.Size([5, 3, 4, 64])
    """
    if x.dim() == 3:
        if not isinstance(encoder, Framed):
            raise ConfigError(
                "CPC predicts the local features of a signal and needs an encoder with a method `frames` of (b, c, t) "
                f"to (b, steps, width), but {type(encoder).__name__} has none. Use cnn-1d, or give yours that method."
            )
        return encoder.frames(x)[:, None]
    n, columns, rows = x.shape[:3]
    return encoder(x.flatten(0, 2)).unflatten(0, (n, columns, rows))
