"""Write tiny EDF and BDF files by the layout of their specification, so that what is read back is known."""

from pathlib import Path

import numpy as np


def write_edf(
    path: Path,
    channels: dict[str, np.ndarray],
    *,
    rate: int = 100,
    units: dict[str, str] | None = None,
    rates: dict[str, int] | None = None,
    reserved: str = "",
    records: int | None = None,
) -> Path:
    """Write whole numbers as a file of one-second records in which one step of a sample is one unit.

    Args:
        path: its suffix says which: .edf has 16 bits, .bdf 24.
        channels: by name, each of as many whole seconds; values are rounded.
        rate: of the channels that `rates` does not name, in Hz.
        units: physical dimension of channels, where it is not uV.
        rates: of some channels.
        reserved: bytes 192 to 236, such as EDF+D.
        records: what the header says, where it is not true.
    """
    each = [(rates or {}).get(name, rate) for name in channels]
    seconds = len(next(iter(channels.values()))) // each[0]
    width, top = (2, 2**15) if path.suffix == ".edf" else (3, 2**23)
    count = len(channels)
    version = b"0       " if width == 2 else b"\xffBIOSEMI"
    head = _texts([("X X X X", 80), ("Startdate X X X X", 80), ("01.02.03", 8), ("04.05.06", 8)])
    head += _texts([(256 * (1 + count), 8), (reserved, 44), (seconds if records is None else records, 8), (1, 8)])
    head += _texts([(count, 4)])
    columns = [
        (list(channels), 16),
        ([""] * count, 80),
        ([(units or {}).get(name, "uV") for name in channels], 8),
        *(([bound] * count, 8) for bound in (-top, top - 1, -top, top - 1)),
        ([""] * count, 80),
        (each, 8),
        ([""] * count, 32),
    ]
    head += b"".join(_texts([(value, size) for value in values]) for values, size in columns)
    body = b""
    for second in range(seconds):
        for x, own in zip(channels.values(), each, strict=True):
            whole = np.round(x[second * own : (second + 1) * own]).astype("<i4")
            body += whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    path.write_bytes(version + head + body)
    return path


def _texts(fields: list[tuple[object, int]]) -> bytes:
    return b"".join(str(value).ljust(size).encode("latin-1")[:size] for value, size in fields)
