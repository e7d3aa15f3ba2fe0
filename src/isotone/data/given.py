"""What a user gives as data in Python: the path of a table, or arrays with what comes beside them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from isotone.data.arrays import load_arrays
from isotone.data.audit import bad_rows
from isotone.data.images import Progress
from isotone.data.load import load_table
from isotone.data.settings import SPLITS, DataSettings
from isotone.data.split import shared_groups
from isotone.data.table import Labels
from isotone.errors import ConfigError
from isotone.records import Dataset, Kind

if TYPE_CHECKING:
    import pandas as pd

INPUTS_ONLY: dict[str, Any] = {  # the settings of labels and splits, as new rows have them
    **{"target": (), "category": None, "unlabelled": False, "group": None, "sequence": None, "time": None},
    **{"second": None, "split_column": None, "on_bad": "error"},
}


@dataclass(frozen=True, eq=False)
class Beside:
    """What comes beside arrays, one entry a row each, as `load_arrays` takes it; None where there is none."""

    groups: Any = None
    split: Any = None
    sequence: Any = None
    time: Any = None


@dataclass(frozen=True, eq=False)
class Found:
    """What was read.

    Args:
        dataset: decoded and split.
        warnings: what is to be noted about it.
        bad: the rows that were left out, or None.
    """

    dataset: Dataset
    warnings: list[str]
    bad: "pd.DataFrame | None" = None


def named(data: object, category: object, signal: object, beside: Beside) -> tuple[dict[str, str], Beside]:
    """Return what the data hold as settings, and what comes beside them as arrays.

    For a table all are names of columns. For arrays `category` and `signal` say what y and X hold.

    Args:
        data: as in `read`.
        category: name, or for arrays True; y of text holds classes without it.
        signal: name, or for arrays True.
        beside: of arrays; for a table `sequence` and `time` are names.

    Raises:
        ConfigError: a name is given for an array, or an array for a name.

    Example:
        >>> named((np.eye(2), ["cat", "dog"]), None, None, Beside())[0]
        {'category': 'category'}
    """
    table = isinstance(data, str | Path)
    given = {"sequence": beside.sequence, "time": beside.time} | (
        {"category": category, "signal": signal} if table else {}
    )
    if table and isinstance(beside.split, str) and beside.split in SPLITS:  # of a data set: which of its splits
        given["split"], beside = beside.split, replace(beside, split=None)
    for name, value in given.items():
        if value is not None and isinstance(value, str) != table:
            raise ConfigError(
                f"for a table, `{name}` is the name of a column: {name}='...'."
                if table
                else f"for arrays, `{name}` is an array of one entry for each row, not the name of a column."
            )
    if table:
        return {name: str(value) for name, value in given.items() if value is not None}, replace(
            beside, sequence=None, time=None
        )
    y = data[1] if isinstance(data, tuple) and len(data) == 2 else None
    category = category if category is not None else _is_text(y)
    own = str(getattr(y, "name", None) or "category")
    found = {"category": own if category is True else category, "signal": "X" if signal is True else signal}
    return {name: str(value) for name, value in found.items() if value}, beside


def read(
    data: object,
    settings: DataSettings,
    beside: Beside,
    *,
    seed: int,
    labels: Labels = "needed",
    progress: Progress | None = None,
) -> Found:
    """Read a table or arrays, checked, split and decoded.

    Args:
        data: path of a table; arrays (X, y) or (X, None); or X alone.
        settings: of the run.
        beside: of arrays.
        seed: of the split, where none is given.
        labels: whether a table must name a target or a category.
        progress: as for `load_table`.

    Raises:
        ConfigError: the data are neither, or the settings name columns where there are arrays, or the other way round.
        DataError, ShapeError: see `load_table` and `load_arrays`.

    Example:
        >>> found = read(np.eye(20), DataSettings(), Beside(), seed=0)
        >>> found.dataset.kind, found.dataset.target.shape
        ('rows', (20, 0))
    """
    arrays = (data, None) if isinstance(data, np.ndarray | Tensor) else data
    if isinstance(arrays, tuple) and len(arrays) == 2:
        if settings.group or settings.split_column:
            raise ConfigError("`group` and `split_column` name columns of a table; for arrays pass groups= and split=.")
        names = settings.target or None
        made = load_arrays(*arrays, target_names=names, settings=settings, seed=seed, **vars(beside))
        return Found(made, _leaks(made))
    if not isinstance(data, str | Path):
        raise ConfigError(
            "data must be the path of a table, two arrays (X, y), or X alone where there are no labels, got "
            f"{type(data).__name__}."
        )
    if beside.groups is not None or beside.split is not None:
        raise ConfigError("`groups` and `split` go with arrays; for a table name the columns: group=, split_column=.")
    dataset, found = load_table(Path(data), settings, seed, progress, labels=labels)
    noted = sorted((p for p in found.problems if not p.fatal), key=lambda p: p.row is not None)  # the table's first
    warnings = [str(problem) for problem in noted]
    bad = any(problem.row is not None for problem in found.fatal)  # a recording without windows has no row to drop
    return Found(dataset, warnings, bad_rows(found) if bad else None)


def as_split(dataset: Dataset, own: Dataset) -> Dataset:
    """Return a data set with the sides and, where it names none, the groups of another reading of the same table.

    So that what a run was trained on is never its test when other labels of the same rows are asked for.

    Args:
        dataset: with other labels.
        own: as the run read it. A row that only `dataset` has is on no side.

    Example:
        >>> text, split = np.array(["a", "b"]), np.array(["test", "train"])
        >>> own = Dataset("t", "rows", np.eye(2), np.zeros((2, 0)), (), split, text, np.array([2, 3]))
        >>> as_split(replace(own, split=np.array(["train", "test"]), row=np.array([3, 4])), own).split.tolist()
        ['train', 'none']
    """
    place = {row: i for i, row in enumerate(own.row.tolist())}
    at = [place.get(row) for row in dataset.row.tolist()]
    split = np.array(["none" if i is None else str(own.split[i]) for i in at])
    if dataset.group is not None or own.group is None:
        return replace(dataset, split=split)
    group = np.array(["" if i is None else str(own.group[i]) for i in at])
    return replace(dataset, split=split, group=group, group_name=own.group_name)


def check_fits(found: Dataset, kind: Kind, shape: tuple[int, ...], whose: str) -> None:
    """Refuse data that an encoder cannot take.

    Args:
        found: the data.
        kind: of the inputs that the encoder takes.
        shape: of one, (c, h, w), (f,) or (c, t).
        whose: the encoder's name, for the message.

    Raises:
        ConfigError: another kind or another shape; images may be larger.
    """
    came = found.inputs.shape[1:]
    fits = came[-1] == shape[0] and came[0] >= shape[1] if kind == "image" == found.kind else came == shape
    if found.kind != kind or not fits:
        wanted = f"images of {shape[1]} pixels and {shape[0]} channels" if kind == "image" else f"{kind} of {shape}"
        raise ConfigError(
            f"{whose} takes {wanted}, but {found.name} holds {found.kind} of shape {came}. Give data of the same form."
        )


# ----------------------------------------------------------------------------------------------------------------------


def _is_text(y: object) -> bool:
    """Tell whether labels hold any text; numbers that are written as text count too."""
    if y is None or isinstance(y, Tensor) or (isinstance(y, np.ndarray) and y.dtype.kind in "biuf"):
        return False
    return any(isinstance(cell, str) for cell in np.asarray(y, dtype=object).ravel())


def _leaks(dataset: Dataset) -> list[str]:
    shared = 0 if dataset.group is None else shared_groups(dataset.split, dataset.group)
    return [f"{shared} groups are in training and in the test: expect larger errors on new groups"] if shared else []
