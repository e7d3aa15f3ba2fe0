"""Read a table's file as it stands, CSV, TSV or Parquet: cells, their lines, and the words for a file that is none.

Text stays text: cells are never guessed into numbers. What the columns mean is settled in `isotone.data.table`.
"""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from isotone.errors import DataError, Problem, nearest

_SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")
NPZ = ".npz"
SUFFIXES = (*_SEPARATORS, *_PARQUET, NPZ)


@dataclass(frozen=True)
class Cells:
    """What a table's file holds.

    Args:
        header: names of the columns.
        columns: their cells; stripped text for CSV, native types else.
        lines: (n,) line of each row as an editor shows it (header = 1); for Parquet index + 2, for .npz the index.
        problems: rows that do not have as many cells as the header.
    """

    header: list[str]
    columns: list[pd.Series]
    lines: np.ndarray
    problems: tuple[Problem, ...] = ()


def read_cells(path: Path) -> Cells:
    """Read a CSV or Parquet file.

    Args:
        path: CSV (comma, UTF-8, with or without byte order mark), TSV or Parquet; `check_file` has passed it.

    Raises:
        DataError: the file is empty, no text, or damaged.
    """
    return _read_parquet(path) if path.suffix.lower() in _PARQUET else _read_csv(path)


def check_file(path: Path) -> None:
    """Refuse what cannot be a table by its name and kind, before it is opened.

    Raises:
        DataError: the file is missing, a folder, a device or pipe, or has another suffix.
    """
    folder = path.parent
    try:
        around = sorted(os.listdir(path if path.is_dir() else folder)) if folder.is_dir() else []
        exists = path.exists()
    except (OSError, ValueError):
        around, exists = [], False
    tables = [name for name in around if name.lower().endswith(SUFFIXES)]
    if path.is_dir():
        fix = f"Name a table in it: {', '.join(tables[:5])}" if tables else "Name a .csv or .parquet file"
        fail(path, "folder", "is a folder, not a table", fix)
    if not exists:
        fix = (
            f"Check the name; tables there: {', '.join(tables[:5]) or 'none'}"
            if folder.is_dir()
            else "Check its folder"
        )
        fail(path, "missing-table", "does not exist", suggest(path.name, tables) or fix)
    if not path.is_file():
        fail(path, "not-a-file", "is a device or pipe, not a file", "Name a .csv or .parquet file")
    if path.suffix.lower() not in SUFFIXES:
        fail(
            path,
            "not-a-table",
            f"is no table: {path.suffix or 'no'} suffix",
            "Name a .csv, .tsv, .parquet or .npz file",
        )


def fail(path: Path, kind: str, what: str, fix: str, row: int | None = None) -> NoReturn:
    """Raise the one problem of a file as a DataError."""
    raise DataError([Problem(kind, what, fix, row=row, file=shown(path.name))])


def suggest(name: str, options: list[str]) -> str:
    """Return the sentence that names the option nearest to `name`, or an empty text where none is close."""
    close = nearest(name, options).removeprefix(" Did you mean ").rstrip("?")
    return close and f"The nearest name is {close}"


def shown(text: str, most: int = 80) -> str:
    r"""Return text that is safe to print: one line, no control characters, at most `most` characters.

    Example:
        >>> print(shown("a" + chr(10) + "b"))
        a\nb
    """
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return plain if len(plain) <= most else f"{plain[: most - 21]}…{plain[-20:]}"


# ----------------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Cells:
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
        fail(path, "bad-csv", f"cannot be read as CSV ({shown(str(error))})", fix, row=line)
    header = [name or f"column {i + 1}" for i, name in enumerate(rows[0])]
    problems = tuple(
        _ragged(line, len(row), len(header)) for line, row in zip(lines, rows, strict=True) if len(row) != len(header)
    )
    width = len(header)
    cells = [row if len(row) == width else (row + [""] * width)[:width] for row in rows[1:]]
    columns = [pd.Series([row[i] for row in cells], dtype=object) for i in range(width)]
    return Cells(header, columns, np.array(lines[1:], dtype=np.int64), problems)


def _csv_text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fail(path, "not-utf8", "is UTF-16 text", "Save it again as 'CSV UTF-8'")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        fix = "Save the table again as 'CSV UTF-8'"
        fail(path, "not-utf8", f"is not UTF-8 text (byte 0x{raw[error.start]:02x})", fix, row=line)
    if not text.strip():
        fail(path, "empty-table", "is empty", "Give it a header line and one line for each sample")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        fail(path, "nul-byte", "holds a NUL byte", "Save the table again as 'CSV UTF-8'", row=line)
    return text


def _ragged(line: int, cells: int, width: int) -> Problem:
    fix = "Put a text that holds a comma into quotes, write 1.5 for 1,5" if cells > width else "Complete the row"
    return Problem("ragged-row", f"has {cells} cells where the header has {width}", fix, row=line)


def _read_parquet(path: Path) -> Cells:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
        header = [str(name) for name in table.column_names]
        columns = [column.to_pandas() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError, NotImplementedError):
        fail(path, "bad-parquet", "is damaged or not Parquet", "Write the file again")
    return Cells(header, columns, np.arange(table.num_rows, dtype=np.int64) + 2)
