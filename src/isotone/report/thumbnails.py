"""Small pictures as data URIs, so that the page needs no other file."""

import base64
import io

import numpy as np
from jaxtyping import UInt8

_SAMPLE = 60
_LOSSLESS_PIXELS = 400  # below about 20 x 20 a lossy picture saves nothing and blurs digits


def data_uri(image: UInt8[np.ndarray, "h w c"], edge: int) -> str:
    """Return a picture as `data:image/webp;base64,...`, shrunk to fit `edge` pixels and never enlarged.

    Args:
        image: (h, w, 1) grey or (h, w, 3) RGB.
        edge: longest side, in pixels.

    Returns:
        text that an `<img src>` takes; its alphabet needs no escaping.

    Example:
        >>> data_uri(np.zeros((8, 8, 1), np.uint8), 32)[:23]
        'data:image/webp;base64,'
    """
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=70, lossless=picture.width * picture.height <= _LOSSLESS_PIXELS)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def data_uris(images: UInt8[np.ndarray, "n h w c"], edges: tuple[int, ...], most_bytes: int) -> list[str]:
    """Return all pictures at the first of the `edges` with which they take about `most_bytes` in all, or less.

    The edge is chosen by a sample of at most 60 pictures, so the total may miss the budget by a few per cent.

    Args:
        images: (n, h, w, c).
        edges: longest sides in pixels, from large to small; the last is used where none fits.
        most_bytes: of the texts together.
    """
    sample = images[:: max(1, len(images) // _SAMPLE)][:_SAMPLE]

    def fits(edge: int) -> bool:
        return sum(len(data_uri(image, edge)) for image in sample) * len(images) <= most_bytes * len(sample)

    edge = next((edge for edge in edges if fits(edge)), edges[-1])
    return [data_uri(image, edge) for image in images]
