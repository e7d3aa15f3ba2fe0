"""Batched augmentation with its own parameters for each sample, on the device of the inputs.

Every transform is a pure function `name(inputs, u)`: `u` (b, draws) are uniform numbers in [0, 1) that come from
outside, so a sample's augmentation depends on its key and not on the batch it is in. Batched work is 10 to 20 times
faster than transforms applied image by image at small sizes, and runs on a GPU unchanged.

A transform must preserve the label. A crop or a rotation changes a size, a count, a position or an angle, and a mirror
changes a left-right target; `mild` (flip, light) is the default for images, everything else is named by the user.
The published AgeDB set is `crop,flip,color,grayscale`, in this order.

Source: torchvision's RandomResizedCrop and ColorJitter (BSD-3) define `crop` and `color`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from isotone.errors import ConfigError, ShapeError, nearest
from isotone.records import Kind

CROP_SCALE = (0.2, 1.0)  # share of the area; Rank-N-Contrast, SupCon and SimCLR's CIFAR setting
CROP_LOG_RATIO = math.log(4 / 3)  # width / height between 3/4 and 4/3, uniform in its logarithm
CROP_TRIES = 10  # boxes drawn before the fallback, as torchvision does
COLOR = (0.4, 0.4, 0.4, 0.1)  # brightness, contrast, saturation, hue of the published recipes
COLOR_SHARE = 0.8
GRAY_SHARE = 0.2
LIGHT = 0.2
NOISE_SIGMA = 0.02
JITTER_SIGMA = 0.05  # in standard deviations of the feature
SHIFT = 0.06  # share of the side
ROTATE_DEGREES = 10.0
LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as in torchvision and Pillow


def flip(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
    """Mirror each image left to right with probability one half; exact, no interpolation.

    Example:
        >>> flip(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[0.2]])).tolist()
        [[[[1.0, 0.0]]]]
    """
    return torch.where(_per_image(u[:, 0] < 0.5), images.flip(-1), images)


def turn(images: Float[Tensor, "b c s s"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c s s"]:
    """Turn each image by 0, 90, 180 or 270 degrees; exact. For pictures that have no upright, as under a microscope."""
    turned = torch.stack([images.rot90(quarters, (2, 3)) for quarters in range(4)])
    return turned[(4 * u[:, 0]).long(), torch.arange(len(images), device=images.device)]


def light(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Change brightness, then contrast, each by a factor within 1 ± 0.2, as `color` defines them."""
    return _contrast(_brightness(images, _spread(u[:, 0], LIGHT)), _spread(u[:, 1], LIGHT))


