"""Transforms of images that leave every pixel in its place: light, noise, colour, grey, blur.

Pure functions of a batch in [0, 1] and of uniform numbers, as `isotone.data.augment` describes them.

Source: torchvision's ColorJitter (BSD-3) defines `color`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from isotone.data.gaussian import gaussian

COLOR = (0.4, 0.4, 0.4, 0.1)  # brightness, contrast, saturation, hue of the published recipes
STRONG_COLOR = (0.8, 0.8, 0.8, 0.2)  # SimCLR at strength 1
COLOR_SHARE = 0.8
GRAY_SHARE = 0.2
BLUR_SIGMA = (0.1, 2.0)  # pixels; this and the share as in SimCLR
BLUR_SHARE = 0.5
LIGHT = 0.2
NOISE_SIGMA = 0.02
LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as in torchvision and Pillow


def light(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Change brightness, then contrast, each by a factor within 1 ± 0.2, as `color` defines them."""
    return _contrast(_brightness(images, _spread(u[:, 0], LIGHT)), _spread(u[:, 1], LIGHT))


def noise(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Add Gaussian noise of sigma 0.02 to every pixel and clamp to [0, 1]."""
    drawn = gaussian(u, math.prod(images.shape[1:])).view_as(images)
    return torch.add(images, drawn, alpha=NOISE_SIGMA).clamp_(0, 1)


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
    return _recolor(images, u, COLOR)


def strong_color(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 5"]) -> Float[Tensor, "b c h w"]:
    """Change 80 % of the images as `color` does, twice as far: each part by 1 ± 0.8 and the hue by ± 0.2 turn.

    That is SimCLR's colour distortion of strength 1, for ImageNet. Its setting for CIFAR-10, strength 0.5, is `color`.

    Args:
        images: in [0, 1].
        u: as for `color`.

    Source: Chen et al. 2020, arXiv 2002.05709, appendix A.
    """
    return _recolor(images, u, STRONG_COLOR)


def grayscale(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
    """Replace all three channels by their luma in 20 % of the images; other channel counts stay as they are."""
    if images.shape[1] != 3:
        return images
    return torch.where(_per_image(u[:, 0] < GRAY_SHARE), _gray(images), images)


def blur(images: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
    """Blur half of the images by a Gaussian whose sigma is uniform between 0.1 and 2 pixels; edges are mirrored.

    The kernel is cut off at a twentieth of the shorter side, at least 1 pixel, to either side of its middle: about 10 %
    of the side in all, as in SimCLR. At 32 pixels it is 3 wide, so a sigma of 2 is nearly the mean of 3 x 3 pixels.

    Args:
        images: in [0, 1], at least 2 pixels high and wide.
        u: whether to apply, then sigma.

    Source: Chen et al. 2020, arXiv 2002.05709, appendix A.
    """
    chosen = u[:, 0] < BLUR_SHARE
    if not bool(chosen.any()):
        return images
    radius = max(1, min(images.shape[2:]) // 20)
    sigma = BLUR_SIGMA[0] + (BLUR_SIGMA[1] - BLUR_SIGMA[0]) * u[chosen, 1:2]
    away = torch.arange(-radius, radius + 1, device=u.device) / sigma  # (b, k)
    weights = torch.exp(-away.square() / 2)
    out = images.clone()
    out[chosen] = _smooth(images[chosen], weights / weights.sum(1, keepdim=True))
    return out


# ----------------------------------------------------------------------------------------------------------------------


def _recolor(images: Tensor, u: Tensor, strength: tuple[float, float, float, float]) -> Tensor:
    kept = _per_image(u[:, 0] < COLOR_SHARE)
    brightness, contrast, saturation, hue = strength
    out = _contrast(_brightness(images, _spread(u[:, 1], brightness)), _spread(u[:, 2], contrast))
    if images.shape[1] == 3:
        out = _hue(_saturation(out, _spread(u[:, 3], saturation)), (2 * u[:, 4] - 1) * hue)
    return torch.where(kept, out, images)


def _smooth(images: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of neighbours along width, then height, by one kernel (b, k) for each image."""
    batch, channels, radius = len(images), images.shape[1], weights.shape[1] // 2
    kernel = weights.repeat_interleave(channels, 0)[:, None, None]  # (b c, 1, 1, k)
    with torch.autocast(images.device.type, enabled=False):
        planes = functional.pad(images.reshape(1, batch * channels, *images.shape[2:]), (radius,) * 4, mode="reflect")
        planes = functional.conv2d(planes, kernel, groups=batch * channels)
        return functional.conv2d(planes, kernel.transpose(2, 3), groups=batch * channels).view_as(images)


def _per_image(x: Tensor) -> Tensor:
    return x[:, None, None, None]


def _spread(u: Tensor, width: float) -> Tensor:
    """Map [0, 1) to factors within 1 ± width."""
    return 1 + width * (2 * u - 1)


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
    hue = hue.copysign_(green - blue).add_(6 * turn[:, None, None])  # in [-4.2, 4.2]
    out = torch.empty_like(images)
    away = hue.abs()  # beyond 4 the other red sector begins
    torch.addcmul(low, chroma, torch.maximum(2 - away, away - 4).clamp_(0, 1), out=out[:, 0])
    for channel, third in ((1, -2), (2, 2)):
        triangle = (hue + third).abs_().sub_(3).abs_().sub_(1).clamp_(0, 1)
        torch.addcmul(low, chroma, triangle, out=out[:, channel])
    return out
