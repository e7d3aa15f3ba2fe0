"""A network that looks at an image in pieces: the encoder on each patch, and layers that bring the patches together."""

import inspect
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.randomness import key

PATCHES = 9


class PatchHead(nn.Module):
    """Encode each patch, map it to `each` numbers, join those of all patches in their order, and map them to `out`.

    A part of a `isotone.nets.network.Network`: its forward takes the encoder and the patches of each image as one row,
    so chunks of rows never part an image. Weights are shared by the patches. First weights depend on `seed` alone.

    No norm stands between the layers, unlike the batch norm of public code: its statistics would differ with the number
    of processes and of rows at a time. Where the encoder's representations have a norm before them, the layers train
    without.

    Args:
        width: of the representation, d.
        each: numbers for each patch.
        out: numbers for the image.
        form: of the layers for each patch: `linear`, d -> each; `relu`, the same with a ReLU (Jigsaw); `mlp`,
            d -> d -> ReLU -> each.
        patches: of an image.
        seed: of the run.

    Example:
        >>> PatchHead(16, 5, 7)(nn.Flatten(), torch.zeros(3, 9, 1, 4, 4)).shape
        torch.Size([3, 7])

    Source: Noroozi, Favaro 2016, arXiv 1603.09246, figure 3 (relu: each 1024 in the paper, 1000 in later work);
    Misra, van der Maaten 2020, arXiv 1912.01991, section 3.3 (linear, each 128, out 128).
    """

    def __init__(
        self,
        width: int,
        each: int,
        out: int,
        form: Literal["linear", "relu", "mlp"] = "linear",
        patches: int = PATCHES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key("patch head", seed))
            self.each = nn.Sequential()
            if form == "mlp":
                self.each.extend([nn.Linear(width, width), nn.ReLU(inplace=True)])
            self.each.append(nn.Linear(width, each))
            if form == "relu":
                self.each.append(nn.ReLU(inplace=True))
            self.joined = nn.Linear(patches * each, out)

    def forward(self, encoder: nn.Module, x: Shaped[Tensor, "n q *shape"]) -> Float[Tensor, "n o"]:
        """Return (n, out) for rows of patches (n, patches, c, p, p), which are told apart by their place alone."""
        h = self.each(encoder(x.flatten(0, 1)))  # (n * patches, each)
        return self.joined(h.unflatten(0, x.shape[:2]).flatten(1))


def check_takes_patches(encoder: nn.Module, channels: int, side: int) -> None:
    """Raise a ConfigError unless the encoder, made for whole images, also takes patches of this size.

    One pass over zeros, which leaves the encoder as it was.

    Args:
        encoder: (n, c, h, w) to (n, d).
        channels: of the images, c.
        side: of a patch in pixels.

    Raises:
        ConfigError: with the encoder's own reason, such as a fixed image size.

    Example:
        >>> from isotone.nets.encoders import build_encoder
        >>> check_takes_patches(build_encoder("small-cnn", kind="image", shape=(3, 32, 32))[0], 3, 8)
    """
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            encoder(torch.zeros(1, channels, side, side))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (inspect.cleandoc(str(error)).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            f"the encoder does not take patches of {side} x {side} pixels: {reason}. Use small-cnn or resnet18-small."
        ) from error
    finally:
        encoder.train(training)