def noise(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Add Gaussian noise of sigma 0.02 to every pixel and clamp to [0, 1]."""
    drawn = _gaussian(u, images[0].numel()).view_as(images)
    return torch.add(images, drawn, alpha=NOISE_SIGMA).clamp_(0, 1)


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


def color(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 5"]) -> Float[Tensor, "b c h w"]:
    """Change brightness, contrast, saturation (each by 1 ± 0.4) and hue (± 0.1 turn) of 80 % of the images.

    Each part is torchvision's for float tensors; the order is fixed as listed (torchvision shuffles it):

    - brightness f: `f x`; contrast f: `f x + (1 - f) mean(gray)`; saturation f: `f x + (1 - f) gray`, all clamped to
      [0, 1], with `gray = 0.2989 r + 0.587 g + 0.114 b` (the mean of the channels unless there are three);
    - hue f: f is added to the hue of HSV, in turns; value and saturation stay.

    Images that do not have three channels keep saturation and hue.

    Args:
        images: in [0, 1].
        u: whether to apply, then brightness, contrast, saturation, hue; 0.5 is no change.

    Returns:
        The same shape, in [0, 1].
    """
    kept = _per_image(u[:, 0] < COLOR_SHARE)
    brightness, contrast, saturation, hue = COLOR
    out = _contrast(_brightness(images, _spread(u[:, 1], brightness)), _spread(u[:, 2], contrast))
    if images.shape[1] == 3:
        out = _hue(_saturation(out, _spread(u[:, 3], saturation)), (2 * u[:, 4] - 1) * hue)
    return torch.where(kept, out, images)


def grayscale(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
    """Replace all three channels by their luma in 20 % of the images; other channel counts stay as they are."""
    if images.shape[1] != 3:
        return images
    return torch.where(_per_image(u[:, 0] < GRAY_SHARE), _gray(images), images)


def jitter(rows: Float[Tensor, "b f"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b f"]:
    """Add Gaussian noise of sigma 0.05 to every (standardised) feature."""
    return torch.add(rows, _gaussian(u, rows.shape[1]), alpha=JITTER_SIGMA)


@dataclass(frozen=True)
class Transform:
    """One line of the table: how many numbers `apply` needs for each sample, and what it works on."""

    draws: int
    kind: Kind
    apply: Callable[[Tensor, Tensor], Tensor]


TRANSFORMS: dict[str, Transform] = {
    "flip": Transform(1, "image", flip),
    "turn": Transform(1, "image", turn),
    "light": Transform(2, "image", light),
    "noise": Transform(2, "image", noise),
    "shift": Transform(2, "image", shift),
    "rotate": Transform(1, "image", rotate),
    "crop": Transform(2 * CROP_TRIES + 2, "image", crop),
    "color": Transform(5, "image", color),
    "grayscale": Transform(1, "image", grayscale),
    "jitter": Transform(2, "rows", jitter),
}
PRESETS: dict[str, tuple[str, ...]] = {"none": (), "mild": ("flip", "light")}


def parse(names: str | Sequence[str], kind: Kind) -> tuple[str, ...]:
    """Return the transforms that the user named, presets written out, in the user's order.

    Args:
        names: transforms and presets, as a comma-separated text or a sequence.
        kind: what the data are: `image` or `rows`.

    Raises:
        ConfigError: a name is unknown, is meant for the other kind of data, or comes twice.

    Example:
        >>> parse("mild,noise", "image")
        ('flip', 'light', 'noise')
    """
    given = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    for name in given:
        if name not in TRANSFORMS and name not in PRESETS:
            known = ", ".join([*PRESETS, *(n for n, transform in TRANSFORMS.items() if transform.kind == kind)])
            raise ConfigError(f"Unknown augmentation {name!r}.{nearest(name, [*TRANSFORMS, *PRESETS])} Known: {known}.")
    found = tuple(single for name in given for single in PRESETS.get(name, (name,)))
    for position, name in enumerate(found):
        if TRANSFORMS[name].kind != kind:
            other = {"image": "images", "rows": "rows of numbers"}
            raise ConfigError(
                f"The augmentation {name!r} is for {other[TRANSFORMS[name].kind]}, but the data are {other[kind]}. "
                "Leave it out."
            )
        if name in found[:position]:
            raise ConfigError(f"The augmentation {name!r} comes twice in {','.join(given)!r}. Name it once.")
    return found


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


def augment_rows(rows: Float[Tensor, "b f"], names: Sequence[str], u: Float[Tensor, "b k"]) -> Float[Tensor, "b f"]:
    """Apply the named transforms to standardised rows of numbers; arguments and errors as in `augment`."""
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


def _per_image(x: Tensor) -> Tensor:
    return x[:, None, None, None]


def _spread(u: Tensor, width: float) -> Tensor:
    """Map [0, 1) to factors within 1 ± width."""
    return 1 + width * (2 * u - 1)


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


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * _per_image(factor)).clamp_(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    means = images.mean((2, 3))  # of each channel: the mean of the gray image is the gray of the means
    mean = means @ means.new_tensor(LUMA) if images.shape[1] == 3 else means.mean(1)
    return torch.addcmul(_per_image((1 - factor) * mean), images, _per_image(factor)).clamp_(0, 1)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(_gray(images), images, _per_image(factor)).clamp_(0, 1)


def _gray(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _hue(images: Tensor, turn: Tensor) -> Tensor:
    """Add `turn` to the hue of HSV, written without the six cases, whose selections cost ten times the arithmetic.

    With channels scaled to minimum 0 and maximum 1 the hue, in sixths of a turn, is `±(1 + g + b - r)`, positive where
    g >= b; red is `clamp(2 - |hue|)`, and green and blue are the same shifted by a third of a turn.
    """
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high.sub_(low)
    hue = (green + blue).sub_(red).sub_(low).div_(chroma.clamp_min(1e-12)).add_(1)
    hue = hue.copysign_(green - blue).add_(6 * turn[:, None, None])  # in [-3.6, 3.6]
    out = torch.empty_like(images)
    torch.addcmul(low, chroma, (2 - hue.abs()).clamp_(0, 1), out=out[:, 0])
    for channel, third in ((1, -2), (2, 2)):
        triangle = (hue + third).abs_().sub_(3).abs_().sub_(1).clamp_(0, 1)
        torch.addcmul(low, chroma, triangle, out=out[:, channel])
    return out


def _gaussian(u: Tensor, count: int) -> Tensor:
    """Return (b, count) standard normal numbers that depend on the sample's two numbers `u` (b, 2) and nothing else.

    The two numbers (24 bits each) seed a hash of the position, and the inverse of the normal distribution turns its
    bits into the sample. A generator for each sample would be a loop over the batch and differ between devices.
    """
    whole = (u * 2**24).to(torch.int32)
    seed = _hash(_hash(whole[:, :1]) ^ whole[:, 1:])
    bits = _hash(_hash(torch.arange(count, device=u.device, dtype=torch.int32)) ^ seed)  # (b, count)
    # 23 bits and a half fit a float32, so ±1 is never reached: the tails end at 5.2
    symmetric = bits.bitwise_right_shift_(9).bitwise_and_(0x7FFFFF).to(u.dtype).add_(0.5).mul_(2.0**-22).sub_(1)
    return symmetric.erfinv_().mul_(math.sqrt(2))


def _hash(x: Tensor) -> Tensor:
    """Mix 32 bits held in int32, whose products wrap: the finaliser of MurmurHash3 (Appleby, public domain)."""
    x = _fold(x, 16).mul_(0x85EBCA6B - 2**32)
    x = _fold(x, 13).mul_(0xC2B2AE35 - 2**32)
    return _fold(x, 16)


def _fold(x: Tensor, bits: int) -> Tensor:
    # int32 shifts copy the sign downwards; the mask makes the shift logical
    return (x >> bits).bitwise_and_((1 << (32 - bits)) - 1).bitwise_xor_(x)
