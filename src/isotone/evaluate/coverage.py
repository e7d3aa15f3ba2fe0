"""Prediction intervals of a run: calibrated on its validation rows, checked on its test rows.

The validation rows also pick the head's penalty and epoch, so its errors on them are a little too small. Measured on
HC18 (256 pixels as features, ridge and L1 head, groups held out, mean of 20 and 40 drawn splits), for 90 %: with 150
validation rows 90.2 % covered, their error 1.6 % below the test's; with 40 rows 89.3 %, 8 % below. Judging each
validation row by a head that was picked without it took the first to 90.9 % for five more fits, so it is not done.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from isotone.errors import ConfigError
from isotone.evaluate.metrics import bootstrap
from isotone.evaluate.subject import plain
from isotone.predict import task_of
from isotone.predict.conformal import Calibration, Ends, check_level
from isotone.predict.quantile import Band, fit_band
from isotone.records import Dataset

SMALLEST_GROUP = 3  # test rows; the share of one or two rows says nothing


def calibrate(dataset: Dataset, prediction: Float[np.ndarray, "n k"]) -> Calibration:
    """Return the errors of the validation rows, from which intervals are made; groups count as one where there are any.

    Args:
        dataset: with its split.
        prediction: (n, k) of all rows, user's units.

    Raises:
        ShapeError: a prediction is not finite.
    """
    val = dataset.labelled("val")
    group = None if dataset.group is None else dataset.group[val]
    return Calibration.of(dataset.target[val], prediction[val], group)


def quantile_band(dataset: Dataset, h: Float[np.ndarray, "n d"], calibration: Calibration, level: float) -> Band:
    """Return quantile heads fitted on the training rows and moved by the validation rows, of the level.

    Args:
        dataset: with its split.
        h: (n, d) representations of all rows.
        calibration: of the run's predictions; its median error says how fine the heads' fit must be.
        level: of the intervals.

    Raises:
        ShapeError: a representation is not finite.
    """
    train, val = dataset.labelled("train"), dataset.labelled("val")
    return fit_band(
        h[train],
        dataset.target[train],
        h[val],
        dataset.target[val],
        level=level,
        spread=np.median(calibration.error, axis=0),
        val_group=None if dataset.group is None else dataset.group[val],
    )


def check_interval(dataset: Dataset, level: float) -> None:
    """Refuse, before anything is trained, intervals that the data cannot have.

    Args:
        dataset: with its split.
        level: of the intervals; 0: none are wanted.

    Raises:
        ConfigError: what is predicted is no number, or lies on a circle, or the validation rows are too few.
    """
    if not level:
        return
    if task_of(dataset) != "numbers":
        raise ConfigError(
            "`interval` gives intervals around predicted numbers, but these data have no target of numbers. Leave out "
            "--interval, or name the column: --target COLUMN."
        )
    if dataset.geometry.startswith("circle"):
        raise ConfigError(
            f"`interval` gives intervals on a line, but the targets lie on a circle (geometry {dataset.geometry}). "
            "Leave out --interval."
        )
    val = dataset.labelled("val")
    check_level(level, len(val) if dataset.group is None else len(np.unique(dataset.group[val])))


def coverage(
    dataset: Dataset, ends: Ends, calibration: Calibration, level: float, *, form: str = "constant", seed: int
) -> dict[str, Any]:
    """Return how many test rows lie in their interval, for each target and each group, as `metrics.json` holds it.

    Args:
        dataset: with its split.
        ends: of the intervals of all rows, low and high (n, k) in the user's units.
        calibration: that they were made of.
        level: of the intervals.
        form: constant or quantile.
        seed: of the bootstrap. Groups are drawn whole where there are groups.

    Returns:
        `intervals`: `level` and `form`; `calibrated_on` and `calibrated_on_groups`, the validation rows and their
        groups; `rows`: for each target `width` (mean of high - low), `n` and `coverage` with its 95 % interval;
        `by_group`: `group`, `n`, `width` and `coverage` of the first target in each test group of at least three rows,
        the least covered first.
    """
    test = dataset.labelled("test")
    low, high = (end[test] for end in ends)  # (m, k)
    width, inside = high - low, (low <= dataset.target[test]) & (dataset.target[test] <= high)
    group = None if dataset.group is None else dataset.group[test]
    rows: list[dict[str, Any]] = []
    for column, name in enumerate(dataset.target_names):
        share = inside[:, column].astype(np.float64)
        found = bootstrap(_mean_of(share), ("coverage",), len(test), group=group, seed=seed)["coverage"]
        bounds = {key: plain(getattr(found, key)) for key in ("value", "low", "high")}
        rows.append({"target": name, "width": float(width[:, column].mean()), "n": len(test), "coverage": bounds})
    about = {
        "level": level,
        "form": form,
        "calibrated_on": len(calibration.error),
        "calibrated_on_groups": calibration.groups,
        "rows": rows,
        "by_group": [] if group is None else _by_group(inside[:, 0], width[:, 0], group),
    }
    return {"intervals": about}


# ----------------------------------------------------------------------------------------------------------------------


def _mean_of(share: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda w: (w @ share / w.sum(axis=1))[:, None]


def _by_group(inside: np.ndarray, width: np.ndarray, group: np.ndarray) -> list[dict[str, Any]]:
    names, code, count = np.unique(group.astype(str), return_inverse=True, return_counts=True)
    share, mean = (np.bincount(code.reshape(-1), weights=x) / count for x in (inside, width))
    listed = [i for i in np.argsort(share, kind="stable") if count[i] >= SMALLEST_GROUP]
    return [
        {"group": str(names[i]), "n": int(count[i]), "width": float(mean[i]), "coverage": float(share[i])}
        for i in listed
    ]
