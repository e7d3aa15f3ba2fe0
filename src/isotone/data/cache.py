"""A folder of files that can be made again: whole or absent, shared by runs at the same time.

A file is written beside its final name and renamed when it is whole, so that neither a crash nor a second run leaves
half of one; its name is the SHA-256 of all that its content depends on, so that nothing is ever out of date.
"""

import contextlib
import errno
import hashlib
import os
import re
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped

from isotone.data.settings import DataSettings
from isotone.errors import ConfigError

_CACHE_VERSION = 1  # raise it whenever the same settings give other pixels
_STALE_S = 86_400  # a temporary file this old belongs to a run that was killed
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.(npy|json)\.[0-9a-f]{16}\.tmp")


def cache_folder(settings: DataSettings) -> Path:
    """Return the cache's folder; it need not exist.

    Example:
        >>> cache_folder(DataSettings(cache_dir="cache"))
        PosixPath('cache')
    """
    if settings.cache_dir:
        return Path(settings.cache_dir).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "isotone"


def cache_key(sources: Sequence[Path | bytes], *settings: int | str) -> str:
    """Return a SHA-256 of each file's path, size and time of change (or of each image's bytes) and of the settings."""
    digest = hashlib.sha256(repr((_CACHE_VERSION, *settings)).encode())
    for source in sources:
        digest.update(repr(_identity(source)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def stored_array(
    path: Path, shape: tuple[int, ...], dtype: type[np.generic] = np.uint8
) -> Shaped[np.ndarray, "..."] | None:
    """Return the memory map, read-only, or None where there is none or it is not what was written."""
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return stored if stored.shape == shape and stored.dtype == dtype else None


@contextlib.contextmanager
def new_file(path: Path, size: int) -> Generator[IO[bytes]]:
    """Open a file beside `path` that takes its name once it is whole, and disappears if it never is.

    Args:
        path: the final name.
        size: bytes that are claimed at once; not more than will be written.

    Raises:
        ConfigError: the folder cannot be written, or is full.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with temporary.open("xb") as file:
            _reserve(file, size)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        what = f"The cache folder {path.parent} cannot take {size / 1e6:,.1f} MB ({error.strerror or error})."
        raise ConfigError(f"{what} Free space or rights there, or name another folder with --cache-dir.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


# ----------------------------------------------------------------------------------------------------------------------


def _identity(source: Path | bytes) -> tuple[str, int, int]:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest(), len(source), 0
    try:
        status = source.stat()
    except (OSError, ValueError):
        return str(source), -1, -1
    return str(source.absolute()), status.st_size, status.st_mtime_ns


def _reserve(file: IO[bytes], size: int) -> None:
    """Claim the room at once: a full disk shows now, not after an hour of decoding."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems cannot reserve
            raise


def _sweep(folder: Path) -> None:
    """Remove what killed runs left; the pattern fits none but our own temporary files."""
    for old in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if _TEMPORARY.fullmatch(old.name) and time.time() - old.stat().st_mtime > _STALE_S:
                old.unlink()
