"""Decode images safely, make them square, and keep them decoded in a memory map, so that later epochs read no JPEG.

Safe means: only the formats listed, a cap on pixels before anything is decoded, regular files only, and a truncated
file is an error, never a picture with a grey half.

What becomes of an image: EXIF orientation is applied; 16-bit greys are divided by 257 (65,535 becomes 255, nothing is
clipped); palettes are looked up; transparent parts become black; CMYK becomes RGB; of an animation the first frame
counts. Colour becomes grey by ITU-R 601 luma.
"""

import contextlib
import hashlib
import io
import json
import stat
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile, UnidentifiedImageError

from isotone.data.cache import cache_folder, cache_key, new_file, stored_array
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError, DataError, Problem

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
Source = Path | bytes
Progress = Callable[[int, int], None]
_Stream = io.BytesIO | io.BufferedReader
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 4
_CHUNK = 256  # images under way at once
_PROBE_SIDE = 64  # a JPEG is read at about this size when only its soundness matters: 3 times faster
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FOREIGN = {b"%PDF": "PDF", b"%!PS": "PostScript", b"8BPS": "Photoshop", b"<svg": "SVG", b"PK\x03\x04": "ZIP"}


@dataclass(frozen=True)
class Probe:
    """What reading an image once tells.

    Args:
        digest: SHA-256 of the file's bytes.
        format: the format found, whatever the file is called.
        mode: Pillow's mode, such as `L` or `RGB`.
        width: pixels.
        height: pixels.
        peak: largest value of a 16-bit grey image, else 0.
    """

    digest: str
    format: str
    mode: str
    width: int
    height: int
    peak: int = 0

    @property
    def grey(self) -> bool:
        """Whether the image has no colour."""
        return self.mode in _GREY


def decode(source: Source, settings: DataSettings) -> UInt8[np.ndarray, "h w c"]:
    """Decode one image into a square of `settings.side` pixels.

    Args:
        source: a file, or an image's bytes.
        settings: size, way of resizing, channels (`auto`: 1 for a grey image, else 3) and pixel cap.

    Returns:
        (h, w, c) uint8 with h = w = `settings.side` and c = 1 or 3.

    Raises:
        DataError: the image cannot be opened, is none of `FORMATS`, too large, damaged or truncated.
        ConfigError: another library made Pillow accept truncated files.
    """
    with _quiet():
        return _decode(source, settings)


def decode_all(
    sources: Sequence[Source], settings: DataSettings, channels: Literal[1, 3], progress: Progress | None = None
) -> UInt8[np.ndarray, "n h w c"]:
    """Decode all images, or return what an earlier call left in the cache; read-only and not in memory.

    A file that changed since (its size or time of change) is decoded anew, and so is everything under other settings.

    Args:
        sources: n files or images' bytes.
        settings: as for `decode`; `cache_dir` says where the cache is.
        channels: 1 or 3, for all images.
        progress: called with (images done, n).

    Returns:
        (n, h, w, c) uint8, a memory map that cannot be written to.

    Raises:
        DataError: an image cannot be decoded.
        ConfigError: the cache folder cannot be written, or is full.
    """
    settings = replace(settings, channels="1" if channels == 1 else "3")
    key = cache_key(sources, "images", settings.side, settings.resize, channels)
    path = cache_folder(settings) / f"{key}.npy"
    shape = (len(sources), settings.side, settings.side, channels)
    stored = stored_array(path, shape)
    if stored is None:
        rows = _each(lambda source: _decode(source, settings), sources, progress)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        with new_file(path, int(np.prod(shape))) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row in rows:
                file.write(row.tobytes())
        stored = stored_array(path, shape)
    elif progress is not None:
        progress(len(sources), len(sources))
    if stored is None:
        raise ConfigError(f"The cache file {path} cannot be read back. Name another folder with --cache-dir.")
    return stored


