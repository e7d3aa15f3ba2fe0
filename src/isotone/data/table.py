"""Read a CSV or Parquet table and settle which column is what, before any file that it names is touched.

Text stays text: cells are never guessed into numbers, so that group `001` stays `001` and `NA` can be a name.
Only targets and features are read as numbers, where the audit reports every cell that is none.
"""

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from isotone.data.settings import DataSettings
from isotone.errors import DataError, Problem, nearest

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm")
_SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Table:
    """A table that was read, with the part that each column plays.

    Args:
        path: where it was read from.
        frame: the cells; stripped text throughout for CSV, native types for Parquet.
        lines: (n,) line of each row as an editor shows it (header = 1); for Parquet, row index + 2.
        image_column: the column of image files or bytes, or None.
        features: numeric columns of input rows, where there is no image column.
        target: the columns to predict; empty where only inputs are wanted.
        group: the column of groups, or None.
        split_column: the column of train, val and test, or None.
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
    problems: tuple[Problem, ...] = ()

    def column(self, name: str) -> pd.Series:
        """Return the cells of one column."""
        return cast(pd.Series, self.frame[name])

    @property
    def root(self) -> Path:
        """The folder that file names start from."""
        return self.path.absolute().parent


def read_table(path: Path, settings: DataSettings, *, targets: bool = True) -> Table:
    """Read the table and settle its columns; nothing that the cells name is opened.

    Args:
        path: CSV (comma, UTF-8, with or without byte order mark), TSV or Parquet.
        settings: names of the columns.
        targets: False for new data: target, group and split columns are neither wanted nor missed.

    Raises:
        DataError: the file is missing, a folder, empty, no text, without header, wrongly separated, or lacks a column;
            no target is named; or no column, or more than one, can be the image column.
    """
    _check_file(path)
    header, columns, lines, problems = _read_parquet(path) if path.suffix.lower() in _PARQUET else _read_csv(path)
    _check_header(path, header, columns, settings)
    frame = pd.DataFrame(dict(zip(header, columns, strict=True)), copy=False)
    _check_named(path, frame, settings, targets)
    if targets and not settings.target:
        _fail(path, "no-target", "no target column is named", f"Name it with --target: {_choices(frame)}")
    return Table(
        path=path,
        frame=frame,
        lines=lines,
        image_column=None if settings.features else settings.image_column or _find_images(path, frame),
        features=settings.features,
        target=settings.target if targets else (),
        group=settings.group if targets else None,
        split_column=settings.split_column if targets else None,
        problems=problems,
    )


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


def locate(cell: object, root: Path, *, allow_outside: bool) -> Path | bytes:
    """Return the file that a cell names, or the image bytes that it holds; nothing is opened.

    Args:
        cell: a file name relative to `root`, image bytes, or a record with `bytes` and `path`.
        root: the table's folder, which a name must not leave by `..`, as an absolute path or through a link.
        allow_outside: allow it to, and a leading `~` with it; addresses on the network are never opened.

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
        raise DataError([Problem("no-file", "names no image", "Fill in the file name or remove the row")])
    if "\0" in name:
        raise DataError([Problem("bad-path", "the file name holds a NUL byte", "Correct the file name")])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|file:|\\\\|//", name):
        raise DataError(
            [Problem("network-path", "is an address, not a file", "Download the images and name the files")]
        )
    inside = os.path.realpath(root)
    full = os.path.realpath(os.path.join(inside, os.path.expanduser(name) if allow_outside else name))
    leaves = name.startswith("~") or re.match(r"[A-Za-z]:[\\/]", name) or not full.startswith(os.path.join(inside, ""))
    if leaves and not allow_outside:
        fix = "Put the image into the table's folder, or pass --allow-outside"
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


def shown(text: str, most: int = 80) -> str:
    r"""Return text that is safe to print: one line, no control characters, at most `most` characters.

    Example:
        >>> print(shown("a" + chr(10) + "b"))
        a\nb
    """
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return plain if len(plain) <= most else f"{plain[: most - 21]}…{plain[-20:]}"


# ----------------------------------------------------------------------------------------------------------------------


def _fail(path: Path, kind: str, what: str, fix: str, row: int | None = None) -> NoReturn:
    raise DataError([Problem(kind, what, fix, row=row, file=shown(path.name))])


def _check_file(path: Path) -> None:
    folder = path.parent
    try:
        around = sorted(os.listdir(path if path.is_dir() else folder)) if folder.is_dir() else []
        exists = path.exists()
    except (OSError, ValueError):
        around, exists = [], False
    tables = [name for name in around if name.lower().endswith((*_SEPARATORS, *_PARQUET))]
    if path.is_dir():
        fix = f"Name a table in it: {', '.join(tables[:5])}" if tables else "Name a .csv or .parquet file"
        _fail(path, "folder", "is a folder, not a table", fix)
    if not exists:
        fix = (
            f"Check the name; tables there: {', '.join(tables[:5]) or 'none'}"
            if folder.is_dir()
            else "Check its folder"
        )
        _fail(path, "missing-table", "does not exist", _suggest(path.name, tables) or fix)
    if not path.is_file():
        _fail(path, "not-a-file", "is a device or pipe, not a file", "Name a .csv or .parquet file")
    if path.suffix.lower() not in (*_SEPARATORS, *_PARQUET):
        _fail(path, "not-a-table", f"is no table: {path.suffix or 'no'} suffix", "Name a .csv, .tsv or .parquet file")


