"""Batched augmentation with its own parameters for each sample, on the device of the inputs.

Every transform is a pure function `name(inputs, u)`: `u` (b, draws) are uniform numbers in [0, 1) that come from
outside, so a sample's augmentation depends on its key and not on the batch it is in. Batched work is 10 to 20 times
faster than transforms applied image by image at small sizes, and runs on a GPU unchanged.

A transform must preserve the label. A crop or a rotation changes a size, a count, a position or an angle, and a mirror
changes a left-right target; `mild` (flip, light) is the default for images, everything else is named by the user.
The published AgeDB set is `crop,flip,color,grayscale`, in this order; SimCLR's for CIFAR-10, `simclr`, is the same.

Source: torchvision's RandomResizedCrop (BSD-3) defines `crop`; Chen et al. 2020, arXiv 2002.05709, appendix A and B.9,
the two presets.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from isotone.data.photometric import blur, color, grayscale, light, noise, strong_color
from isotone.data.signals import channeldrop, jitter, scale, timeshift
from isotone.errors import ConfigError, ShapeError, nearest
from isotone.records import Kind

CROP_SCALE = (0.2, 1.0)  # share of the area; Rank-N-Contrast, SupCon and SimCLR's CIFAR setting
CROP_LOG_RATIO = math.log(4 / 3)  # width / height between 3/4 and 4/3, uniform in its logarithm
CROP_TRIES = 10  # boxes drawn before the fallback, as torchvision does
SHIFT = 0.06  # share of the side
ROTATE_DEGREES = 10.0


def flip(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
    """Mirror each image left to right with probability one half; exact, no interpolation.

    Example:
        >>> flip(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[0.2]])).tolist()
        [[[[1.0, 0.0]]]]
    """
    return torch.where(u[:, 0, None, None, None] < 0.5, images.flip(-1), images)


def turn(images: Float[Tensor, "b c s s"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c s s"]:
    """Turn each image by 0, 90, 180 or 270 degrees; exact. For pictures that have no upright, as under a microscope."""
    turned = torch.stack([images.rot90(quarters, (2, 3)) for quarters in range(4)])
    return turned[(4 * u[:, 0]).long(), torch.arange(len(images), device=images.device)]


def shift(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Move each image by whole pixels, up to 6 % of the side in x and in y; what comes in is 0.

    The first number is x (rightwards), the second y (downwards). Images under 9 pixels do not move.
    """
    side = torch.tensor([images.shape[3], images.shape[2]], device=u.device)
    pixels = torch.round((2 * u - 1) * SHIFT * side)
    move = -2 * pixels / side  # grid_sample asks where a pixel comes from; the image is 2 wide
    eye = torch.eye(2, device=u.device).expand(len(u), 2, 2)
    return _affine(images, torch.cat([eye, move[:, :, None]], 2), "nearest")


