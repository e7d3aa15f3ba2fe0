"""Read a table and settle which column is what, before any file that it names is touched.

Text stays text: cells are never guessed into numbers, so that group `001` stays `001` and `NA` can be a name.
Only targets, times and features are read as numbers, where the audit reports every cell that is none.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from isotone.data.channels import SUFFIXES as RECORDING_SUFFIXES
from isotone.data.files import NPZ, SUFFIXES, Cells, check_file, fail, read_cells, shown, suggest
from isotone.data.npz import Arrays, read_npz
from isotone.data.settings import DataSettings
from isotone.errors import DataError, Problem
from isotone.records import Kind

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm")
Labels = Literal["needed", "optional"]
_INPUTS_ONLY = DataSettings()


@dataclass(frozen=True)
class Table:
    """A table that was read, with the part that each column plays.

    Args:
        path: where it was read from.
        frame: the cells; stripped text throughout for CSV, native types for Parquet and .npz.
        lines: (n,) line of each row as an editor shows it (header = 1); for Parquet index + 2, for .npz the index.
        image_column: the column of image files or bytes, or None.
        features: numeric columns of input rows, where there is no image column.
        target: the columns to predict; empty where there are none, or only inputs are wanted.
        group: the column of groups, or None.
        split_column: the column of train, val and test, or None.
        category: the column of classes to predict, or None.
        sequence: the column of recordings or tracks, or None.
        time: the column of times in a sequence, or None.
        signal: the array of signals in an .npz file, the column of EDF / BDF files, or None.
        second: the column or array of the second input, or None.
        inputs: the arrays that are inputs, (n, c, t) float32, by their names: of an .npz file, and of recordings once
            `isotone.data.recordings.windowed` has cut them into windows.
        names: what each window of a recording is called; empty where there are none.
        fresh: whether this is new data for a trained model, of which only inputs are wanted.
        problems: rows that do not have as many cells as the header.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray
    image_column: str | None
    features: tuple[str, ...]
    target: tuple[str, ...]
    group: str | None
    split_column: str | None
    category: str | None = None
    sequence: str | None = None
    time: str | None = None
    signal: str | None = None
    second: str | None = None
    inputs: dict[str, Float[np.ndarray, "n c t"]] = field(default_factory=dict[str, np.ndarray])
    names: tuple[str, ...] = ()
    fresh: bool = False
    problems: tuple[Problem, ...] = ()

    def column(self, name: str) -> pd.Series:
        """Return the cells of one column."""
        return cast(pd.Series, self.frame[name])

    @property
    def root(self) -> Path:
        """The folder that file names start from."""
        return self.path.absolute().parent

    @property
    def kind(self) -> Kind:
        """What the inputs are."""
        if self.signal is not None:
            return "signal"
        return "rows" if self.image_column is None else "image"


def read_table(path: Path, settings: DataSettings, *, targets: bool = True, labels: Labels = "needed") -> Table:
    """Read the table and settle its columns; nothing that the cells name is opened.

    Args:
        path: CSV (comma, UTF-8, with or without byte order mark), TSV, Parquet, or .npz with signals; or the folder of
            the data set that the settings name.
        settings: names of the columns.
        targets: False for new data: all columns but the inputs are neither wanted nor missed.
        labels: whether a target or a category must be named.

    Raises:
        DataError: the file is missing, a folder, empty, no text, without header, wrongly separated, or lacks a column;
            no label is named; or no column (no array), or more than one, can be the input.
    """
    if settings.dataset is not None and path.suffix.lower() not in SUFFIXES:
        from isotone.data.datasets.reading import read_dataset

        return read_dataset(path, settings, targets=targets)
    check_file(path)
    arrays = read_npz(path, settings, targets=targets) if path.suffix.lower() == NPZ else None
    cells = read_cells(path) if arrays is None else arrays.cells
    if arrays is None:
        _check_header(path, cells, settings)
    frame = pd.DataFrame(
        dict(zip(cells.header, cells.columns, strict=True)), pd.RangeIndex(len(cells.lines)), copy=False
    )
    check_named(path, frame, settings, targets, arrays)
    if targets and labels == "needed" and not settings.target and settings.category is None:
        fix = f"Name numbers to predict with --target, or classes to tell apart with --category: {_choices(frame)}"
        fail(path, "no-target", "no label is named", fix)
    found = settings if targets else _INPUTS_ONLY
    signal = _recordings(path, frame, settings) if arrays is None else arrays.signal
    return Table(
        path=path,
        frame=frame,
        lines=cells.lines,
        image_column=_image_column(path, frame, settings) if arrays is None and signal is None else None,
        features=settings.features,
        target=found.target,
        group=found.group,
        split_column=found.split_column,
        category=found.category,
        sequence=found.sequence,
        time=found.time,
        signal=signal,
        second=found.second,
        inputs={} if arrays is None else arrays.inputs,
        fresh=not targets,
        problems=cells.problems,
    )


