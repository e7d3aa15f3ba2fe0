"""Write a page so that it is there whole or not at all."""

import os
import secrets
from pathlib import Path

from isotone.errors import CheckpointError


def write_page(path: Path, text: str) -> None:
    """Write beside the target, then rename, so that a reader never sees half a page.

    Args:
        path: of the page; an older one is replaced.
        text: of the page.

    Raises:
        CheckpointError: the disk does not take it; an older page stays as it was.
    """
    beside = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CheckpointError(
            f"The report cannot be written to {path}: {error.strerror}. Make room or make the folder writable, "
            "then run `isotone report` again."
        ) from error
