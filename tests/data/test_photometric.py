import math

import pytest
import torch

from isotone.data import photometric


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


def slow_color(image, u, strength=(0.4, 0.4, 0.4, 0.1)):
    if u[0] >= 0.8:
        return image
    bright, contrast, saturation = (1 + width * (2 * float(x) - 1) for width, x in zip(strength, u[1:4], strict=False))
    hue = strength[3] * (2 * float(u[4]) - 1)
    out = each_pixel(image, lambda p: [clamp(bright * x) for x in p])
    pixels = [[float(x) for x in column] for column in out.flatten(1).T]
    mean = sum(map(luma, pixels)) / len(pixels)
    out = each_pixel(out, lambda p: [clamp(contrast * x + (1 - contrast) * mean) for x in p])
    out = each_pixel(out, lambda p: [clamp(saturation * x + (1 - saturation) * luma(p)) for x in p])
    return each_pixel(out, lambda p: rotate_hue(p, hue))


@pytest.mark.parametrize(
    ("transform", "strength"),
    [(photometric.color, (0.4, 0.4, 0.4, 0.1)), (photometric.strong_color, (0.8, 0.8, 0.8, 0.2))],
    ids=["color", "strong-color"],
)
def test_color_equals_the_parts_applied_pixel_by_pixel(transform, strength):
    x = images(4, 3, 9, 7)
    x[0, :, 0] = 0.3  # gray: no hue
    x[0, :, 1] = torch.tensor([0.0, 0.5, 0.5])[:, None]  # green equal to blue, both largest
    x[0, :, 2] = torch.tensor([0.7, 0.7, 0.1])[:, None]
    u = numbers(4, 5)
    u[:, 0] = torch.tensor([0.0, 0.79, 0.5, 0.81])
    slow = torch.stack([slow_color(image, numbers, strength) for image, numbers in zip(x, u, strict=True)])
    torch.testing.assert_close(transform(x, u), slow, atol=2e-6, rtol=0)
    assert torch.equal(transform(x, u)[3], x[3])


@pytest.mark.parametrize(("transform", "width"), [(photometric.color, 0.1), (photometric.strong_color, 0.2)])
def test_hue_alone_goes_once_around_the_six_sectors(transform, width):
    edges = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=torch.float32)
    x = edges.T.reshape(1, 3, 1, 6)
    for u in (0.0, 0.3, 0.999):
        turn = width * (2 * u - 1)
        got = transform(x, torch.tensor([[0.0, 0.5, 0.5, 0.5, u]]))
        expected = torch.tensor([rotate_hue(pixel, turn) for pixel in edges.tolist()]).T.reshape(1, 3, 1, 6)
        torch.testing.assert_close(got, expected, atol=2e-6, rtol=0)


def test_color_of_one_channel_changes_brightness_and_contrast_only():
    x = images(1, 1, 4, 4)
    low = photometric.color(x, torch.tensor([[0.0, 0.25, 0.75, 0.0, 0.0]]))
    high = photometric.color(x, torch.tensor([[0.0, 0.25, 0.75, 0.9, 0.9]]))
    assert torch.equal(low, high)
    bright = x * 0.8  # 1 + 0.4 (2 * 0.25 - 1)
    torch.testing.assert_close(low, (1.2 * bright - 0.2 * bright.mean()).clamp(0, 1))


def test_light_is_brightness_then_contrast_within_a_fifth():
    x = images(1)
    got = photometric.light(x, torch.tensor([[0.0, 0.75]]))
    dark = 0.8 * x[0]
    expected = (1.1 * dark - 0.1 * luma(dark).mean()).clamp(0, 1)
    torch.testing.assert_close(got[0], expected)


def test_grayscale_takes_a_fifth_and_leaves_one_channel_alone():
    x = images(2)
    got = photometric.grayscale(x, torch.tensor([[0.19], [0.2]]))
    torch.testing.assert_close(got[0], luma(x[0]).expand(3, -1, -1))
    assert torch.equal(got[1], x[1])
    assert torch.equal(photometric.grayscale(x[:, :1], torch.zeros(2, 1)), x[:, :1])


def test_noise_is_normal_and_depends_on_its_numbers():
    x = torch.full((3, 3, 100, 100), 0.5)
    u = torch.tensor([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2 + 2**-24]])
    z = (photometric.noise(x, u) - 0.5) / 0.02
    assert torch.equal(z[0], z[1])
    first, other = z[0].flatten(), z[2].flatten()
    # 30,000 draws: four standard errors of mean, variance, correlation
    assert abs(first.mean()) < 4 / math.sqrt(30000)
    assert abs(first.var() - 1) < 4 * math.sqrt(2 / 30000)
    assert abs((first * other).mean()) < 4 / math.sqrt(30000)
    assert abs((first[1:] * first[:-1]).mean()) < 4 / math.sqrt(30000)
    share = (first.abs() < 1.96).double().mean()
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 30000)


def test_blur_takes_half_and_equals_the_sum_written_out():
    x = images(2, 3, 24, 20)  # 20 pixels: a radius of 1
    got = photometric.blur(x, torch.tensor([[0.49, 0.5], [0.5, 0.5]]))
    assert torch.equal(got[1], x[1])
    side = math.exp(-0.5 / 1.05**2)  # sigma 0.1 + 1.9 / 2
    weights = [side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side)]

    def mirrored(i, length):
        return -i if i < 0 else min(i, 2 * length - 2 - i)

    for row, column in ((0, 0), (23, 19), (7, 11)):
        slow = sum(
            weights[a] * weights[b] * x[0, 1, mirrored(row + a - 1, 24), mirrored(column + b - 1, 20)]
            for a in range(3)
            for b in range(3)
        )
        torch.testing.assert_close(got[0, 1, row, column], slow)


def test_blur_of_nothing_is_nothing():
    x = torch.full((2, 1, 64, 64), 0.3)
    torch.testing.assert_close(photometric.blur(x, torch.tensor([[0.0, 0.99], [0.0, 0.0]])), x)
    assert torch.equal(photometric.blur(x, torch.ones(2, 2) * 0.7), x)
    assert photometric.blur(x[:0], torch.zeros(0, 2)).shape == (0, 1, 64, 64)


def test_the_kernel_of_blur_is_a_tenth_of_the_side():
    point = torch.zeros(1, 1, 224, 224)
    point[0, 0, 112, 112] = 1.0
    got = photometric.blur(point, torch.tensor([[0.0, 0.999]]))[0, 0]
    assert got[112].nonzero().flatten().tolist() == list(range(101, 124))  # 11 to either side, 23 in all, as SimCLR's


def test_blur_is_not_changed_by_autocast():
    x, u = images(), numbers(4, 2) * 0.4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = photometric.blur(x, u)
    assert torch.equal(inside, photometric.blur(x, u))
