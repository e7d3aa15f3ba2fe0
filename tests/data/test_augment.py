import math

import pytest
import torch

from isotone.data import augment
from isotone.errors import ConfigError, ShapeError

IMAGE = [name for name, transform in augment.TRANSFORMS.items() if transform.kind == "image"]


def images(count=4, channels=3, height=20, width=20, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def numbers(count, draws, seed=1):
    return torch.rand(count, draws, generator=torch.Generator().manual_seed(seed))


# ---- the definitions, written slowly, one pixel or image at a time (torchvision's documentation of ColorJitter)


def luma(pixel):
    return 0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]


def each_pixel(image, change):
    channels, height, width = image.shape
    out = torch.empty_like(image)
    for i in range(height):
        for j in range(width):
            out[:, i, j] = torch.tensor(change([float(image[c, i, j]) for c in range(channels)]))
    return out


def clamp(x):
    return min(max(x, 0.0), 1.0)


def rotate_hue(pixel, turn):
    import colorsys

    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)


def slow_color(image, u):
    if u[0] >= 0.8:
        return image
    bright, contrast, saturation = (1 + 0.4 * (2 * float(x) - 1) for x in u[1:4])
    hue = 0.1 * (2 * float(u[4]) - 1)
    out = each_pixel(image, lambda p: [clamp(bright * x) for x in p])
    pixels = [[float(x) for x in column] for column in out.flatten(1).T]
    mean = sum(map(luma, pixels)) / len(pixels)
    out = each_pixel(out, lambda p: [clamp(contrast * x + (1 - contrast) * mean) for x in p])
    out = each_pixel(out, lambda p: [clamp(saturation * x + (1 - saturation) * luma(p)) for x in p])
    return each_pixel(out, lambda p: rotate_hue(p, hue))


def test_color_equals_the_parts_applied_pixel_by_pixel():
    x = images(4, 3, 9, 7)
    x[0, :, 0] = 0.3  # gray: no hue
    x[0, :, 1] = torch.tensor([0.0, 0.5, 0.5])[:, None]  # green equal to blue, both largest
    x[0, :, 2] = torch.tensor([0.7, 0.7, 0.1])[:, None]
    u = numbers(4, 5)
    u[:, 0] = torch.tensor([0.0, 0.79, 0.5, 0.81])
    slow = torch.stack([slow_color(image, numbers) for image, numbers in zip(x, u, strict=True)])
    torch.testing.assert_close(augment.color(x, u), slow, atol=2e-6, rtol=0)
    assert torch.equal(augment.color(x, u)[3], x[3])


def test_hue_alone_goes_once_around_the_six_sectors():
    edges = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=torch.float32)
    x = edges.T.reshape(1, 3, 1, 6)
    for u in (0.0, 0.3, 0.999):
        turn = 0.1 * (2 * u - 1)
        got = augment.color(x, torch.tensor([[0.0, 0.5, 0.5, 0.5, u]]))
        expected = torch.tensor([rotate_hue(pixel, turn) for pixel in edges.tolist()]).T.reshape(1, 3, 1, 6)
        torch.testing.assert_close(got, expected, atol=2e-6, rtol=0)


def test_color_of_one_channel_changes_brightness_and_contrast_only():
    x = images(1, 1, 4, 4)
    low = augment.color(x, torch.tensor([[0.0, 0.25, 0.75, 0.0, 0.0]]))
    high = augment.color(x, torch.tensor([[0.0, 0.25, 0.75, 0.9, 0.9]]))
    assert torch.equal(low, high)
    bright = x * 0.8  # 1 + 0.4 (2 * 0.25 - 1)
    torch.testing.assert_close(low, (1.2 * bright - 0.2 * bright.mean()).clamp(0, 1))


def test_light_is_brightness_then_contrast_within_a_fifth():
    x = images(1)
    got = augment.light(x, torch.tensor([[0.0, 0.75]]))
    dark = 0.8 * x[0]
    expected = (1.1 * dark - 0.1 * luma(dark).mean()).clamp(0, 1)
    torch.testing.assert_close(got[0], expected)


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


def test_grayscale_takes_a_fifth_and_leaves_one_channel_alone():
    x = images(2)
    got = augment.grayscale(x, torch.tensor([[0.19], [0.2]]))
    torch.testing.assert_close(got[0], luma(x[0]).expand(3, -1, -1))
    assert torch.equal(got[1], x[1])
    assert torch.equal(augment.grayscale(x[:, :1], torch.zeros(2, 1)), x[:, :1])


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


def test_noise_is_normal_and_depends_on_its_numbers():
    x = torch.full((3, 3, 100, 100), 0.5)
    u = torch.tensor([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2 + 2**-24]])
    z = (augment.noise(x, u) - 0.5) / 0.02
    assert torch.equal(z[0], z[1])
    first, other = z[0].flatten(), z[2].flatten()
    # 30,000 draws: four standard errors of mean, variance, correlation
    assert abs(first.mean()) < 4 / math.sqrt(30000)
    assert abs(first.var() - 1) < 4 * math.sqrt(2 / 30000)
    assert abs((first * other).mean()) < 4 / math.sqrt(30000)
    assert abs((first[1:] * first[:-1]).mean()) < 4 / math.sqrt(30000)
    share = (first.abs() < 1.96).double().mean()
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 30000)


def test_jitter_adds_a_twentieth_of_a_standard_deviation():
    got = augment.jitter(torch.zeros(4, 2000), numbers(4, 2))
    assert torch.allclose(got.std(1), torch.full((4,), 0.05), rtol=0.08)
    assert not torch.equal(got[0], got[1])
    assert augment.jitter(torch.zeros(1, 3), torch.zeros(1, 2)).shape == (1, 3)


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


@pytest.mark.parametrize(
    ("names", "kind", "text"),
    [
        (
            ("crop", "colour"),
            "image",
            "Unknown augmentation 'colour'. Did you mean 'color'? "
            "Known: none, mild, flip, turn, light, noise, shift, rotate, crop, color, grayscale.",
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
            "The augmentation 'jitter' is for rows of numbers, but the data are images. Leave it out.",
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
