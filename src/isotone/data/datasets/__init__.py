"""Published data sets, read from the folder as people download it: one file each, a reader and its card.

A reader turns a folder into the same rows as a table: files, targets, groups. Nothing is downloaded and no file of the
folder is changed. Where a set has a published split that leaks, it must be asked for; the default is drawn by groups.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from isotone.data.datasets.card import Card as Card
from isotone.data.datasets.card import Reading as Reading
from isotone.data.settings import DATASETS as DATASETS
from isotone.data.settings import DataSettings


class Reader(Protocol):
    """What each file of this room holds."""

    CARD: Card
    read: Callable[[Path, DataSettings], Reading]


def reader(name: str) -> Reader:
    """Return the reader of a data set, one of `DATASETS`.

    Example:
        >>> reader("agedb").CARD.group
        'person'
    """
    return cast(Reader, import_module(f"isotone.data.datasets.{name.replace('-', '_')}"))