def probe_all(
    sources: Sequence[Source], settings: DataSettings, progress: Progress | None = None
) -> tuple[Probe | Problem, ...]:
    """Read every image once, to the last byte, and tell what it is or what is wrong with it.

    Where all are sound the answer is kept in the cache, so that the next call only looks at sizes and times of change.

    Args:
        sources: n files or images' bytes.
        settings: the pixel cap and the cache folder.
        progress: called with (images done, n).

    Returns:
        n probes or problems (without row and column), in order.

    Raises:
        ConfigError: another library made Pillow accept truncated files.
    """
    path = cache_folder(settings) / f"{cache_key(sources, 'probe', settings.max_pixels)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = tuple(Probe(**fields) for fields in json.loads(path.read_text("utf-8")))
        if len(known) == len(sources):
            return known
    found = tuple(_each(lambda source: _probe(source, settings), sources, progress))
    sound = [asdict(probe) for probe in found if isinstance(probe, Probe)]
    if sources and len(sound) == len(sources):
        content = json.dumps(sound).encode()
        with contextlib.suppress(ConfigError), new_file(path, len(content)) as file:  # a shortcut that can be missed
            file.write(content)
    return found


# ----------------------------------------------------------------------------------------------------------------------


def _decode(source: Source, settings: DataSettings) -> np.ndarray:
    with _opened(source, settings) as image:
        grey = settings.channels == "1" or (settings.channels == "auto" and image.mode in _GREY)
        size = _fitted(image.width, image.height, settings)
        image.draft("L" if grey else "RGB", (2 * size[0], 2 * size[1]))  # at twice the size nothing visible is lost
        with _explained():
            plain = _eight_bits(image)
        turn = _orientation(image)
    plain = plain.convert("L" if grey else "RGB")
    if turn in _TURN:
        plain, size = plain.transpose(_TURN[turn]), (size[1], size[0]) if turn >= 5 else size
    return _square(plain, size, settings.side, 1 if grey else 3)


def _probe(source: Source, settings: DataSettings) -> Probe | Problem:
    try:
        with _opened(source, settings) as image:
            width, height = image.size
            mode, name = image.mode, image.format or ""
            image.draft("L", (_PROBE_SIDE, _PROBE_SIDE))
            with _explained():
                image.load()
                _eight_bits(image)
            peak = int(image.getextrema()[1]) if mode.startswith("I") else 0  # pyright: ignore[reportArgumentType]
            return Probe(_digest(source), name, mode, width, height, peak)
    except DataError as error:
        return error.problems[0]