def check_named(
    path: Path, frame: pd.DataFrame, settings: DataSettings, targets: bool, arrays: Arrays | None = None
) -> None:
    """Refuse settings that name columns or arrays which are not there, or not of this kind of file.

    Args:
        path: of the table, for the message.
        frame: its columns.
        settings: that name them.
        targets: False where labels, groups and splits are not wanted.
        arrays: of an .npz file, or None.

    Raises:
        DataError: with every column that is missing.
    """
    named = [("--image-column", settings.image_column), *(("--features", name) for name in settings.features)]
    if targets:
        named += [("--target", name) for name in settings.target]
        named += [("--category", settings.category), ("--group", settings.group), ("--sequence", settings.sequence)]
        named += [("--time", settings.time), ("--split-column", settings.split_column)]
        named += [("--second", settings.second)] if arrays is None else []
    if arrays is not None and settings.image_column is not None:
        what = f"holds no images, but '{shown(settings.image_column)}' (--image-column) is to name some"
        fail(path, "no-files", what, "Leave --image-column out: the input of a .npz file is --signal or --features")
    columns = [str(name) for name in frame.columns]
    if arrays is None and settings.signal is not None and settings.signal not in columns:
        what = f"holds no arrays, but '{shown(settings.signal)}' (--signal) is to be one"
        fail(path, "no-arrays", what, "Give a .npz file, or leave --signal out")
    missing = [
        Problem(
            "missing-column",
            f"has no column '{shown(name)}' ({flag})",
            suggest(name, columns) or f"Its columns are {shown(', '.join(columns), 200)}",
            file=shown(path.name),
        )
        for flag, name in named
        if name is not None and name not in columns
    ]
    if missing:
        raise DataError(missing)


