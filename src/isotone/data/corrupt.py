"""The 19 corruptions of ImageNet-C at five severities, on stored uint8 images, the same on every call.

A corruption of an image is a pure function of (corruption, severity, row, seed): another order, another subset of the
rows or a resumed study gives the same pixels. The package that draws them uses NumPy's global generator, which is
seeded for each image and put back afterwards.

Source: Hendrycks and Dietterich, ICLR 2019, arXiv 1903.12261; run by `imagecorruptions-imaug` (extra `corruptions`).
"""

from collections.abc import Callable, Generator
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
SMALLEST = 32  # pixels of a side; below, some of them have no room
_SEEDED = ("impulse_noise", "glass_blur")  # take a seed of their own beside the global generator


def corrupt(
    images: UInt8[np.ndarray, "n h w c"], name: str, severity: int, *, rows: Int[np.ndarray, " n"], seed: int = 0
) -> UInt8[np.ndarray, "n h w c"]:
    """Return corrupted copies of images.

    Grey images are corrupted as three equal channels; the mean of the three comes back, which `saturate` leaves as it
    was.

    Args:
        images: (n, h, w, c) with c = 1 or 3 and sides of at least 32 pixels.
        name: one of `CORRUPTIONS`.
        severity: 1 (mild) to 5.
        rows: (n,) the images' rows in their data set, which key the draws.
        seed: another seed draws other noise.

    Raises:
        ConfigError: an unknown name, a severity outside 1 to 5, images too small, or the extra is not installed.

    Example:
        >>> grey = np.full((2, 32, 32, 1), 128, np.uint8)
        >>> corrupt(grey, "contrast", 3, rows=np.arange(2)).shape
        (2, 32, 32, 1)
    """
    _check(images, name, severity)
    change = _loaded()
    result = np.empty_like(images)
    for place, (image, row) in enumerate(zip(images, rows.tolist(), strict=True)):
        drawn = key("corrupt", seed, name, severity, row) % 2**32
        own = {"seed": drawn} if name in _SEEDED else {}
        with _seeded(drawn):
            found = change(
                np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else np.array(image), severity, name, own
            )
        result[place] = found if image.shape[-1] == 3 else np.rint(found.mean(axis=-1, keepdims=True))
    return result


# ----------------------------------------------------------------------------------------------------------------------


def _check(images: np.ndarray, name: str, severity: int) -> None:
    if name not in CORRUPTIONS:
        raise ConfigError(
            f"there is no corruption {name!r}; there are {', '.join(CORRUPTIONS)}.{nearest(name, CORRUPTIONS)}"
        )
    if severity not in SEVERITIES:
        raise ConfigError(f"the severity of a corruption must be 1, 2, 3, 4 or 5, got {severity}.")
    side = min(images.shape[1:3])
    if side < SMALLEST:
        raise ConfigError(
            f"the corruptions need images of at least {SMALLEST} pixels a side, and these are stored at {side}. "
            "Train with --image-size 32 or more."
        )


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
