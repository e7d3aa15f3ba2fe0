"""What a comparison keeps of each arm and seed: the held-out rows with their answers and predictions, as one npz."""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from isotone.evaluate.angles import beside
from isotone.predict import task_of
from isotone.records import Dataset, Split

HELD_OUT: tuple[Split, ...] = ("val", "test")


@dataclass(frozen=True, eq=False)
class Kept:
    """The validation and test rows of one arm and seed.

    Args:
        row: (n,) line of the table, header = 1: names a row across arms and seeds.
        label: (n,) how to call it.
        split: (n,) val or test.
        group: (n,) text, or (0,) where there are no groups.
        target: (n, k) in the user's units, or (n, 1) codes of the classes.
        prediction: (n, k), as the targets; on a circle moved by whole turns to where the difference is the error.
    """

    row: Int[np.ndarray, " n"]
    label: Shaped[np.ndarray, " n"]
    split: Shaped[np.ndarray, " n"]
    group: Shaped[np.ndarray, " g"]
    target: Float[np.ndarray, "n k"]
    prediction: Float[np.ndarray, "n k"]

    def side(self, split: Split) -> "Kept":
        """Return the rows of one side alone."""
        at = self.split == split
        group = self.group[at] if len(self.group) else self.group
        return Kept(self.row[at], self.label[at], self.split[at], group, self.target[at], self.prediction[at])

    @property
    def unit(self) -> Shaped[np.ndarray, " n"]:
        """What is resampled as a whole: the group, else the row."""
        return self.group if len(self.group) else self.row


def answers(dataset: Dataset) -> Float[np.ndarray, "n k"]:
    """Return what is to be predicted of every row: targets (n, k), or codes of classes (n, 1)."""
    return dataset.target if dataset.category is None else dataset.category[:, None].astype(np.float64)


def held_out(dataset: Dataset, prediction: Float[np.ndarray, "n k"]) -> Kept:
    """Return the labelled validation and test rows of the data set with their predictions.

    Args:
        dataset: decoded and split.
        prediction: (n, k) of all its rows.

    Example:
        >>> text, split = np.array(["a", "b"]), np.array(["train", "test"])
        >>> data = Dataset("x", "rows", np.eye(2), np.array([[1.0], [2.0]]), ("y",), split, text, np.array([2, 3]))
        >>> held_out(data, np.array([[0.0], [5.0]])).prediction.tolist()
        [[5.0]]
    """
    assert task_of(dataset) != "none", "only what has labels is compared"
    index = np.sort(np.concatenate([dataset.labelled(side) for side in HELD_OUT]))
    geometry = dataset.geometry if dataset.category is None else "line"  # codes of classes are no places
    return Kept(
        dataset.row[index].astype(np.int64),
        dataset.label[index].astype(str),
        dataset.split[index].astype(str),
        np.zeros(0, str) if dataset.group is None else dataset.group[index].astype(str),
        answers(dataset)[index].astype(np.float64),
        beside(answers(dataset)[index], prediction[index], geometry).astype(np.float64),
    )


def write_kept(path: Path, kept: Kept, made: Mapping[str, Any]) -> None:
    """Write the rows, whole or not at all.

    Args:
        path: of the npz.
        kept: the rows.
        made: what they were made from; `read_kept` asks for the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    np.savez_compressed(temporary, made=np.array(_text(made)), **vars(kept))
    os.replace(temporary, path)


def read_kept(path: Path, made: Mapping[str, Any]) -> Kept | None:
    """Return the rows of `write_kept`; None where there are none, they are damaged, or were made from something else.

    Args:
        path: of the npz.
        made: as in `write_kept`.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["made"]) != _text(made):
                return None
            return Kept(*(file[name] for name in Kept.__dataclass_fields__))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


# ----------------------------------------------------------------------------------------------------------------------


def _text(made: Mapping[str, Any]) -> str:
    return json.dumps(made, sort_keys=True, default=str)
