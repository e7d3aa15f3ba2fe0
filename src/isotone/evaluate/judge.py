"""The verdict on a run: errors with intervals beside the constant predictors, order, error by bin and by group."""

import math
from typing import Any

import numpy as np

from isotone.data.split import shared_groups
from isotone.evaluate.breakdown import by_bin, by_group
from isotone.evaluate.constant import constant_predictors
from isotone.evaluate.metrics import Interval, regression_metrics
from isotone.evaluate.order import order
from isotone.records import Dataset, Split

Rows = list[dict[str, Any]]


def judge(
    dataset: Dataset, predictions: dict[str, tuple[str, np.ndarray]], h: np.ndarray, *, seed: int
) -> dict[str, Any]:
    """Return what `metrics.json` holds: one row for each model, target and side of the split, and the breakdowns.

    Args:
        dataset: with its split; test and validation rows are judged.
        predictions: for each model's name its role (`model` or `refit`) and predictions (n, k) of all rows; the
            first one is the run's own.
        h: (n, d) representations of all rows.
        seed: of the bootstrap. Groups are drawn whole where there are groups.

    Returns:
        Plain numbers, lists and dictionaries; NaN as None.
    """
    everything = dict(predictions)
    for name, value in constant_predictors(dataset.target[dataset.rows("train")]).items():
        everything[f"{name} of the training targets"] = ("constant", np.broadcast_to(value, dataset.target.shape))
    rows = [
        row
        for name, (role, prediction) in everything.items()
        for split in ("test", "val")
        for row in _rows(dataset, name, role, prediction, split, seed)
    ]
    test = dataset.rows("test")
    own = next(iter(predictions.values()))[1]
    found = order(h[test], dataset.target[test], seed=seed)
    target, predicted = dataset.target[test, 0], own[test, 0]
    bins = by_bin(target, predicted, dataset.target[dataset.rows("train"), 0])
    groups = [] if dataset.group is None else by_group(target, predicted, dataset.group[test])
    summary = {
        "spearman": found.spearman,
        "kendall": found.kendall,
        "ordered_triples": found.ordered_triples,
        "n": found.n,
        "split": "test",
    }
    named = [{"target": dataset.target_names[0], **line} for line in bins]
    return _plain({"rows": rows, "order": summary, "by_bin": named, "by_group": groups})


def describe(dataset: Dataset, warnings: list[str], bad_rows: int) -> dict[str, Any]:
    """Return what `data.json` holds: how many rows and groups are where, the targets' range, what was warned of."""
    sides: tuple[Split, ...] = ("train", "val", "test")
    group = dataset.group
    statistics = {
        name: {
            "min": float(y.min()),
            "median": float(np.median(y)),
            "mean": float(y.mean()),
            "max": float(y.max()),
            "std": float(y.std()),
        }
        for name, y in zip(dataset.target_names, dataset.target.T, strict=True)
    }
    summary = {
        "name": dataset.name,
        "kind": dataset.kind,
        "rows": len(dataset.target),
        "target_names": list(dataset.target_names),
        "group_name": dataset.group_name,
        "counts": {side: len(dataset.rows(side)) for side in sides},
        "groups": None if group is None else {side: len(set(group[dataset.rows(side)])) for side in sides},
        "shared_groups": None if group is None else shared_groups(dataset.split, group),
        "target": statistics,
        "warnings": warnings,
        "bad_rows": bad_rows,
        "fingerprint": dataset.fingerprint,
    }
    return _plain(summary)


# ----------------------------------------------------------------------------------------------------------------------


def _rows(dataset: Dataset, name: str, role: str, prediction: np.ndarray, split: Split, seed: int) -> Rows:
    index = dataset.rows(split)
    group = None if dataset.group is None else dataset.group[index]
    result: Rows = []
    for column, target_name in enumerate(dataset.target_names):
        metrics = regression_metrics(dataset.target[index, column], prediction[index, column], group=group, seed=seed)
        row = {"model": name, "role": role, "target": target_name, "split": split, "n": len(index)}
        result.append({**row, **{key: _interval(value) for key, value in metrics.items()}})
    return result


def _interval(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _plain(value: Any) -> Any:
    """Return JSON's types only: NumPy numbers become Python's, NaN and infinity None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
