"""From a raw batch to what the encoder sees: clean views for evaluation, random views for training.

A random view is a pure function of (seed, epoch, row, view): a sample gets the same views in every batch, with any
number of workers or processes, and after a resume.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from isotone.data import augment
from isotone.errors import ConfigError, ShapeError, nearest
from isotone.randomness import uniform
from isotone.records import Kind

KINDS = ("image", "rows", "signal")
_INPUTS: dict[Kind, tuple[int, torch.dtype, int, str]] = {  # axes, type, the axis of channels, and the words for them
    "image": (4, torch.uint8, -1, "(b, h, w, c) uint8"),
    "rows": (2, torch.float32, -1, "(b, f) float32"),
    "signal": (3, torch.float32, 1, "(b, c, t) float32"),
}
STATISTICS_ROWS = 4096  # signals
CHUNK = 64  # images; on a CPU a chunk's intermediate results stay in the cache


@dataclass(frozen=True)
class Views:
    """How a raw batch becomes views. Saved with the model, so that it later sees what it was trained on.

    Args:
        kind: `image`, `rows` or `signal`.
        size: side of an image view in pixels; only used for images.
        augment: transforms of the random views, as `augment.parse` takes them; presets are written out here.
        seed: of the run.
        mean: subtracted from pixels in [0, 1] (features, signals), one number or one for each channel (feature).
            Default: 0.5, as in the published Rank-N-Contrast code; timm's pretrained weights want ImageNet's.
        std: what the rest is divided by; same form.

    Raises:
        ConfigError: a transform is unknown or for another kind, `size` is not positive, a number of `mean` or `std`
            is not finite, or a `std` is not positive.

    Example:
        >>> views = Views("image", size=32, augment=("mild",))
        >>> raw = torch.zeros(4, 40, 40, 3, dtype=torch.uint8)
        >>> views.clean(raw).shape, views.random(raw, np.arange(4), epoch=0, count=2).shape
        (torch.Size([1, 4, 3, 32, 32]), torch.Size([2, 4, 3, 32, 32]))
    """

    kind: Kind
    size: int = 0
    augment: tuple[str, ...] = ()
    seed: int = 0
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        if self.kind == "image" and self.size < 1:
            raise ConfigError(f"Expected an image size of at least 1 pixel, got {self.size}. Set `image_size`.")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or not all(s > 0 for s in self.std):
            raise ConfigError(
                f"Expected finite means and positive standard deviations, got mean {_short(self.mean)}, "
                f"std {_short(self.std)}. Give a constant feature the standard deviation 1."
            )
        object.__setattr__(self, "augment", augment.parse(self.augment, self.kind))

    def clean(self, inputs: Shaped[Tensor, "b ..."]) -> Float[Tensor, "1 b ..."]:
        """Return the one view without randomness: images cut to their centre, everything normalised.

        Args:
            inputs: (b, h, w, c) uint8, (b, f) or (b, c, t) float32; on any device, which is also the result's.

        Raises:
            ShapeError: the inputs are of another kind, smaller than `size`, or of another number of channels.
        """
        self._check(inputs)
        if self.kind != "image":
            return self._normalise(inputs)[None]
        return self._normalise(to_float(augment.centre_crop(inputs.permute(0, 3, 1, 2), self.size)))[None]

    def random(
        self, inputs: Shaped[Tensor, "b ..."], index: np.ndarray, epoch: int, count: int
    ) -> Float[Tensor, "v b ..."]:
        """Return `count` random views of each sample.

        Args:
            inputs: as for `clean`.
            index: (b,) the samples' rows in the data set, which key their randomness.
            epoch: counted from 0.
            count: views of each sample, v.

        Returns:
            (v, b, c, size, size), (v, b, f) or (v, b, c, t), float32.

        Raises:
            ShapeError: as for `clean`, or `index` and `inputs` differ in length.
        """
        self._check(inputs)
        if len(index) != len(inputs):
            raise ShapeError(f"Expected one row index for each of {len(inputs)} inputs, got {len(index)}.")
        numbers = [self._draw(index, epoch, view, inputs.device) for view in range(count)]
        if self.kind != "image":
            rows = self._normalise(inputs)
            return torch.stack([augment.augment_rows(rows, self.augment, u) for u in numbers])
        return self._random_images(inputs, numbers)

    def pixels(self, views: Float[Tensor, "v b c h w"]) -> UInt8[Tensor, "v b h w c"]:
        """Return image views as they look: normalisation undone, uint8, channels last."""
        mean, std = self._statistics(views, like=views[0])
        return (views * std + mean).mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2)

    def to_json(self) -> dict[str, str | int | list[str] | list[float]]:
        """Return the settings as what JSON can hold; `from_json` reads them back."""
        return {name: list(x) if isinstance(x, tuple) else x for name, x in asdict(self).items()}

    @staticmethod
    def from_json(saved: Mapping[str, object]) -> "Views":
        """Return the settings that `to_json` wrote.

        Raises:
            ConfigError: a setting is missing or unknown, or its value is not allowed.
        """
        known = [f.name for f in fields(Views)]
        for name in saved:
            if name not in known:
                raise ConfigError(f"Unknown view setting {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")
        if missing := [name for name in known if name not in saved]:
            raise ConfigError(f"The saved view settings lack {', '.join(missing)}. Was the file changed by hand?")
        if saved["kind"] not in KINDS:
            raise ConfigError(f"Unknown kind of data {saved['kind']!r}. Known: {', '.join(KINDS)}.")
        given = {name: tuple(x) if isinstance(x, list) else x for name, x in saved.items()}
        return Views(**given)  # pyright: ignore[reportArgumentType]

    def _random_images(self, inputs: Tensor, numbers: list[Tensor]) -> Tensor:
        chunk = CHUNK if inputs.device.type == "cpu" else max(len(inputs), 1)
        out = inputs.new_empty((len(numbers), len(inputs), inputs.shape[3], self.size, self.size), dtype=torch.float32)
        for first in range(0, len(inputs), chunk):
            part = slice(first, first + chunk)
            images = to_float(inputs[part].permute(0, 3, 1, 2))
            for view, u in enumerate(numbers):
                out[view, part] = self._normalise(augment.augment(images, self.augment, u[part], self.size))
        return out

    def _draw(self, index: np.ndarray, epoch: int, view: int, device: torch.device) -> Tensor:
        u = uniform(index, augment.draws(self.augment), "augment", self.seed, epoch, view)
        # 24 bits are what float32 holds below 1: rounding to the nearest could give 1 itself
        return torch.from_numpy((np.floor(u * 2**24) * 2.0**-24).astype(np.float32)).to(device)

    def _normalise(self, x: Tensor) -> Tensor:
        mean, std = self._statistics(x, like=x)
        return torch.addcmul(-mean / std, x, 1 / std)

    def _statistics(self, x: Tensor, *, like: Tensor) -> tuple[Tensor, Tensor]:
        trailing = (1,) * (like.ndim - 2)
        mean, std = (torch.tensor(v, dtype=torch.float32, device=x.device) for v in (self.mean, self.std))
        return mean.view(-1, *trailing), std.view(-1, *trailing)

    def _check(self, inputs: Tensor) -> None:
        axes, dtype, channels, words = _INPUTS[self.kind]
        if inputs.ndim != axes or inputs.dtype != dtype:
            got = f"{tuple(inputs.shape)} {str(inputs.dtype).removeprefix('torch.')}"
            raise ShapeError(f"Expected inputs {words} for kind {self.kind!r}, got {got}.")
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, inputs.shape[channels]):
                what = "features" if self.kind == "rows" else "channels"
                raise ShapeError(
                    f"Expected inputs of {len(numbers)} {what} (as `{name}` has), got {inputs.shape[channels]}. "
                    "Give the model what it was trained on."
                )


def to_float(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return uint8 images as contiguous float32 in [0, 1].

    Example:
        >>> to_float(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).tolist()
        [[[[0.0, 1.0]]]]
    """
    return images.contiguous().float().div_(255)


