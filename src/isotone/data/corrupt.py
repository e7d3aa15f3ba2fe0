"""The 19 corruptions of ImageNet-C at five severities, on stored uint8 images, the same on every call.

A corruption of an image is a pure function of (corruption, severity, row, seed): another order, another subset of the
rows or a resumed study gives the same pixels. The package that draws them uses NumPy's global generator, which is
seeded for each image and put back afterwards.

The published strengths are in pixels of images of 224: a blur of 10 pixels leaves nothing of an image of 48. So a
smaller image is enlarged to about 224 by repeating its pixels, corrupted, and averaged back: what the encoder would see
had an image of 224 been corrupted and then shrunk. Without a corruption it comes back as it was. Since pixels are
repeated a whole number of times a side becomes 150 to 298; images above 298 are corrupted as they are, so more mildly.
`pixelate` leaves an image of 56 pixels or fewer nearly as it was: it had no more to lose.

Source: Hendrycks and Dietterich, ICLR 2019, arXiv 1903.12261; run by `imagecorruptions-imaug` (extra `corruptions`).
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Int, UInt8

from isotone.errors import ConfigError, nearest
from isotone.randomness import key

COMMON = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
CORRUPTIONS = (*COMMON, "speckle_noise", "gaussian_blur", "spatter", "saturate")  # the last four were held out there
SEVERITIES = (1, 2, 3, 4, 5)
REFERENCE = 224  # pixels of the smaller side that the strengths are made for
_SEEDED = ("impulse_noise", "glass_blur")  # take a seed of their own beside the global generator


def corrupt(
    images: UInt8[np.ndarray, "n h w c"], name: str, severity: int, *, rows: Int[np.ndarray, " n"], seed: int = 0
) -> UInt8[np.ndarray, "n h w c"]:
    """Return corrupted copies of images.

    Grey images are corrupted as three equal channels; the mean of the three comes back, which `saturate` leaves as it
    was.

    Args:
        images: (n, h, w, c) with c = 1 or 3, of any size.
        name: one of `CORRUPTIONS`.
        severity: 1 (mild) to 5.
        rows: (n,) the images' rows in their data set, which key the draws.
        seed: another seed draws other noise.

    Raises:
        ConfigError: an unknown name, a severity outside 1 to 5, or the extra is not installed.

    Example:
        >>> grey = np.full((2, 32, 32, 1), 128, np.uint8)
        >>> corrupt(grey, "contrast", 3, rows=np.arange(2)).shape
        (2, 32, 32, 1)
    """
    check_names([name])
    if severity not in SEVERITIES:
        raise ConfigError(f"the severity of a corruption must be 1, 2, 3, 4 or 5, got {severity}.")
    change = _loaded()
    result = np.empty_like(images)
    height, width, channels = images.shape[1:]
    times = max(1, round(REFERENCE / min(height, width)))
    for place, (image, row) in enumerate(zip(images, rows.tolist(), strict=True)):
        drawn = key("corrupt", seed, name, severity, row) % 2**32
        own = {"seed": drawn} if name in _SEEDED else {}
        large = image.repeat(times, axis=0).repeat(times, axis=1).repeat(3 // channels, axis=2)
        with _seeded(drawn):
            found = change(large, severity, name, own)
        result[place] = np.rint(found.reshape(height, times, width, times, channels, -1).mean(axis=(1, 3, 5)))
    return result


def check_names(names: Sequence[str]) -> None:
    """Raise a ConfigError where there is no such corruption, or the extra is not installed: before any training."""
    for name in names:
        if name not in CORRUPTIONS:
            raise ConfigError(
                f"there is no corruption {name!r}; there are {', '.join(CORRUPTIONS)}.{nearest(name, CORRUPTIONS)}"
            )
    _loaded()


# ----------------------------------------------------------------------------------------------------------------------


def _loaded() -> Callable[[np.ndarray, int, str, dict[str, int]], np.ndarray]:
    try:
        from imagecorruptions import corrupt as change
    except ImportError as error:
        raise ConfigError(
            "corruptions need the package imagecorruptions-imaug. Install it with the extra: isotone[corruptions]."
        ) from error
    return lambda image, severity, name, own: change(image, severity=severity, corruption_name=name, **own)


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
