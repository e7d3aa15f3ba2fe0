"""Patches lie where they should, at every size; turns and shuffles are exact and can be undone."""

import numpy as np
import pytest
import torch

from isotone.data.patches import (
    Grid,
    cut_patches,
    grid,
    normalise_patches,
    quarter_turns,
    recolour_patches,
    shuffle,
    turn,
)
from isotone.errors import ConfigError, ShapeError

unhooked = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)


def _draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _places(size: int) -> torch.Tensor:
    """Return an image whose two channels are each pixel's own row and column."""
    return torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).float()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32, Grid(1, 10, 8, 2)),  # cell, patch, jitter: reference/methods.md, section 2
        (64, Grid(0, 21, 16, 5)),
        (96, Grid(0, 32, 24, 8)),
        (224, Grid(1, 74, 56, 18)),  # 74 * 64 / 85 = 55.7
        (255, Grid(0, 85, 64, 21)),  # the published one
        (256, Grid(0, 85, 64, 21)),
        (21, Grid(0, 7, 5, 2)),
    ],
)
def test_the_grid_is_the_published_one_scaled(size: int, expected: Grid) -> None:
    assert grid(size) == expected


def test_the_smallest_image_is_named() -> None:
    for size in range(1, 21):
        with pytest.raises(ConfigError) as caught:
            grid(size)
        assert str(caught.value) == (
            f"a 3 x 3 grid of patches needs images of at least 21 pixels, got {size}: smaller cells leave the patches "
            "no jitter, and the puzzle is solved by continuing edges. Set a larger --image-size."
        )


