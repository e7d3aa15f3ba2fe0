"""Parts of the user's table as tables of their own in a study's folder; the user's file is never changed.

A part names its rows' sides in a column, so that its runs can be repeated from it alone. The test rows come first, then
validation, then training: a test row has the same place in every part. Names of image files are made relative to the
study's folder. Of recordings a part names files, each on the side of its windows.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from isotone.data.recordings import written_down
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import ConfigError
from isotone.records import Dataset

SPLIT = "isotone_split"


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the user's table.

    Args:
        path: of its own table.
        lines: (m,) line of each of its rows in the user's table.
        settings: of `isotone fit` that it needs in place of the user's.
    """

    path: Path
    lines: Int[np.ndarray, " m"]
    settings: Mapping[str, Any]


def write_part(
    path: Path, table: Path, data: Dataset, settings: DataSettings, train: Sequence[int], val: Sequence[int]
) -> Part:
    """Write the part with these training and validation rows and all test rows, or check the one that is there.

    Args:
        path: of the part, without suffix.
        table: of the user, or the folder of a data set.
        data: the user's rows, split.
        settings: that the user's table was read with.
        train: rows of `data`.
        val: rows of `data`.

    Raises:
        ConfigError: there is a part with other rows or cells, so the table or the settings have changed.
    """
    test = data.rows("test")
    rows = np.concatenate([test, np.asarray(val, dtype=np.int64), np.asarray(train, dtype=np.int64)])
    side = np.repeat(["test", "val", "train"], [len(test), len(val), len(train)])
    read = read_table(table, settings, labels="optional")
    first = np.sort(np.unique(data.row[rows], return_index=True)[1])  # a recording's windows are one row of its table
    place, side = np.searchsorted(read.lines, data.row[rows][first]), side[first]
    changed: dict[str, Any] = {"split_column": SPLIT}
    path.parent.mkdir(parents=True, exist_ok=True)
    if table.suffix.lower() == ".npz":
        path = path.with_name(f"{path.name}.npz")
        _once(path, _arrays(table, place, side, len(read.lines)))
    else:
        frame = read.frame.iloc[place].reset_index(drop=True)
        for column in (read.image_column, read.second, read.signal):
            if column is not None:
                frame[column] = _alike([_moved(cell, read.root, path.parent) for cell in frame[column]])
                changed |= {"allow_outside": True}
        if read.signal is not None:  # channels and rate are those of the user's first recording, not of the part's
            fixed = written_down(read, settings)
            changed |= {"pick": fixed.pick, "resample_hz": fixed.resample_hz}
        frame[SPLIT] = side
        suffix = ".parquet" if settings.dataset or table.suffix.lower() in (".parquet", ".pq") else ".csv"
        path = path.with_name(f"{path.name}{suffix}")
        _once(path, frame)
    return Part(path, data.row[rows], changed)


# ----------------------------------------------------------------------------------------------------------------------


def _moved(cell: Any, old: Path, new: Path) -> Any:
    """Return the name of an image file as seen from another folder; image bytes stay as they are."""
    if not isinstance(cell, str) or not cell:
        return cell
    return os.path.relpath(os.path.realpath(old / os.path.expanduser(cell)), os.path.realpath(new))


def _alike(cells: list[Any]) -> list[Any]:
    """Return cells of one kind, as Parquet wants them: beside image bytes, a name is a record too."""
    if not any(isinstance(cell, dict) for cell in cells):
        return cells
    return [cell if isinstance(cell, dict) else {"bytes": None, "path": cell} for cell in cells]


def _arrays(table: Path, place: np.ndarray, side: np.ndarray, n: int) -> dict[str, np.ndarray]:
    with np.load(table, allow_pickle=False) as stored:
        found = {name: stored[name] for name in stored.files}
    return {name: x[place] for name, x in found.items() if x.shape[:1] == (n,)} | {SPLIT: side}


def _once(path: Path, content: pd.DataFrame | dict[str, np.ndarray]) -> None:
    """Write the table whole, or refuse where another one is there."""
    temporary = path.with_name(f".tmp-{path.name}")
    if isinstance(content, dict):
        with temporary.open("wb") as file:
            np.savez(file, **content)  # pyright: ignore[reportArgumentType]
    elif path.suffix == ".parquet":
        content.to_parquet(temporary, index=False)
    else:
        content.to_csv(temporary, index=False)
    same = path.exists() and _content(path) == _content(temporary)
    if path.exists():
        temporary.unlink()
        if not same:
            raise ConfigError(
                f"{path} holds other rows than this study would write: the table or the settings have changed. "
                "Choose another --out."
            )
        return
    os.replace(temporary, path)


def _content(path: Path) -> Any:
    """Return what a table holds, for comparing; an .npz file's own bytes hold the time it was written at."""
    if path.suffix != ".npz":
        return path.read_bytes()
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
        return {name: (stored[name].dtype.str, stored[name].shape, stored[name].tobytes()) for name in stored.files}
