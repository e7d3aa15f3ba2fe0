import math

import pytest
import torch

from isotone.data import augment
from isotone.errors import ConfigError, ShapeError

IMAGE = [name for name, transform in augment.TRANSFORMS.items() if "image" in transform.kinds]


def images(count=4, channels=3, height=20, width=20, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def numbers(count, draws, seed=1):
    return torch.rand(count, draws, generator=torch.Generator().manual_seed(seed))


def test_four_quarter_turns_are_each_exact():
    x = images(4)
    got = augment.turn(x, torch.tensor([[0.0], [0.25], [0.5], [0.99]]))
    assert all(torch.equal(got[k], x[k].rot90(k, (1, 2))) for k in range(4))
    assert torch.equal(got[1].rot90(3, (1, 2)), x[1])


def test_flip_is_exact_and_per_image():
    x = images(2)
    got = augment.flip(x, torch.tensor([[0.49], [0.5]]))
    assert torch.equal(got[0], x[0].flip(-1))
    assert torch.equal(got[1], x[1])


def test_crop_of_the_full_box_is_the_image():
    never_fits = torch.tensor([[0.999, 0.0] * 10 + [0.3, 0.8]])  # nearly all the area at a ratio of 3/4
    x = images(1)
    assert torch.equal(augment.crop(x, never_fits, 20), x)
    assert torch.equal(augment.crop(x, never_fits), x)


def test_crop_takes_the_box_that_its_numbers_say():
    # area 0.2 + 0.8 * 0.0625 = 0.25 at ratio 1: half of each side; placed at 1/4 across and at the bottom
    u = torch.tensor([[0.0625, 0.5] * 10 + [0.5, 1.0]])
    x = images(1, 3, 16, 16)
    torch.testing.assert_close(augment.crop(x, u, 8), x[:, :, 8:, 4:12], atol=1e-6, rtol=0)


def test_crop_smooths_as_pillow_does_when_it_shrinks():
    u = torch.tensor([[0.999, 0.0] * 10 + [0.0, 0.0]])
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0] = 1.0
    # shrinking by 2: weights of the pixel centres at distances 0.5, 0.5, 1.5 from the new centre over a width of 2,
    # 3/4, 3/4, 1/4 of 7/4
    torch.testing.assert_close(augment.crop(x, u, 2)[0, 0], torch.tensor([[3 / 7, 0.0], [3 / 7, 0.0]]))
    expected = torch.nn.functional.interpolate(images(1), size=7, mode="bilinear", antialias=True)
    torch.testing.assert_close(augment.crop(images(1), u, 7), expected, atol=1e-5, rtol=0)


def test_crop_boxes_have_the_published_areas_and_ratios():
    u = numbers(4000, 20).view(-1, 10, 2)
    sides = augment._box_sides(u, height=64, width=64)
    area, ratio = sides.prod(1), sides[:, 0] / sides[:, 1]
    assert 0.2 <= area.min() < 0.21
    assert 0.97 < area.max() <= 1
    assert 0.75 - 1e-6 <= ratio.min() < 0.76
    assert 1.31 < ratio.max() <= 4 / 3 + 1e-6
    assert abs(ratio.log().mean()) < 0.01


def test_crop_falls_back_to_the_widest_allowed_box_of_a_long_image():
    never = torch.full((1, 10, 2), 0.999)
    assert torch.allclose(augment._box_sides(never, height=10, width=30), torch.tensor([[4 / 9, 1.0]]))


def test_crop_is_not_changed_by_autocast():
    x, u = images(), numbers(4, 22)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment.crop(x, u, 16), augment.crop(x, u, 16).float())
        inside = augment.crop(x, u, 16)
    assert torch.equal(inside, augment.crop(x, u, 16))


def test_shift_moves_whole_pixels_and_fills_with_zero():
    x = images(1, 1, 50, 50)  # 6 % of 50 = 3 pixels
    got = augment.shift(x, torch.tensor([[1.0, 0.5]]))
    assert torch.equal(got[..., 3:], x[..., :-3])
    assert not got[..., :3].any()
    assert torch.equal(augment.shift(x, torch.tensor([[0.5, 0.0]]))[..., :-3, :], x[..., 3:, :])
    assert torch.equal(augment.shift(x, torch.tensor([[0.5, 0.5]])), x)


