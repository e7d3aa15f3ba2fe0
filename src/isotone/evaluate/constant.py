"""The sanity rows: what a predictor scores that has never seen an input."""

import numpy as np
from jaxtyping import Float, Int

from isotone.errors import ShapeError


def constant_predictors(train_target: Float[np.ndarray, "n k"]) -> dict[str, Float[np.ndarray, " k"]]:
    """Return the constants that a model must beat: the median (best for MAE) and the mean (best for RMSE).

    Args:
        train_target: (n, k) targets of the training rows, n >= 1, user's units.

    Returns:
        `median` and `mean`, (k,) float64 each, per target dimension.

    Raises:
        ShapeError: not (n, k) with n >= 1.

    Example:
        >>> constants = constant_predictors(np.array([[1.0], [2.0], [6.0]]))
        >>> constants["median"].tolist(), constants["mean"].tolist()
        ([2.0], [3.0])
    """
    if np.ndim(train_target) != 2 or not np.size(train_target):
        raise ShapeError(
            f"Constant predictors expect training targets (n, k) with n >= 1, but got {np.shape(train_target)}. "
            "For one target dimension, use y[:, None]."
        )
    y = np.asarray(train_target, dtype=np.float64)
    return {"median": np.median(y, axis=0), "mean": y.mean(axis=0)}


def most_frequent_class(train_category: Int[np.ndarray, " n"]) -> int:
    """Return the class that a classifier must beat: the most frequent one of the training rows, of equals the first.

    Args:
        train_category: (n,) class codes of the labelled training rows, all >= 0, n >= 1.

    Raises:
        ShapeError: not (n,) codes with n >= 1.

    Example:
        >>> most_frequent_class(np.array([2, 0, 2, 1]))
        2
    """
    if np.ndim(train_category) != 1 or not np.size(train_category) or np.min(train_category) < 0:
        raise ShapeError(
            "The most frequent class expects class codes (n,) >= 0 of n >= 1 training rows, but got shape "
            f"{np.shape(train_category)}. Leave out the rows without a label."
        )
    return int(np.bincount(train_category).argmax())