@pytest.mark.parametrize("size", [*range(21, 70), 96, 128, 224, 255, 256, 299])
def test_patches_lie_in_their_own_cell_and_never_touch(size: int) -> None:
    shape = grid(size)
    u = _draws(6, 18)
    u[0], u[1] = 0.0, 1 - 2.0**-53  # the two ends
    u[2, ::2], u[2, 1::2] = 0.0, 1 - 2.0**-53
    found = cut_patches(_places(size).expand(6, 2, size, size), u)
    assert found.shape == (6, 9, 2, shape.patch, shape.patch)
    for cell in range(9):
        for axis, number in ((0, cell // 3), (1, cell % 3)):  # row by row
            first = shape.start + number * shape.cell
            assert found[:, cell, axis].min() >= first
            assert found[:, cell, axis].max() < first + shape.cell - 1  # the last pixel is the gap to the next
    assert found.min() >= 0
    assert found.max() < size


def test_a_patch_is_a_piece_of_the_image_at_the_drawn_place() -> None:
    image = _draws(1, 3, 64, 64).float()
    u = torch.zeros(1, 18, dtype=torch.float64)
    u[0, 5], u[0, 9 + 5] = 0.5, 0.99  # cell 5: middle row, right column; jitter 5: 2 down, 4 to the right
    found = cut_patches(image, u)
    assert torch.equal(found[0, 5], image[0, :, 21 + 2 : 21 + 2 + 16, 42 + 4 : 42 + 4 + 16])
    assert torch.equal(found[0, 0], image[0, :, :16, :16])


def test_every_place_of_the_jitter_is_taken_equally_often() -> None:
    found = cut_patches(_places(32).expand(4000, 2, 32, 32), _draws(4000, 18))
    corner = found[:, :, :, 0, 0].round().long()  # (n, 9, 2)
    for cell, axis in ((0, 0), (4, 1), (8, 0)):
        counts = corner[:, cell, axis].bincount()
        assert counts[counts > 0].tolist() == pytest.approx([2000, 2000], abs=150)  # 4.7 standard deviations


def test_patches_of_an_image_do_not_depend_on_the_others() -> None:
    images, u = _draws(5, 3, 40, 40), _draws(5, 18, seed=1)
    assert torch.equal(cut_patches(images, u)[[3, 1]], cut_patches(images[[3, 1]], u[[3, 1]]))


def test_a_patch_is_normalised_by_its_own_mean_and_deviation() -> None:
    patches = _draws(3, 9, 2, 8, 8) * torch.arange(1, 10)[:, None, None, None] + 5
    found = normalise_patches(patches)
    one = patches[1, 4, 1]
    torch.testing.assert_close(found[1, 4, 1], (one - one.mean()) / (one.var(unbiased=False) + 1e-5).sqrt())
    torch.testing.assert_close(found.mean((3, 4)), torch.zeros(3, 9, 2, dtype=torch.float64), atol=1e-12, rtol=0)


def test_an_even_patch_stays_even_and_its_noise_small() -> None:
    even = torch.full((1, 9, 3, 8, 8), 0.123)
    assert normalise_patches(even).abs().max() < 1e-4
    step = 2 / 255  # one grey level of a view in [-1, 1]
    noisy = even.clone()
    noisy[..., ::2] += 0.01 * step
    assert normalise_patches(noisy).abs().max() < 0.02


def test_each_patch_is_recoloured_by_itself_as_the_formula_says() -> None:
    patches, u = _draws(2, 9, 3, 4, 4), _draws(2, 9, 3, seed=1)
    u[..., 2] = 0.9
    u[1, 3, 2] = 0.1
    found = recolour_patches(patches, u)
    for i, j in ((0, 0), (1, 7), (1, 3)):
        x, f, g = patches[i, j], 1 + 0.4 * (2 * u[i, j, 0] - 1), 0.4 * (2 * u[i, j, 1] - 1)
        expected = f * (x - x.mean()) + x.mean() + g
        expected = expected.mean(0, keepdim=True).expand(3, 4, 4) if (i, j) == (1, 3) else expected
        torch.testing.assert_close(found[i, j], expected)
    assert found.dtype == patches.dtype


def test_recolouring_keeps_the_type_of_the_patches() -> None:
    assert recolour_patches(torch.rand(1, 9, 1, 4, 4), _draws(1, 9, 3)).dtype == torch.float32


def test_a_shuffle_can_be_undone() -> None:
    patches, order = _draws(4, 9, 3, 5, 5), _draws(4, 9, seed=1).argsort(1)
    shuffled = shuffle(patches, order)
    assert not torch.equal(shuffled, patches)
    for i in range(4):
        for place in range(9):
            assert torch.equal(shuffled[i, place], patches[i, order[i, place]])
    assert torch.equal(shuffle(shuffled, order.argsort(1)), patches)
    assert torch.equal(shuffle(patches, order.to(torch.uint8)), shuffled)  # as a permutation set is stored


def test_four_quarter_turns_are_the_identity_and_exact() -> None:
    images = _draws(3, 2, 7, 7)
    once = torch.ones(3, dtype=torch.int64)
    found = images
    for _ in range(4):
        found = turn(found, once)
    assert torch.equal(found, images)


def test_turns_are_numpys() -> None:
    images = _draws(3, 2, 6, 6)
    found = quarter_turns(images)
    for i in range(3):
        for quarters in range(4):
            assert np.array_equal(found[i, quarters].numpy(), np.rot90(images[i].numpy(), quarters, axes=(1, 2)))
            assert torch.equal(turn(images, torch.full((3,), quarters))[i], found[i, quarters])


def test_each_image_has_its_own_turn() -> None:
    images, quarters = _draws(4, 1, 5, 5), torch.tensor([3, 0, 2, 1])
    for i in range(4):
        assert torch.equal(turn(images, quarters)[i], quarter_turns(images)[i, int(quarters[i])])


@unhooked
@pytest.mark.parametrize("cut", [quarter_turns, lambda x: turn(x, torch.zeros(2).long()), lambda x: cut_patches(x, x)])
def test_images_must_be_square(cut: object) -> None:
    with pytest.raises(ShapeError) as caught:
        cut(torch.zeros(2, 3, 30, 40))  # type: ignore[operator]
    assert str(caught.value) == (
        "expected square images (n, c, s, s), got (2, 3, 30, 40). Flatten the views to rows, or crop first."
    )


@unhooked
def test_draws_must_fit() -> None:
    with pytest.raises(ShapeError) as caught:
        cut_patches(torch.zeros(2, 3, 40, 40), torch.zeros(2, 9))
    assert str(caught.value) == "expected u of shape (2, 18), got (2, 9)."
    with pytest.raises(ShapeError) as caught:
        recolour_patches(torch.zeros(2, 9, 3, 8, 8), torch.zeros(2, 9))
    assert str(caught.value) == "expected u of shape (2, 9, 3), got (2, 9)."
