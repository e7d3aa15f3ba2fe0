"""How well classes are told apart: accuracies with bootstrap intervals, and where the errors lie.

Source: balanced accuracy, Brodersen et al. 2010, doi:10.1109/ICPR.2010.764; intervals as in `isotone.evaluate.metrics`.
"""

from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from isotone.errors import ShapeError
from isotone.evaluate.metrics import Interval, bootstrap

METRICS = ("accuracy", "balanced_accuracy")


def class_metrics(
    category: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
    *,
    group: Shaped[np.ndarray, " n"] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return accuracy and balanced accuracy, each with its 95 % bootstrap interval.

    Formula: accuracy = share of rows with the right class; balanced accuracy = mean, over the classes that the rows
    hold, of the share of their rows that are right, so that rare classes count as much as frequent ones.

    Args:
        category: (n,) codes of the true classes.
        predicted: (n,) codes of the predicted ones.
        group: (n,) such as the person of each row; given, whole groups are drawn, as in `regression_metrics`.
        samples: resamples, >= 1.
        seed: of the resamples.

    Returns:
        `accuracy` and `balanced_accuracy`. NaN interval: fewer than 2 rows or, with groups, fewer than 2 groups.

    Raises:
        ShapeError: not two (n,) arrays of codes with n >= 1, or `group` is not (n,).
        ConfigError: `samples` < 1.

    Example:
        >>> found = class_metrics(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
        >>> found["accuracy"].value, round(found["balanced_accuracy"].value, 3)
        (0.75, 0.833)
    """
    _check(category, predicted)
    order = np.argsort(category, kind="stable")
    starts = np.unique(category[order], return_index=True)[1]
    right = (category == predicted)[order].astype(np.float64)

    def scores(w: np.ndarray) -> np.ndarray:
        """Return both of each resample, (b, 2), from its counts (b, n)."""
        w = w[:, order]
        rows, hits = np.add.reduceat(w, starts, axis=1), np.add.reduceat(w * right, starts, axis=1)  # (b, classes)
        recall = np.where(rows > 0, hits / np.maximum(rows, 1), 0.0)
        balanced = recall.sum(axis=1) / (rows > 0).sum(axis=1)
        return np.stack([hits.sum(axis=1) / rows.sum(axis=1), balanced], axis=1)

    return bootstrap(scores, METRICS, len(category), group=group, samples=samples, seed=seed)


def confusion(
    category: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "c c"]:
    """Return how many rows of each class (down) were taken for each class (across).

    Args:
        category: (n,) codes of the true classes, 0 .. c - 1.
        predicted: (n,) codes of the predicted ones.
        classes: c.

    Raises:
        ShapeError: not two (n,) arrays of codes with n >= 1.

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    _check(category, predicted)
    return np.bincount(category * classes + predicted, minlength=classes**2).reshape(classes, classes)


def by_class(
    counts: Int[np.ndarray, "c c"], train_category: Int[np.ndarray, " t"], classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the recall of each class, in their order, beside the number of training rows that it had.

    Args:
        counts: of `confusion`.
        train_category: (t,) codes of the labelled training rows; may be empty.
        classes: c names.

    Returns:
        One dictionary a class: `class`, `n_train`, `n`, `recall`; None as `recall` of a class without rows.

    Example:
        >>> by_class(np.array([[1, 1], [0, 0]]), np.array([0, 0, 1]), ("cat", "dog"))[0]
        {'class': 'cat', 'n_train': 2, 'n': 2, 'recall': 0.5}
    """
    trained = np.bincount(train_category, minlength=len(classes))
    rows = counts.sum(axis=1)
    return [
        {
            "class": name,
            "n_train": int(trained[i]),
            "n": int(rows[i]),
            "recall": float(counts[i, i] / rows[i]) if rows[i] else None,
        }
        for i, name in enumerate(classes)
    ]


def accuracy_by_group(
    category: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
    group: Shaped[np.ndarray, " n"],
    minimum: int = 3,
) -> list[dict[str, Any]]:
    """Return the accuracy of each group, worst first; the first row is the worst-group accuracy.

    Args:
        category: (n,) codes of the true classes.
        predicted: (n,) codes of the predicted ones.
        group: (n,) name of each row's group.
        minimum: rows that a group must have to be listed; the accuracy of one or two rows says little.

    Returns:
        One dictionary a group: `group` (as text), `n`, `accuracy`; equals by name. Empty if no group is large enough.

    Raises:
        ShapeError: not (n,) arrays of one length n >= 1.

    Example:
        >>> accuracy_by_group(np.zeros(3, int), np.array([0, 1, 1]), np.array(["a", "b", "b"]), minimum=1)[0]
        {'group': 'b', 'n': 2, 'accuracy': 0.0}
    """
    _check(category, predicted)
    if np.shape(group) != category.shape:
        raise ShapeError(
            f"Accuracy by group expects one group for each of the {len(category)} rows, but got shape "
            f"{np.shape(group)}. Give (n,)."
        )
    names, code, count = np.unique(np.asarray(group).astype(str), return_inverse=True, return_counts=True)
    accuracy = np.bincount(code, weights=category == predicted) / count
    worst = [i for i in np.argsort(accuracy, kind="stable") if count[i] >= minimum]
    return [{"group": str(names[i]), "n": int(count[i]), "accuracy": float(accuracy[i])} for i in worst]


# ----------------------------------------------------------------------------------------------------------------------


def _check(category: np.ndarray, predicted: np.ndarray) -> None:
    shapes = np.shape(category), np.shape(predicted)
    if shapes[0] != shapes[1] or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ShapeError(
            f"Scores of classes expect true and predicted codes of one shape (n,) with n >= 1, but got {shapes[0]} "
            f"and {shapes[1]}. Give one class a row."
        )
    low = min(int(np.min(category)), int(np.min(predicted)))
    if low < 0:
        raise ShapeError(
            f"Scores of classes expect codes >= 0, but the smallest is {low}. Leave out the rows without a label."
        )
