"""Folders as people have them: with or without the top folder, with files missing. What is missing is told at once."""

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool

from isotone.data.files import shown
from isotone.errors import DataError, Problem

_NAMED = 3  # files that a problem names; the rest is counted


def find_base(root: Path, names: Sequence[str], holds: Callable[[Path], bool]) -> Path | None:
    """Return the folder that holds what is looked for: the root, or one of these names in it, once or twice.

    Args:
        root: as the user gives it.
        names: of the top folder.
        holds: whether a folder is the one.
    """
    inside = [root / name for name in names]
    for folder in (root, *inside, *(folder / name for folder in inside for name in names)):
        if folder.is_dir() and holds(folder):
            return folder
    return None


def check_root(root: Path) -> None:
    """Refuse a root that is no folder.

    Raises:
        DataError: it is missing, or a file.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        fix = "Name the folder of the unpacked data set: --root FOLDER"
        raise DataError([Problem("missing-root", what, fix, file=shown(str(root)))])


def wrong_layout(root: Path, expected: str, name: str) -> DataError:
    """Return the error of a folder that is not the data set's.

    Args:
        root: as the user gives it.
        expected: the pattern that was looked for.
        name: of the data set.
    """
    found = sorted(os.listdir(root))[:_NAMED]
    what = f"holds no {expected}; it holds {shown(', '.join(found), 120) if found else 'nothing'}"
    fix = f"Name the folder of the unpacked data set; `isotone datasets {name}` shows its layout"
    return DataError([Problem("layout", what, fix, file=shown(str(root)))])


def present(root: Path, names: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Tell which files exist; each folder is listed once, since half a million look-ups would take minutes.

    Args:
        root: where the names start.
        names: relative, with `/`.
    """
    listed: dict[str, set[str]] = {}
    result = np.zeros(len(names), dtype=bool)
    for i, name in enumerate(names):
        folder, _, file = name.rpartition("/")
        if folder not in listed:
            try:
                listed[folder] = set(os.listdir(root / folder))
            except OSError:
                listed[folder] = set()
        result[i] = file in listed[folder]
    return result


def missing(names: Sequence[str], there: Bool[np.ndarray, " n"], by: str) -> list[Problem]:
    """Return one problem for each folder that lacks files: how many, and the first of them.

    Args:
        names: all files that should be there, relative.
        there: (n,) whether each is.
        by: what names them, such as `agedb.csv`.

    Example:
        >>> print(missing(["a/1.jpg", "a/2.jpg"], np.array([True, False]), "list.csv")[0])
        a: 1 of 2 files that list.csv names are missing: 2.jpg. Unpack it again, or pass --on-bad skip.
    """
    pairs = sorted((str(PurePosixPath(name).parent), name, bool(yes)) for name, yes in zip(names, there, strict=True))
    found: list[Problem] = []
    for folder, group in groupby(pairs, key=lambda pair: pair[0]):
        files = list(group)
        gone = [name for _, name, yes in files if not yes]
        if gone:
            what = f"{len(gone)} of {len(files)} files that {by} names are missing: {some(gone)}"
            fix = "Unpack it again, or pass --on-bad skip"
            found.append(Problem("missing-files", what, fix, file=shown(folder)))
    return found


def some(names: Sequence[str]) -> str:
    """Return the first few names, without their folders.

    Example:
        >>> some(["a/1", "a/2", "a/3", "a/4", "a/5"])
        '1, 2, 3 and 2 more'
    """
    first = ", ".join(shown(PurePosixPath(name).name) for name in names[:_NAMED])
    return first + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def relative(path: Path, root: Path) -> str:
    """Return a file's name from the root, with `/`."""
    return path.relative_to(root).as_posix()
