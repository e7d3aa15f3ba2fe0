"""The probes by name, and running them on the frozen features of a run: one row for each probe and target."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Shaped

from isotone.check import choice
from isotone.errors import ConfigError
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.linear import logistic, ridge
from isotone.evaluate.metrics import regression_metrics
from isotone.evaluate.probe import ProbeData, ProbeResult
from isotone.evaluate.svm import svm

Probe = Callable[[ProbeData], ProbeResult]

NUMBER_PROBES: dict[str, Probe] = {"linear": ridge, "knn": knn_numbers}
CLASS_PROBES: dict[str, Probe] = {"linear": logistic, "knn": knn_classes, "svm": svm}


@dataclass(frozen=True, eq=False)
class FrozenRows:
    """The representations of all rows of a data set, computed once, with what the probes need to know of the rows.

    Args:
        h: (n, d).
        target: (n, k) in the user's units.
        target_names: k names.
        split: (n,) text: train, val or test.
        group: (n,) text, or None.
    """

    h: Float[np.ndarray, "n d"]
    target: Float[np.ndarray, "n k"]
    target_names: tuple[str, ...]
    split: Shaped[np.ndarray, " n"]
    group: Shaped[np.ndarray, " n"] | None = None


def number_probes(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of probes of numbers, each once.

    Args:
        names: such as ("linear", "knn"), or "linear,knn".

    Raises:
        ConfigError: an unknown name, with the nearest beside it; a probe that needs classes.

    Example:
        >>> number_probes("knn, linear")
        ('knn', 'linear')
        >>> number_probes(["knm"])
        Traceback (most recent call last):
        isotone.errors.ConfigError: `probe` has no 'knm'; there are linear, knn. Did you mean 'knn'?
    """
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for name in listed:
        if name in CLASS_PROBES and name not in NUMBER_PROBES:
            raise ConfigError(
                f"the probe {name!r} tells classes apart, and this run's target is a number. "
                f"Use {' or '.join(NUMBER_PROBES)}."
            )
        choice("probe", name, NUMBER_PROBES)
    return tuple(dict.fromkeys(listed))


def probe_rows(frozen: FrozenRows, names: Sequence[str], *, seed: int) -> list[dict[str, Any]]:
    """Fit each probe on each target and score it on the test rows.

    Args:
        frozen: features and targets of all rows.
        names: of `NUMBER_PROBES`.
        seed: of the bootstrap of the intervals. Groups are drawn whole where there are groups.

    Returns:
        One dictionary a probe and target, plain numbers, NaN as None: `probe`, `target`, `split`, `n`, `score`,
        `score_name`, `higher_is_better`, `settings`, `notes`, and MAE, RMSE, R² and correlations with 95 % intervals as
        in `metrics.json`.

    Raises:
        ShapeError: features that are not finite; a side of the split that the probe needs has no rows.
    """
    return [
        _row(frozen, column, NUMBER_PROBES[name](_data(frozen, column)), seed)
        for column in range(len(frozen.target_names))
        for name in names
    ]


def kept_rows(folder: Path) -> FrozenRows | None:
    """Return the features that a run kept in its folder, or None where they are not those of all its rows.

    Args:
        folder: of a finished run; it keeps the features of at most 2,000 rows.
    """
    try:
        about = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        with (folder / "features.npz").open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            kept = {name: file[name] for name in ("index", "h", "target", "split", "group")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # damaged: they can be computed again
    if not np.array_equal(kept["index"], np.arange(about["rows"])):
        return None
    group = kept["group"] if kept["group"].size else None
    return FrozenRows(kept["h"], kept["target"], tuple(about["target_names"]), kept["split"], group)


def append_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows to a file of one JSON object a line, each with the time; what is there stays."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    text = "".join(json.dumps({"time": now, **row}, allow_nan=False) + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


# ----------------------------------------------------------------------------------------------------------------------


def _data(frozen: FrozenRows, column: int) -> ProbeData:
    train, val, test = (np.flatnonzero(frozen.split == side) for side in ("train", "val", "test"))
    h, y = frozen.h, frozen.target[:, column]
    return ProbeData(h[train], y[train], h[val], y[val], h[test], y[test])


def _row(frozen: FrozenRows, column: int, result: ProbeResult, seed: int) -> dict[str, Any]:
    test = np.flatnonzero(frozen.split == "test")
    group = None if frozen.group is None else frozen.group[test]
    metrics = regression_metrics(frozen.target[test, column], result.prediction, group=group, seed=seed)
    return {
        "probe": result.name,
        "target": frozen.target_names[column],
        "split": "test",
        "n": len(test),
        "score": result.score,
        "score_name": result.score_name,
        "higher_is_better": result.higher_is_better,
        "settings": dict(result.settings),
        "notes": list(result.notes),
        **{name: {k: _plain(getattr(x, k)) for k in ("value", "low", "high")} for name, x in metrics.items()},
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