def numbers(column: pd.Series) -> Float[np.ndarray, " n"]:
    """Return the cells as float64, NaN where a cell is no number; dates, text such as `1,5` and `1_000` are none."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if column.dtype != object and not pd.api.types.is_string_dtype(column):
        return np.full(len(column), np.nan)
    return np.array([_number(cell) for cell in column], dtype=np.float64)


def texts(column: pd.Series) -> Shaped[np.ndarray, " n"]:
    """Return the cells as text, '' where one is missing; integers that a missing cell made floats stay integers."""
    return np.array([_text(cell) for cell in column], dtype=np.str_)


def locate(cell: object, root: Path, *, allow_outside: bool, noun: str = "image") -> Path | bytes:
    """Return the file that a cell names, or the image bytes that it holds; nothing is opened.

    Args:
        cell: a file name relative to `root`, image bytes, or a record with `bytes` and `path`.
        root: the table's folder, which a name must not leave by `..`, as an absolute path or through a link.
        allow_outside: allow it to, and a leading `~` with it; addresses on the network are never opened.
        noun: what the file holds.

    Raises:
        DataError: the cell is empty, holds a NUL byte or an address, or leads outside.

    Example:
        >>> locate(b"BM", Path("."), allow_outside=False)
        b'BM'
    """
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, bytes) and cell:
        return cell
    name = _text(cell)
    if not name:
        raise DataError([Problem("no-file", f"names no {noun}", "Fill in the file name or remove the row")])
    if "\0" in name:
        raise DataError([Problem("bad-path", "the file name holds a NUL byte", "Correct the file name")])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|file:|\\\\|//", name):
        raise DataError(
            [Problem("network-path", "is an address, not a file", f"Download the {noun}s and name the files")]
        )
    inside = os.path.realpath(root)
    full = os.path.realpath(os.path.join(inside, os.path.expanduser(name) if allow_outside else name))
    leaves = name.startswith("~") or re.match(r"[A-Za-z]:[\\/]", name) or not full.startswith(os.path.join(inside, ""))
    if leaves and not allow_outside:
        fix = f"Put the {noun} into the table's folder, or pass --allow-outside"
        raise DataError([Problem("outside-path", "leads outside the table's folder", fix)])
    return Path(full)


def label(cell: object, line: int) -> str:
    """Return how to call a row: its file name, else `row 17` by its line.

    Example:
        >>> label("images/a.jpg", 2), label({"bytes": b"BM", "path": None}, 17)
        ('images/a.jpg', 'row 17')
    """
    if isinstance(cell, dict):
        cell = cell.get("path")
    return (_text(cell) if isinstance(cell, str) else "") or f"row {line}"


# ----------------------------------------------------------------------------------------------------------------------


def _check_header(path: Path, cells: Cells, settings: DataSettings) -> None:
    header = cells.header
    if len(header) == 1:
        for name, mark in (("';'", ";"), ("a tab", "\t"), ("'|'", "|"), ("','", ",")):
            if mark in header[0]:
                fix = "Save it separated by commas (tabs for .tsv)"
                fail(path, "separator", f"is one column: its header is separated by {name}", fix)
    wanted = {*settings.target, *settings.features, settings.image_column, settings.group, settings.split_column}
    wanted |= {settings.category, settings.sequence, settings.time, settings.second}
    images = [name for name in header if name.lower().endswith(IMAGE_SUFFIXES + RECORDING_SUFFIXES)]
    if images or (all(map(_is_number, header)) and not wanted & set(header)):
        what = f"has no header: its first line is data ({shown(', '.join(header))})"
        fail(path, "no-header", what, "Write the column names into the first line")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        what = f"names a column twice: {shown(', '.join(twice))}"
        fail(path, "duplicate-column", what, "Give each column its own name")
    if not len(cells.lines):
        fail(path, "no-rows", "has a header but no rows", "Add one line for each sample")


def _recordings(path: Path, frame: pd.DataFrame, settings: DataSettings) -> str | None:
    """Return the column of EDF / BDF files; where there is one of images too, only a named one counts."""
    if settings.signal is not None or settings.features or settings.image_column is not None:
        return settings.signal
    names = [str(name) for name in frame.columns if name != settings.second]
    found = [name for name in names if _names_files(cast(pd.Series, frame[name]), RECORDING_SUFFIXES)]
    if not found or any(_holds_images(cast(pd.Series, frame[name])) for name in names):
        return None
    if len(found) > 1:
        what = f"has {len(found)} columns that can hold the recordings: {shown(', '.join(found))}"
        fail(path, "which-signal", what, "Name one with --signal")
    return found[0]


def _names_files(column: pd.Series, suffixes: tuple[str, ...]) -> bool:
    some = [cell for cell in column.head(1000) if isinstance(cell, str) and cell]
    return bool(some) and sum(cell.lower().endswith(suffixes) for cell in some) >= 0.5 * len(some)


def _image_column(path: Path, frame: pd.DataFrame, settings: DataSettings) -> str | None:
    if settings.features or settings.image_column is not None:
        return settings.image_column
    names = [str(name) for name in frame.columns if name != settings.second]
    found = [name for name in names if _holds_images(cast(pd.Series, frame[name]))]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"has {len(found)} columns that can hold the images: {shown(', '.join(found))}"
        fail(path, "which-images", what, "Name one with --image-column")
    fix = f"Name one with --image-column, or input columns with --features: {_choices(frame)}"
    fail(path, "no-images", "has no column of image files", fix)


def _holds_images(column: pd.Series) -> bool:
    some = [cell for cell in column.head(1000) if cell is not None and cell == cell and cell != ""]  # NaN != NaN
    return bool(some) and sum(map(_is_image, some)) >= 0.5 * len(some)


def _is_image(cell: object) -> bool:
    if isinstance(cell, dict):
        return "bytes" in cell
    return isinstance(cell, bytes) or (isinstance(cell, str) and cell.lower().endswith(IMAGE_SUFFIXES))


def _choices(frame: pd.DataFrame) -> str:
    head = frame.head(1000)
    numeric = [str(name) for name in head.columns if np.isfinite(numbers(cast(pd.Series, head[name]))).mean() >= 0.5]
    return f"numeric columns are {shown(', '.join(numeric), 200)}" if numeric else "no column is numeric"


def _is_number(name: str) -> bool:
    return bool(np.isfinite(_number(name)))


def _number(cell: object) -> float:
    """A cell's number, else NaN; unlike Python's, a table's numbers are not grouped by `_`."""
    if isinstance(cell, str) and "_" in cell:
        return float("nan")
    try:
        return float(cell)  # pyright: ignore[reportArgumentType]  (what is no number is NaN)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _text(cell: object) -> str:
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell).strip()