def _suggest(name: str, options: list[str]) -> str:
    close = nearest(name, options).removeprefix(" Did you mean ").rstrip("?")
    return close and f"The nearest name is {close}"


_Read = tuple[list[str], list[pd.Series], np.ndarray, tuple[Problem, ...]]


def _read_csv(path: Path) -> _Read:
    text = _csv_text(path)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_SEPARATORS[path.suffix.lower()], skipinitialspace=True, strict=True
    )
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            if row:  # a blank line is no row
                rows.append([cell.strip() for cell in row])
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        fix = "Check the quotes from this line on"
        _fail(path, "bad-csv", f"cannot be read as CSV ({shown(str(error))})", fix, row=line)
    header = [name or f"column {i + 1}" for i, name in enumerate(rows[0])]
    problems = tuple(
        _ragged(line, len(row), len(header)) for line, row in zip(lines, rows, strict=True) if len(row) != len(header)
    )
    width = len(header)
    cells = [row if len(row) == width else (row + [""] * width)[:width] for row in rows[1:]]
    columns = [pd.Series([row[i] for row in cells], dtype=object) for i in range(width)]
    return header, columns, np.array(lines[1:], dtype=np.int64), problems


def _csv_text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        _fail(path, "not-utf8", "is UTF-16 text", "Save it again as 'CSV UTF-8'")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        fix = "Save the table again as 'CSV UTF-8'"
        _fail(path, "not-utf8", f"is not UTF-8 text (byte 0x{raw[error.start]:02x})", fix, row=line)
    if not text.strip():
        _fail(path, "empty-table", "is empty", "Give it a header line and one line for each sample")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        _fail(path, "nul-byte", "holds a NUL byte", "Save the table again as 'CSV UTF-8'", row=line)
    return text


def _ragged(line: int, cells: int, width: int) -> Problem:
    fix = "Put a text that holds a comma into quotes, write 1.5 for 1,5" if cells > width else "Complete the row"
    return Problem("ragged-row", f"has {cells} cells where the header has {width}", fix, row=line)


def _read_parquet(path: Path) -> _Read:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
        header = [str(name) for name in table.column_names]
        columns = [column.to_pandas() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, NotImplementedError):
        _fail(path, "bad-parquet", "is damaged or not Parquet", "Write the file again")
    return header, columns, np.arange(table.num_rows, dtype=np.int64) + 2, ()


def _check_header(path: Path, header: list[str], columns: list[pd.Series], settings: DataSettings) -> None:
    if len(header) == 1:
        for name, mark in (("';'", ";"), ("a tab", "\t"), ("'|'", "|"), ("','", ",")):
            if mark in header[0]:
                fix = "Save it separated by commas (tabs for .tsv)"
                _fail(path, "separator", f"is one column: its header is separated by {name}", fix)
    wanted = {*settings.target, *settings.features, settings.image_column, settings.group, settings.split_column}
    images = [name for name in header if name.lower().endswith(IMAGE_SUFFIXES)]
    if images or (all(map(_is_number, header)) and not wanted & set(header)):
        what = f"has no header: its first line is data ({shown(', '.join(header))})"
        _fail(path, "no-header", what, "Write the column names into the first line")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        what = f"names a column twice: {shown(', '.join(twice))}"
        _fail(path, "duplicate-column", what, "Give each column its own name")
    if not columns or not len(columns[0]):
        _fail(path, "no-rows", "has a header but no rows", "Add one line for each sample")


def _check_named(path: Path, frame: pd.DataFrame, settings: DataSettings, targets: bool) -> None:
    named = [("--image-column", settings.image_column), *(("--features", name) for name in settings.features)]
    if targets:
        named += [("--target", name) for name in settings.target]
        named += [("--group", settings.group), ("--split-column", settings.split_column)]
    columns = [str(name) for name in frame.columns]
    missing = [
        Problem(
            "missing-column",
            f"has no column '{shown(name)}' ({flag})",
            _suggest(name, columns) or f"Its columns are {shown(', '.join(columns), 200)}",
            file=shown(path.name),
        )
        for flag, name in named
        if name is not None and name not in columns
    ]
    if missing:
        raise DataError(missing)


def _find_images(path: Path, frame: pd.DataFrame) -> str | None:
    found = [str(name) for name in frame.columns if _holds_images(cast(pd.Series, frame[name]))]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"has {len(found)} columns that can hold the images: {shown(', '.join(found))}"
        _fail(path, "which-images", what, "Name one with --image-column")
    fix = f"Name one with --image-column, or input columns with --features: {_choices(frame)}"
    _fail(path, "no-images", "has no column of image files", fix)


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
