"""Read an .npz file as a table of signals: one array is the input, and arrays of one number or text a row are columns.

`np.savez("windows.npz", signal=x, bpm=y, recording=who)` makes such a file: signal (n, c, t), bpm (n,), recording (n,).
Nothing pickled is ever read, so that a file from elsewhere can do no harm.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.lib.npyio import NpzFile

from isotone.data.files import Cells, fail, shown, suggest
from isotone.data.settings import DataSettings

_NUMBERS = "biuf"  # kinds of NumPy's dtypes
_WORDS = {"O": "Python objects", "U": "text", "S": "text", "c": "complex numbers", "M": "dates", "m": "durations"}


@dataclass(frozen=True, eq=False)
class Arrays:
    """What an .npz file holds.

    Args:
        cells: the arrays (n,) as columns; rows are counted from 0.
        signal: name of the input array, or None where columns are the input.
        inputs: name of each array that is an input, and the array; may hold NaN.
    """

    cells: Cells
    signal: str | None
    inputs: dict[str, Float[np.ndarray, "n c t"]]


def read_npz(path: Path, settings: DataSettings, *, targets: bool = True) -> Arrays:
    """Read the file; which array is the input is named by `settings.signal`, or is the only one that can be it.

    Args:
        path: of the file.
        settings: names of the arrays; with `features` the input is these columns and no other array.
        targets: False for new data: labels, groups, times and the second input are neither wanted nor missed.

    Raises:
        DataError: the file is damaged or no .npz; an input is missing, has no rows, other than two or three axes, or
            no numbers; no array, or more than one, can be the input; a named array holds Python objects or has
            another length.
    """
    found = _read(path)
    second = settings.second if targets else None
    signal = None if settings.features else settings.signal or _find_signal(path, found, settings.second)
    named = {"--signal": signal, "--second": second}
    inputs = {name: _signals(path, found, name, flag) for flag, name in named.items() if name is not None}
    first = signal or settings.features[0]
    length = max((len(x) for name, x in found.items() if x.ndim and (name == first or first not in found)), default=0)
    wanted = {*settings.features, second}
    if targets:
        wanted |= {*settings.target, settings.category, settings.group, settings.sequence}
        wanted |= {settings.time, settings.split_column}
    for name in (name for name in found if name in wanted):
        _check_column(path, name, found[name], first, length)
    columns = {name: x for name, x in found.items() if x.shape == (length,) and x.dtype.kind != "O"}
    cells = Cells(list(columns), [pd.Series(x) for x in columns.values()], np.arange(length))
    return Arrays(cells, signal, inputs)


# ----------------------------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return every array of the file; one of Python objects, which is never read, as an empty array of that type."""
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            found = {name: _array(stored, name) for name in stored.files} if isinstance(stored, NpzFile) else None
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        found = None
    if found is None:
        fail(path, "bad-npz", "is damaged or no .npz file", "Write it again with np.savez")
    return {name: x for name, x in found.items() if isinstance(x, np.ndarray)}


def _array(stored: NpzFile, name: str) -> np.ndarray | bytes:
    try:
        return stored[name]
    except ValueError as error:
        if "allow_pickle" in str(error):
            return np.empty(0, dtype=object)
        raise


def _find_signal(path: Path, found: dict[str, np.ndarray], second: str | None) -> str:
    able = [name for name, x in found.items() if x.ndim >= 2 and name != second]
    if len(able) == 1:
        return able[0]
    if able:
        what = f"has {len(able)} arrays that can be the input: {shown(', '.join(able))}"
        fail(path, "which-signal", what, "Name one with --signal")
    what = f"has no array (n, c, t) or (n, t) of signals; its arrays are {_list(found)}"
    fail(path, "no-signal", what, "Add one, or name columns of numbers with --features")


def _signals(path: Path, found: dict[str, np.ndarray], name: str, flag: str) -> Float[np.ndarray, "n c t"]:
    if name not in found:
        fix = suggest(name, list(found)) or f"Its arrays are {_list(found)}"
        fail(path, "missing-array", f"has no array '{shown(name)}' ({flag})", fix)
    x = found[name]
    if x.dtype.kind not in _NUMBERS:
        what = f"'{shown(name)}' ({flag}) holds {_WORDS.get(x.dtype.kind, str(x.dtype))}, no numbers"
        fail(path, "signal-type", what, "Save it as float32")
    if x.ndim not in (2, 3) or 0 in x.shape:
        what = f"'{shown(name)}' ({flag}) has shape {x.shape}, where signals are (n, c, t) or (n, t)"
        fail(path, "signal-shape", what, "Reshape it, and give it at least one row")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(x if x.ndim == 3 else x[:, None], dtype=np.float32)


def _check_column(path: Path, name: str, x: np.ndarray, first: str, length: int) -> None:
    if x.dtype.kind == "O":
        what = f"'{shown(name)}' holds Python objects, which are never read"
        fail(path, "object-array", what, "Save it as numbers or text: x.astype(float) or x.astype(str)")
    if len(x.shape) == 0 or len(x) != length:
        what = f"'{shown(name)}' has shape {x.shape}, but '{shown(first)}' has {length} rows"
        fail(path, "array-length", what, "Give each row one entry")


def _list(found: dict[str, np.ndarray]) -> str:
    return shown(", ".join(f"{name} {x.shape}" for name, x in found.items()), 200) or "none"
