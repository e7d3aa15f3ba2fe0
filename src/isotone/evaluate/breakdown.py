"""Where the error lies: by region of the target, and by group (person, camera, site)."""

import numpy as np
from jaxtyping import Float, Shaped

from isotone.errors import ConfigError, ShapeError


def by_bin(
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    train_target: Float[np.ndarray, " t"],
    bins: int = 8,
) -> list[dict[str, float | int | None]]:
    """Return the MAE in each region of the target, with the number of training rows there.

    Bins have equal width over the range of `target` and `train_target` together, not equal counts: rare regions, in
    which models err most, would disappear in a wide quantile bin. `n_train` says which regions are rare.

    Args:
        target: (n,) finite, user's units, n >= 1.
        prediction: (n,) finite, user's units.
        train_target: (t,) finite targets of the training rows, user's units; may be empty.
        bins: >= 1. A constant range has one bin.

    Returns:
        One dictionary a bin, ascending: `low`, `high` (a bin holds low <= y < high, the last also its
        high), `n_train`, `n`, `mae`; None as `mae` of a bin without rows.

    Raises:
        ShapeError: `target` and `prediction` are not (n,), or `train_target` is not (t,), or a value is not finite.
        ConfigError: `bins` < 1.

    Example:
        >>> for row in by_bin(np.array([0.0, 1.0, 4.0]), np.array([1.0, 1.0, 7.0]), np.array([0.0, 3.0]), bins=2):
        ...     print(row)
        {'low': 0.0, 'high': 2.0, 'n_train': 1, 'n': 2, 'mae': 0.5}
        {'low': 2.0, 'high': 4.0, 'n_train': 1, 'n': 1, 'mae': 3.0}
    """
    if bins < 1:
        raise ConfigError(f"Error by bin expects bins >= 1, but got {bins}. 8 is a good value.")
    error = _errors(target, prediction)
    train = np.asarray(train_target, dtype=np.float64)
    if train.ndim != 1 or not np.isfinite(train).all():
        raise ShapeError(
            f"Error by bin expects finite training targets (t,), but got shape {train.shape} with "
            f"{int((~np.isfinite(train)).sum())} NaN or infinite values. Score one target dimension at a time: y[:, 0]."
        )
    pooled = np.concatenate([np.asarray(target, dtype=np.float64), train])
    edges = np.linspace(pooled.min(), pooled.max(), bins + 1) if pooled.min() < pooled.max() else pooled[[0, 0]]
    place, train_place = (np.searchsorted(edges[1:-1], y, side="right") for y in (target, train))
    rows: list[dict[str, float | int | None]] = []
    for i, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        inside = error[place == i]
        mae = float(inside.mean()) if len(inside) else None
        counts = {"n_train": int((train_place == i).sum()), "n": len(inside)}
        rows.append({"low": low, "high": high, **counts, "mae": mae})
    return rows


def by_group(
    target: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    group: Shaped[np.ndarray, " n"],
    minimum: int = 3,
) -> list[dict[str, str | float | int]]:
    """Return the MAE of each group, worst first; the first row is the worst-group MAE.

    Args:
        target: (n,) finite, user's units, n >= 1.
        prediction: (n,) finite, user's units.
        group: (n,) name of each row's group.
        minimum: rows that a group must have to be listed; the error of one or two rows says little.

    Returns:
        One dictionary a group: `group` (as text), `n`, `mae`; equal errors by name. Empty if no group is large enough.

    Raises:
        ShapeError: not three (n,) arrays of one length n >= 1, or a value is not finite.

    Example:
        >>> by_group(np.zeros(4), np.array([1.0, 1.0, 2.0, 9.0]), np.array(["a", "a", "b", "c"]), minimum=1)[0]
        {'group': 'c', 'n': 1, 'mae': 9.0}
    """
    error = _errors(target, prediction)
    if np.shape(group) != error.shape:
        raise ShapeError(
            f"Error by group expects one group for each of the {len(error)} rows, but got shape {np.shape(group)}. "
            "Give (n,)."
        )
    names, code, count = np.unique(np.asarray(group).astype(str), return_inverse=True, return_counts=True)
    mae = np.bincount(code, weights=error) / count
    order = [i for i in np.argsort(-mae, kind="stable") if count[i] >= minimum]
    return [{"group": str(names[i]), "n": int(count[i]), "mae": float(mae[i])} for i in order]


# ----------------------------------------------------------------------------------------------------------------------


def _errors(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    if np.ndim(target) != 1 or np.shape(target) != np.shape(prediction) or not len(target):
        raise ShapeError(
            "An error breakdown expects target and prediction of one shape (n,) with n >= 1, "
            f"but got {np.shape(target)} and {np.shape(prediction)}. Score one target dimension at a time: y[:, 0]."
        )
    error = np.abs(np.asarray(target, dtype=np.float64) - np.asarray(prediction, dtype=np.float64))
    if not np.isfinite(error).all():
        raise ShapeError(
            f"An error breakdown expects finite numbers, but {int((~np.isfinite(error)).sum())} rows hold NaN or "
            f"infinity, the first is row {int(np.flatnonzero(~np.isfinite(error))[0])}. Leave these rows out."
        )
    return error
