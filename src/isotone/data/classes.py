"""Names of classes to numbers and back, and what can be wrong with a column of classes as a whole."""

import re

import numpy as np
from jaxtyping import Int, Shaped

from isotone.data.files import shown
from isotone.errors import Problem

NO_LABEL = -1
_LISTED = 5  # names in a message


def encode(names: Shaped[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], tuple[str, ...]]:
    """Return each row's class as an index into the sorted names; whole numbers are sorted as numbers.

    Args:
        names: (n,) text, '' where a row has no label.

    Returns:
        (n,) int64, -1 where a row has no label, and the c names.

    Example:
        >>> encode(np.array(["10", "9", "", "10"]))
        (array([ 1,  0, -1,  1]), ('9', '10'))
    """
    classes, found = np.unique(names, return_inverse=True)
    whole = all(re.fullmatch(r"-?\d+", name) for name in classes if name)
    order = sorted(range(len(classes)), key=lambda i: (classes[i] != "", int(classes[i] or 0) if whole else 0, i))
    empty = int(bool(len(classes)) and classes[order[0]] == "")
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = np.arange(len(classes)) - empty
    return rank[found.reshape(-1)], tuple(str(classes[i]) for i in order[empty:])


def class_problems(names: Shaped[np.ndarray, " n"], column: str) -> list[Problem]:
    """Return what is wrong with the classes of usable rows: fewer than two, or some with a single row (a warning).

    Args:
        names: (n,) text of the rows that have a label.
        column: where they come from.

    Example:
        >>> print(class_problems(np.array(["a", "a", "a"]), "species")[0])
        column 'species': is 'a' in every row, so there are no classes to tell apart. Choose another category.
    """
    classes, rows = np.unique(names, return_counts=True)
    if len(classes) == 1 and len(names) > 1:
        what = f"is '{shown(str(classes[0]), 40)}' in every row, so there are no classes to tell apart"
        return [Problem("constant-category", what, "Choose another category", column=column)]
    single = classes[rows == 1].tolist()
    if not single:
        return []
    listed = ", ".join(shown(name, 40) for name in single[:_LISTED]) + (", ..." if len(single) > _LISTED else "")
    what = f"has {len(single)} of {len(classes)} classes with a single row: {listed}"
    fix = "Such a class is trained on or judged, never both: add rows, or join classes"
    return [Problem("single-row-class", what, fix, column=column, fatal=False)]