def rotate(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
    """Rotate each image about its centre by up to 10 degrees either way, bilinear; what comes in is 0.

    Positive angles (u > 0.5) turn counter-clockwise. Not part of any preset: it changes an orientation.
    """
    height, width = images.shape[2:]
    angle = (2 * u[:, 0] - 1) * math.radians(ROTATE_DEGREES)
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    x = torch.stack([cos, -sin * height / width, zero], 1)
    y = torch.stack([sin * width / height, cos, zero], 1)
    return _affine(images, torch.stack([x, y], 1), "bilinear")


def crop(
    images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 22"], size: int | None = None
) -> Float[Tensor, "b c s t"]:
    """Cut a random box out of each image and resize it to `size`, as torchvision's RandomResizedCrop does.

    The box has 20 to 100 % of the area and a width / height between 3/4 and 4/3. It is drawn up to ten times until it
    fits in the image; after that it is the largest centred box of an allowed ratio. The one difference from torchvision
    is that the box is not rounded to whole pixels.

    Args:
        images: in [0, 1].
        u: ten pairs (area, ratio), then the box's place in x and y.
        size: side of the result in pixels; None keeps the images' own height and width.

    Returns:
        (b, c, size, size), bilinear, and smoothed where the box is larger than `size` (as Pillow and torchvision do).

    Example:
        >>> crop(torch.rand(3, 1, 40, 40), torch.rand(3, 22), 32).shape
        torch.Size([3, 1, 32, 32])
    """
    height, width = images.shape[2:]
    sides = _box_sides(u[:, : 2 * CROP_TRIES].view(-1, CROP_TRIES, 2), height=height, width=width)
    start = u[:, 2 * CROP_TRIES :] * (1 - sides)
    across = _resize_weights(start[:, 0], sides[:, 0], length=width, size=size or width)
    down = _resize_weights(start[:, 1], sides[:, 1], length=height, size=size or height)
    return _resample(images, down, across)


@dataclass(frozen=True)
class Transform:
    """One line of the table: how many numbers `apply` needs for each sample, and what it works on."""

    draws: int
    kinds: tuple[Kind, ...]
    apply: Callable[[Tensor, Tensor], Tensor]


TRANSFORMS: dict[str, Transform] = {
    "flip": Transform(1, ("image",), flip),
    "turn": Transform(1, ("image",), turn),
    "light": Transform(2, ("image",), light),
    "noise": Transform(2, ("image",), noise),
    "shift": Transform(2, ("image",), shift),
    "rotate": Transform(1, ("image",), rotate),
    "crop": Transform(2 * CROP_TRIES + 2, ("image",), crop),
    "color": Transform(5, ("image",), color),
    "strong-color": Transform(5, ("image",), strong_color),
    "grayscale": Transform(1, ("image",), grayscale),
    "blur": Transform(2, ("image",), blur),
    "jitter": Transform(2, ("rows", "signal"), jitter),
    "scale": Transform(1, ("signal",), scale),
    "timeshift": Transform(1, ("signal",), timeshift),
    "channeldrop": Transform(1, ("signal",), channeldrop),
}
PRESETS: dict[str, dict[Kind, tuple[str, ...]]] = {
    "none": {"image": (), "rows": (), "signal": ()},
    "mild": {"image": ("flip", "light"), "rows": ("jitter",), "signal": ("jitter", "scale")},
    "simclr": {"image": ("crop", "flip", "color", "grayscale")},
    "simclr-strong": {"image": ("crop", "flip", "strong-color", "grayscale", "blur")},
}
_WORDS: dict[Kind, str] = {"image": "images", "rows": "rows of numbers", "signal": "signals"}


def parse(names: str | Sequence[str], kind: Kind) -> tuple[str, ...]:
    """Return the transforms that the user named, presets written out, in the user's order.

    Args:
        names: transforms and presets, as a comma-separated text or a sequence.
        kind: what the data are: `image`, `rows` or `signal`; a preset can differ between them.

    Raises:
        ConfigError: a name is unknown, is meant for another kind of data, or comes twice.

    Example:
        >>> parse("mild,noise", "image")
        ('flip', 'light', 'noise')
    """
    given = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    found: list[str] = []
    for name in given:
        if name not in TRANSFORMS and name not in PRESETS:
            known = [n for n, preset in PRESETS.items() if kind in preset]
            known = ", ".join([*known, *(n for n, transform in TRANSFORMS.items() if kind in transform.kinds)])
            raise ConfigError(f"Unknown augmentation {name!r}.{nearest(name, [*TRANSFORMS, *PRESETS])} Known: {known}.")
        kinds = TRANSFORMS[name].kinds if name in TRANSFORMS else tuple(PRESETS[name])
        if kind not in kinds:
            meant = " and ".join(_WORDS[other] for other in kinds)
            raise ConfigError(
                f"The augmentation {name!r} is for {meant}, but the data are {_WORDS[kind]}. Leave it out."
            )
        found += PRESETS[name][kind] if name in PRESETS else (name,)
    for position, name in enumerate(found):
        if name in found[:position]:
            raise ConfigError(f"The augmentation {name!r} comes twice in {','.join(given)!r}. Name it once.")
    return tuple(found)


def draws(names: Sequence[str]) -> int:
    """Return how many uniform numbers a sample needs for these transforms (presets written out by `parse`)."""
    return sum(TRANSFORMS[name].draws for name in names)


def augment(
    images: Float[Tensor, "b c h w"], names: Sequence[str], u: Float[Tensor, "b k"], size: int
) -> Float[Tensor, "b c s s"]:
    """Apply the named transforms in their order.

    Without `crop` among them the images are first cut to their centre, as the clean view is.

    Args:
        images: in [0, 1].
        names: as `parse` returns them.
        u: `draws(names)` numbers in [0, 1) for each image, used from left to right.
        size: side of the result in pixels.

    Returns:
        (b, c, size, size), in [0, 1].

    Raises:
        ShapeError: `u` has another shape than (b, draws), or an image is smaller than `size`.

    Example:
        >>> augment(torch.rand(2, 3, 40, 40), ("flip", "light"), torch.rand(2, 3), size=32).shape
        torch.Size([2, 3, 32, 32])
    """
    _check_draws(u, len(images), names)
    out = images if "crop" in names else centre_crop(images, size)
    for name, numbers in zip(names, u.split([TRANSFORMS[name].draws for name in names], dim=1), strict=True):
        out = crop(out, numbers, size) if name == "crop" else TRANSFORMS[name].apply(out, numbers)
    return out


def augment_rows(
    rows: Float[Tensor, "b *shape"], names: Sequence[str], u: Float[Tensor, "b k"]
) -> Float[Tensor, "b *shape"]:
    """Apply the named transforms to standardised rows (b, f) or signals (b, c, t); the rest as in `augment`."""
    _check_draws(u, len(rows), names)
    for name, numbers in zip(names, u.split([TRANSFORMS[name].draws for name in names], dim=1), strict=True):
        rows = TRANSFORMS[name].apply(rows, numbers)
    return rows


def centre_crop(images: Shaped[Tensor, "b c h w"], size: int) -> Shaped[Tensor, "b c s s"]:
    """Return the centre of the images, `size` pixels wide and high.

    Raises:
        ShapeError: an image is smaller than `size`.
    """
    height, width = images.shape[2:]
    if min(height, width) < size:
        raise ShapeError(
            f"Expected images of at least {size} x {size} pixels, got {height} x {width}. "
            "Store them larger, or ask for a smaller image size."
        )
    top, left = (height - size) // 2, (width - size) // 2
    return images[:, :, top : top + size, left : left + size]


# ----------------------------------------------------------------------------------------------------------------------


def _check_draws(u: Tensor, count: int, names: Sequence[str]) -> None:
    if u.shape != (count, draws(names)):
        expected = (count, draws(names))
        raise ShapeError(f"Expected u of shape {expected} for {','.join(names) or 'none'}, got {tuple(u.shape)}.")


def _affine(images: Tensor, matrix: Tensor, mode: Literal["bilinear", "nearest"]) -> Tensor:
    """Sample each image where its 2 x 3 `matrix` sends the pixels of the result; the image spans [-1, 1]."""
    grid = functional.affine_grid(matrix.to(images.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def _resize_weights(start: Tensor, side: Tensor, *, length: int, size: int) -> Tensor:
    """Return (b, size, length): how much each of `length` pixels counts for each of the `size` pixels of the result.

    `start` and `side` are the box as shares of `length`. The weight is a triangle about the pixel's centre, as wide as
    the larger of an old and a new pixel, so that shrinking smooths.
    """
    step = side * (length / size)  # old pixels in a new one
    new = (start * length)[:, None] + step[:, None] * (torch.arange(size, device=side.device) + 0.5)
    old = torch.arange(length, device=side.device) + 0.5
    weights = (new[:, :, None] - old).abs_().div_(step.clamp_min(1)[:, None, None]).neg_().add_(1).clamp_min_(0)
    return weights.div_(weights.sum(2, keepdim=True))


def _box_sides(u: Tensor, *, height: int, width: int) -> Tensor:
    """Return the width and height of a random box as shares of the image, (b, 2), from (b, tries, 2) numbers."""
    low, high = CROP_SCALE
    area = low + (high - low) * u[:, :, 0]
    ratio = torch.exp((2 * u[:, :, 1] - 1) * CROP_LOG_RATIO) * (height / width)
    sides = torch.sqrt(torch.stack([area * ratio, area / ratio], 2))  # (b, tries, 2)
    fits = (sides <= 1).all(2)
    first = fits.to(torch.uint8).argmax(1)
    drawn = sides.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0]
    widest, tallest = math.exp(CROP_LOG_RATIO) * height / width, math.exp(CROP_LOG_RATIO) * width / height
    whole = torch.tensor([min(1.0, widest), min(1.0, tallest)], device=u.device, dtype=sides.dtype)
    return torch.where(fits.any(1)[:, None], drawn, whole)


def _resample(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Return `down @ image @ across^T` of every channel; on a CPU three times faster than sampling a grid."""
    (batch, channels, height, width), size = images.shape, down.shape[1]
    with torch.autocast(images.device.type, enabled=False):
        out = torch.bmm(down, images.transpose(1, 2).reshape(batch, height, channels * width))
        out = out.view(batch, size, channels, width).transpose(1, 2).reshape(batch, channels * size, width)
        return torch.bmm(out, across.transpose(1, 2)).view(batch, channels, size, across.shape[1])
