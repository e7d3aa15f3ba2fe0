"""What pretext tasks do to images: exact quarter turns, and a grid of 3 x 3 patches cut out, recoloured and shuffled.

Pure functions of whole batches, on their device. What is random comes from outside as numbers in [0, 1), one row for
each image, as `isotone.data.draws.sample_draws` makes them: an image's patches don't depend on the batch it is in.

The cells of the grid are numbered row by row, from 0 at the top left to 8 at the bottom right.

Source: Noroozi, Favaro 2016, arXiv 1603.09246, section 3 (patches; their cell of 85 pixels, patch of 64);
Gidaris, Singh, Komodakis 2018, arXiv 1803.07728, section 3 (turns).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from isotone.errors import ConfigError, ShapeError

SIDE = 3  # cells on a side
PATCHES = SIDE * SIDE
PATCH_SHARE = 64 / 85  # of the cell's side, as published
SMALLEST = 21  # pixels: below, the patch would have one place in its cell
CONTRAST, BRIGHTNESS, GRAY_SHARE = 0.4, 0.4, 0.2
FLAT = 1e-5  # added to a patch's variance: under one grey level, so rounding noise stays small


@dataclass(frozen=True)
class Grid:
    """Where patches lie in a square image.

    A patch starts at one of `jitter` places in its cell, on each axis: the last place is left out (as in VISSL), so
    that patches of neighbouring cells are at least 1 pixel apart and edges never run on from one into the next.

    Args:
        start: pixels left and above of the grid, where the size is no multiple of 3.
        cell: side of a cell in pixels.
        patch: side of a patch in pixels.
        jitter: places on each axis, 0 ... jitter - 1.
    """

    start: int
    cell: int
    patch: int
    jitter: int


def grid(size: int) -> Grid:
    """Return the 3 x 3 grid of images of this size: the published shape of 85 and 64 pixels, scaled.

    `cell = size // 3`, `patch = round(cell * 64 / 85)`, `jitter = cell - patch`:

        size     32   64   96  224  255
        cell     10   21   32   74   85
        patch     8   16   24   56   64
        jitter    2    5    8   18   21

    Args:
        size: side of the image in pixels, at least 21.

    Raises:
        ConfigError: for an image so small that a patch would always lie at one place of its cell: the task could then
            be solved by continuing edges across a gap that is always the same.

    Example:
        >>> grid(255)
        Grid(start=0, cell=85, patch=64, jitter=21)

    Source: arXiv 1603.09246, section 3; the scaling to other sizes is ours.
    """
    cell = size // SIDE
    patch = round(cell * PATCH_SHARE)
    if cell - patch < 2:
        raise ConfigError(
            f"a 3 x 3 grid of patches needs images of at least {SMALLEST} pixels, got {size}: smaller cells leave the "
            "patches no jitter, and the puzzle is solved by continuing edges. Set a larger --image-size."
        )
    return Grid((size - SIDE * cell) // 2, cell, patch, cell - patch)


def cut_patches(images: Float[Tensor, "n c s s"], u: Float[Tensor, "n 18"]) -> Float[Tensor, "n 9 c p p"]:
    """Cut one patch out of each cell of each image's grid, at a random place within the cell.

    Args:
        images: square.
        u: in [0, 1), for each cell how far down the patch lies, then for each cell how far right.

    Returns:
        A copy, the cells in order.

    Raises:
        ConfigError: for images under 21 pixels.
        ShapeError: where the images are not square, or `u` has another shape.

    Example:
        >>> cut_patches(torch.rand(5, 3, 32, 32), torch.rand(5, 18)).shape
        torch.Size([5, 9, 3, 8, 8])
    """
    _check_square(images)
    _check_draws(u, (len(images), 2 * PATCHES))
    found = grid(images.shape[-1])
    across = torch.arange(PATCHES, device=images.device) % SIDE  # the cell's column
    corner = found.start + found.cell * torch.stack([across.view(SIDE, SIDE).T.flatten(), across])  # (2, 9)
    place = corner + (u.view(-1, 2, PATCHES) * found.jitter).long()  # (n, 2, 9)
    down, right = (place[..., None] + torch.arange(found.patch, device=images.device)).unbind(1)  # (n, 9, p)
    each = torch.arange(len(images), device=images.device)[:, None, None, None]
    # the indexed axes come first, the channels last: (n, 9, p, p, c)
    return images[each, :, down[..., :, None], right[..., None, :]].permute(0, 1, 4, 2, 3).contiguous()


def normalise_patches(patches: Float[Tensor, "n 9 c p p"]) -> Float[Tensor, "n 9 c p p"]:
    """Give each channel of each patch mean 0 and variance 1, so that brightness does not say which are neighbours.

    `(x - mean) / sqrt(variance + 1e-5)`: an even patch becomes 0, and noise below a grey level stays small.

    Args:
        patches: of any scale; images in [0, 1] or normalised views.

    Returns:
        The same shape and type.

    Example:
        >>> normalise_patches(torch.full((1, 9, 1, 2, 2), 0.5)).abs().max().item()
        0.0

    Source: arXiv 1603.09246, section 3, which names the shortcut.
    """
    centred = patches - patches.mean((3, 4), keepdim=True)
    return centred / torch.sqrt(centred.square().mean((3, 4), keepdim=True) + FLAT)


def recolour_patches(patches: Float[Tensor, "n 9 c p p"], u: Float[Tensor, "n 9 3"]) -> Float[Tensor, "n 9 c p p"]:
    """Change contrast and brightness of each patch by itself, and take the colour from a fifth of them.

    `f (x - mean) + mean + g` with f in 1 ± 0.4 and g in ± 0.4, on normalised views; at the default mean and standard
    deviation of 0.5, g is a fifth of the way from black to white. A patch without colour has the mean of its channels
    in all of them. A light form of PIRL's: no saturation, no hue, and nothing is clamped.

    Args:
        patches: cut from normalised views.
        u: in [0, 1): contrast, brightness (0.5 is no change), whether the patch turns grey.

    Returns:
        The same shape and type.

    Raises:
        ShapeError: where `u` has another shape.

    Example:
        >>> patches = torch.rand(2, 9, 3, 8, 8)
        >>> torch.allclose(recolour_patches(patches, torch.full((2, 9, 3), 0.5)), patches)
        True

    Source: Misra, van der Maaten 2020, arXiv 1912.01991, section 3.3: colour transforms on each patch.
    """
    _check_draws(u, (*patches.shape[:2], 3))
    contrast, brightness, gray = u.to(patches.dtype)[..., None, None, None].unbind(2)  # (n, 9, 1, 1, 1) each
    mean = patches.mean((2, 3, 4), keepdim=True)
    out = torch.addcmul(mean, patches - mean, 1 + CONTRAST * (2 * contrast - 1)) + BRIGHTNESS * (2 * brightness - 1)
    return torch.where(gray < GRAY_SHARE, out.mean(2, keepdim=True), out)


def shuffle(patches: Float[Tensor, "n q *shape"], order: Integer[Tensor, "n q"]) -> Float[Tensor, "n q *shape"]:
    """Return each row's patches in its own order: place i holds patch `order[i]`. `order.argsort(1)` undoes it.

    Args:
        patches: q for each row, of any shape.
        order: of each row a permutation of 0 ... q - 1, any integer type.

    Example:
        >>> patches, order = torch.rand(1, 9, 4), torch.tensor([[8, 1, 2, 3, 4, 5, 6, 7, 0]])
        >>> bool((shuffle(patches, order)[0, 0] == patches[0, 8]).all())
        True
    """
    return patches[torch.arange(len(patches), device=patches.device)[:, None], order.long()]


def quarter_turns(images: Float[Tensor, "n c s s"]) -> Float[Tensor, "n 4 c s s"]:
    """Return each image turned by 0, 90, 180 and 270 degrees counter-clockwise; exact, pixels only change place.

    Raises:
        ShapeError: where the images are not square.

    Example:
        >>> quarter_turns(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 1].tolist()
        [[[2.0, 4.0], [1.0, 3.0]]]
    """
    _check_square(images)
    return torch.stack([images.rot90(quarters, (2, 3)) for quarters in range(4)], 1)


def turn(images: Float[Tensor, "n c s s"], quarters: Integer[Tensor, " n"]) -> Float[Tensor, "n c s s"]:
    """Return each image turned by its own number of quarters, counter-clockwise; exact.

    Args:
        images: square.
        quarters: 0 to 3 for each image.

    Raises:
        ShapeError: where the images are not square.

    Example:
        >>> turn(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([2])).tolist()
        [[[[4.0, 3.0], [2.0, 1.0]]]]
    """
    return quarter_turns(images)[torch.arange(len(images), device=images.device), quarters]


# ----------------------------------------------------------------------------------------------------------------------


def _check_square(images: Tensor) -> None:
    if images.dim() != 4 or images.shape[2] != images.shape[3]:
        raise ShapeError(
            f"expected square images (n, c, s, s), got {tuple(images.shape)}. Flatten the views to rows, or crop first."
        )


def _check_draws(u: Tensor, expected: tuple[int, ...]) -> None:
    if u.shape != expected:
        raise ShapeError(f"expected u of shape {expected}, got {tuple(u.shape)}.")