def test_rotate_turns_counter_clockwise_about_the_centre():
    x = torch.zeros(1, 1, 61, 61)
    x[0, 0, 30, 55] = 1.0  # 25 pixels right of the centre
    got = augment.rotate(x, torch.tensor([[1.0]]))[0, 0]
    row, column = divmod(int(got.argmax()), 61)
    angle = math.radians(10)
    assert (row, column) == (round(30 - 25 * math.sin(angle)), round(30 + 25 * math.cos(angle)))
    torch.testing.assert_close(augment.rotate(x, torch.tensor([[0.5]])), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", IMAGE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_is_each_image_alone_and_the_input_stays(name, channels):
    x = images(5, channels)
    u = numbers(5, augment.TRANSFORMS[name].draws)
    before = x.clone(), u.clone()
    together = augment.augment(x, (name,), u, 20)
    alone = torch.cat([augment.augment(x[i : i + 1], (name,), u[i : i + 1], 20) for i in range(5)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert together.min() >= 0
    assert together.max() <= 1 + 1e-6
    assert torch.equal(x, before[0])
    assert torch.equal(u, before[1])


@pytest.mark.parametrize("name", IMAGE)
def test_the_largest_and_smallest_numbers_stay_finite(name):
    draws = augment.TRANSFORMS[name].draws
    u = torch.stack([torch.zeros(draws), torch.full((draws,), 1 - 2.0**-24)])
    for x in (torch.zeros(2, 3, 12, 10), torch.ones(2, 3, 12, 10)):
        assert augment.augment(x, (name,), u, 10).isfinite().all()


def test_the_published_set_runs_in_order_with_the_numbers_from_left_to_right():
    names = augment.parse("crop,flip,color,grayscale", "image")
    x, u = images(3, 3, 24, 24), numbers(3, augment.draws(names))
    assert augment.draws(names) == 22 + 1 + 5 + 1
    by_hand = augment.flip(augment.crop(x, u[:, :22], 16), u[:, 22:23])
    by_hand = augment.grayscale(augment.color(by_hand, u[:, 23:28]), u[:, 28:])
    assert torch.equal(augment.augment(x, names, u, 16), by_hand)


def test_no_transform_is_the_centre():
    x = images(2, 1, 10, 12)
    assert torch.equal(augment.augment(x, (), torch.zeros(2, 0), 6), x[:, :, 2:8, 3:9])


def test_an_empty_batch_is_an_empty_batch():
    names = augment.parse(("crop", "mild", "color"), "image")
    assert augment.augment(images(0), names, numbers(0, augment.draws(names)), 8).shape == (0, 3, 8, 8)


def test_parse_writes_presets_out():
    assert augment.parse(("mild",), "image") == ("flip", "light")
    assert augment.parse(("none",), "rows") == ()
    assert augment.parse((), "image") == ()
    assert augment.parse("jitter", "rows") == ("jitter",)
    assert augment.parse("simclr", "image") == ("crop", "flip", "color", "grayscale")
    assert augment.parse("simclr-strong", "image") == ("crop", "flip", "strong-color", "grayscale", "blur")


def test_mild_is_another_set_for_each_kind():
    assert augment.parse("mild", "rows") == ("jitter",)
    assert augment.parse("mild", "signal") == ("jitter", "scale")


@pytest.mark.parametrize(
    ("names", "kind", "text"),
    [
        (
            ("crop", "colour"),
            "image",
            "Unknown augmentation 'colour'. Did you mean 'color'? "
            "Known: none, mild, simclr, simclr-strong, flip, turn, light, noise, shift, rotate, crop, color, "
            "strong-color, grayscale, blur.",
        ),
        (("",), "rows", "Unknown augmentation ''. Known: none, mild, jitter."),
        (
            ("crop",),
            "rows",
            "The augmentation 'crop' is for images, but the data are rows of numbers. Leave it out.",
        ),
        (
            ("jitter",),
            "image",
            "The augmentation 'jitter' is for rows of numbers and signals, but the data are images. Leave it out.",
        ),
        (
            ("simclr",),
            "signal",
            "The augmentation 'simclr' is for images, but the data are signals. Leave it out.",
        ),
        (
            ("scael",),
            "signal",
            "Unknown augmentation 'scael'. Did you mean 'scale'? Known: none, mild, jitter, scale, timeshift, "
            "channeldrop.",
        ),
        (("mild", "flip"), "image", "The augmentation 'flip' comes twice in 'mild,flip'. Name it once."),
    ],
)
def test_parse_refuses(names, kind, text):
    with pytest.raises(ConfigError) as error:
        augment.parse(names, kind)
    assert str(error.value) == text


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError) as error:
        augment.augment(images(2), ("flip", "light"), numbers(2, 2), 20)
    assert str(error.value) == "Expected u of shape (2, 3) for flip,light, got (2, 2)."
    with pytest.raises(ShapeError) as error:
        augment.augment(images(2), (), numbers(2, 0), 32)
    assert str(error.value) == (
        "Expected images of at least 32 x 32 pixels, got 20 x 20. Store them larger, or ask for a smaller image size."
    )
