"""Read what a run that tells classes apart was judged by: scores, the confusion of its classes, confidence by row."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from isotone.report.contents import Classes, ClassGroup, ClassRow, ClassScore
from isotone.report.values import count, interval, number, rows, text

CONFIDENCE = "probability_"  # the columns of predictions.csv with the probability of each class


def read_classes(metrics: Mapping[str, object]) -> Classes:
    """Return the part of `metrics.json` that is about classes.

    Raises:
        KeyError, ValueError, TypeError: an entry is missing or of the wrong form.

    Example:
        >>> read_classes({"rows": [], "classes": ["cat", "dog"]}).names
        ('cat', 'dog')
    """
    given = rows(metrics["rows"])
    names = tuple(text(name) for name in cast(list[object], metrics["classes"]))
    return Classes(
        question=text(given[0]["target"]) if given else "class",
        names=names,
        scores=tuple(_score(row) for row in given),
        rows=tuple(_class(row) for row in rows(metrics.get("by_class"))),
        confusion=_confusion(metrics.get("confusion"), len(names)),
        groups=tuple(
            ClassGroup(text(row["group"]), count(row["n"]), number(row["accuracy"]))
            for row in rows(metrics.get("by_group"))
        ),
    )


def read_confidence(path: Path, index: Sequence[int], total: int) -> Float[np.ndarray, " n"] | None:
    """Return the largest class probability of some rows, from the last columns of `predictions.csv`.

    Args:
        path: of the file.
        index: the rows, counted from 0.
        total: rows of the data set, all of which the file must hold in order.

    Returns:
        (n,), or None where the file is not there, has no probabilities (more than 20 classes) or other rows.

    Raises:
        ValueError: a probability that is no number.
    """
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        head = next(lines, [])
        last = next((i for i, name in enumerate(reversed(head)) if not name.startswith(CONFIDENCE)), len(head))
        kept = [line[len(head) - last :] for line in lines] if last else []
    if len(kept) != total or total == 0:
        return None
    wanted = [[float(cell or "nan") for cell in kept[int(i)]] for i in index]
    return np.array([max(cells) for cells in wanted], dtype=np.float64)


# ----------------------------------------------------------------------------------------------------------------------


def _score(row: Mapping[str, object]) -> ClassScore:
    return ClassScore(
        model=text(row["model"]),
        role=text(row["role"]),
        split=text(row["split"]),
        n=count(row["n"]),
        accuracy=interval(row.get("accuracy")),
        balanced=interval(row.get("balanced_accuracy")),
    )


def _class(row: Mapping[str, object]) -> ClassRow:
    return ClassRow(text(row["class"]), count(row["n_train"]), count(row["n"]), number(row.get("recall")))


def _confusion(raw: object, c: int) -> np.ndarray | None:
    if not raw:
        return None
    table = np.array(raw, dtype=np.int64)
    if table.shape != (c, c):
        raise ValueError(f"its confusion is {table.shape}, not a count for each pair of the {c} classes")
    return table