@contextlib.contextmanager
def _opened(source: Source, settings: DataSettings) -> Generator[Image.Image]:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ConfigError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on: half a file would pass as an image with a grey half. "
            "Another library set it; set it to False before calling isotone."
        )
    with _stream(source) as stream:
        try:
            image = Image.open(stream, formats=FORMATS)
        except UnidentifiedImageError:
            raise _fault("not-an-image", _foreign(stream), f"Save it as one of {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise _too_large("more than 178,956,970", settings) from None
        except Exception as error:  # a decoder may raise anything on foreign bytes
            raise _unreadable(error) from None
        with image:
            if image.width * image.height > settings.max_pixels:
                raise _too_large(f"{image.width} x {image.height} = {image.width * image.height:,}", settings)
            yield image


@contextlib.contextmanager
def _stream(source: Source) -> Generator[_Stream]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        status = source.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _fault("folder", "is a folder", "Name a file")
        if not stat.S_ISREG(status.st_mode):
            raise _fault("not-a-file", "is a device, pipe or socket, which is never opened", "Name a file")
        if status.st_size == 0:
            raise _fault("empty-file", "is empty (0 bytes)", "Copy the file again or remove the row")
        stream = source.open("rb")
    except DataError:
        raise
    except FileNotFoundError:
        fix = "Check the name, which starts from the table's folder, or remove the row"
        raise _fault("missing-file", "does not exist", fix) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _fault("unreadable-file", f"cannot be opened ({reason})", "Correct the name or its rights") from None
    with stream:
        yield stream


@contextlib.contextmanager
def _explained() -> Generator[None]:
    """Turn whatever a decoder raises into a problem of the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a decoder may raise anything on foreign bytes
        raise _unreadable(error) from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image as L or RGB."""
    mode = image.mode
    if mode in ("L", "RGB"):
        image.load()
        return image
    if mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            what = f"has grey values from {values.min()} to {values.max()}, outside 0 to 65535"
            raise _fault("grey-range", what, "Save it with 8 or 16 bits")
        return Image.fromarray(np.round(values / 257.0).astype(np.uint8))
    if mode == "F":
        raise _fault("float-image", "holds floating-point greys, whose white is not known", "Save it with 8 or 16 bits")
    if mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _over_black(image)
    return image.convert("L" if mode == "1" else "RGB")


def _over_black(image: Image.Image) -> Image.Image:
    grey = image.mode in ("LA", "La")
    straight = image.convert("RGBA")
    black = Image.new("RGB", image.size)
    black.paste(straight.convert("RGB"), mask=straight.getchannel("A"))
    return black.convert("L") if grey else black


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a damaged EXIF block leaves the picture as it is stored
        return 1
    return value if isinstance(value, int) else 1


def _fitted(width: int, height: int, settings: DataSettings) -> tuple[int, int]:
    """The size to resize to, before padding or cropping."""
    side = settings.side
    if settings.resize == "squash":
        return side, side
    scale = side / (max if settings.resize == "pad" else min)(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _square(image: Image.Image, size: tuple[int, int], side: int, channels: int) -> np.ndarray:
    """Resize to (width, height) `size`, then crop or pad with zeros, about the centre."""
    small = np.asarray(image.resize(size, Image.Resampling.BILINEAR))  # Pillow's filter widens when it shrinks
    small = small.reshape(size[1], size[0], channels)
    out = np.zeros((side, side, channels), dtype=np.uint8)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2  # negative where there is room for padding
    y, x = max(-top, 0), max(-left, 0)
    part = small[max(top, 0) : max(top, 0) + side, max(left, 0) : max(left, 0) + side]
    out[y : y + part.shape[0], x : x + part.shape[1]] = part
    return out


def _fault(kind: str, what: str, fix: str) -> DataError:
    return DataError([Problem(kind, what, fix)])


def _too_large(pixels: str, settings: DataSettings) -> DataError:
    what = f"has {pixels} pixels; {settings.max_pixels:,} are allowed"
    return _fault("too-large", what, "Make it smaller, or raise --max-pixels")


def _unreadable(error: Exception) -> DataError:
    text = " ".join(str(error).split())
    truncated = "truncated" in text.lower() or isinstance(error, EOFError)
    what = "is cut off" if truncated else "is damaged"
    return _fault(
        "truncated" if truncated else "damaged", f"{what} ({text[:80]})", "Copy the file again or remove the row"
    )


def _foreign(stream: _Stream) -> str:
    stream.seek(0)
    start = stream.read(64)
    name = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), "")
    if not name and start[4:8] == b"ftyp":
        name = "HEIC or AVIF"
    if not name and start.isascii() and start.decode("ascii").replace("\n", "").replace("\r", "").isprintable():
        name = "text"
    return f"is {name}, not an image that is read" if name else "is not an image, or damaged from its first bytes"


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep Pillow's remarks on large or odd files from the screen: what matters becomes a problem."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _each(work: Callable[[_Item], _Result], items: Sequence[_Item], progress: Progress | None) -> Iterator[_Result]:
    with _quiet(), ThreadPoolExecutor(_THREADS) as pool:  # decoders release the interpreter lock
        for start in range(0, len(items), _CHUNK):
            yield from pool.map(work, items[start : start + _CHUNK])
            if progress is not None:
                progress(min(start + _CHUNK, len(items)), len(items))


def _digest(source: Source) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