def feature_statistics(rows: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each feature or channel, for `Views`; a constant one gets 1.

    Args:
        rows: (n, f) or (n, c, t), the training rows only, so that nothing is learned from the test rows.

    Example:
        >>> feature_statistics(np.array([[0.0, 5.0], [2.0, 5.0]]))
        ((1.0, 5.0), (1.0, 1.0))
    """
    if rows.ndim == 3:
        mean, std = _channel_statistics(rows)
    else:
        wide = rows.astype(np.float64)
        mean, std = wide.mean(0), wide.std(0)
    std = np.where(std > 1e-9 * np.abs(mean), std, 1.0)  # what rounding leaves of a constant is no spread
    return tuple(mean.tolist()), tuple(std.tolist())


# ----------------------------------------------------------------------------------------------------------------------


def _short(numbers: tuple[float, ...]) -> str:
    shown = ", ".join(f"{x:g}" for x in numbers[:4])
    return f"({shown}, ...)" if len(numbers) > 4 else f"({shown})"


def _channel_statistics(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, (c,), piece by piece: signals in float64 may not fit in memory."""
    pieces = range(0, len(signals), STATISTICS_ROWS)
    count = len(signals) * signals.shape[2]

    def total(change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        parts = (change(signals[start : start + STATISTICS_ROWS].astype(np.float64)) for start in pieces)
        return np.sum([part.sum(axis=(0, 2)) for part in parts], axis=0) / count

    mean = total(lambda x: x)
    return mean, np.sqrt(total(lambda x: np.square(x - mean[:, None])))
