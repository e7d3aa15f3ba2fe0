"""The verdict on a run: scores with intervals beside the constant predictors, order, and where the errors lie."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from isotone.data.split import shared_groups
from isotone.evaluate.angles import LINEAR, angle_metric, beside, constants, relation
from isotone.evaluate.breakdown import by_bin, by_group
from isotone.evaluate.class_metrics import accuracy_by_group, by_class, class_metrics, confusion
from isotone.evaluate.constant import most_frequent_class
from isotone.evaluate.metrics import Interval, regression_metrics
from isotone.evaluate.order import order
from isotone.evaluate.recordings import averaged, by_recording
from isotone.evaluate.shots import shot_bins, shots
from isotone.predict import task_of
from isotone.records import Dataset, Split

Rows = list[dict[str, Any]]
Predictions = dict[str, tuple[str, np.ndarray]]
SIDES: tuple[Split, ...] = ("train", "val", "test")


def judge(dataset: Dataset, predictions: Predictions, h: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Return what `metrics.json` holds: one row for each model, target and side of the split, and the breakdowns.

    Args:
        dataset: with its split; the test and validation rows that have a label are judged.
        predictions: for each model's name its role (`model` or `refit`) and its predictions of all rows: (n, k) numbers
            or (n, 1) codes of classes; the first one is the run's own. Empty where there is nothing to predict.
        h: (n, d) representations of all rows.
        seed: of the bootstrap. Groups are drawn whole where there are groups.

    Returns:
        Plain numbers, lists and dictionaries; NaN as None. `task` says which: `numbers`, `classes` or `none`.
    """
    task = task_of(dataset)
    if task == "none":
        return {"task": task, "rows": [], "order": None}
    found = _numbers(dataset, predictions, h, seed) if task == "numbers" else _classes(dataset, predictions, seed)
    return _plain({"task": task, **found})


def describe(dataset: Dataset, warnings: list[str], bad_rows: int) -> dict[str, Any]:
    """Return what `data.json` holds: how many rows and groups are where, the labels, what was warned of."""
    group = dataset.group
    statistics = {
        name: _statistics(y[np.isfinite(y)]) for name, y in zip(dataset.target_names, dataset.target.T, strict=True)
    }
    summary = {
        "name": dataset.name,
        "kind": dataset.kind,
        "task": task_of(dataset),
        "rows": len(dataset.target),
        "target_names": list(dataset.target_names),
        "geometry": dataset.geometry,
        "group_name": dataset.group_name,
        "counts": {side: len(dataset.rows(side)) for side in SIDES},
        "labelled": {side: len(dataset.labelled(side)) for side in SIDES},
        "groups": None if group is None else {side: len(set(group[dataset.rows(side)])) for side in SIDES},
        "shared_groups": None if group is None else shared_groups(dataset.split, group),
        "target": statistics,
        "category_name": dataset.category_name,
        "classes": _class_counts(dataset),
        "warnings": warnings,
        "bad_rows": bad_rows,
        "fingerprint": dataset.fingerprint,
    }
    return _plain(summary)


# ----------------------------------------------------------------------------------------------------------------------


def _numbers(dataset: Dataset, predictions: Predictions, h: np.ndarray, seed: int) -> dict[str, Any]:
    trained = dataset.target[dataset.labelled("train")]
    everything = dict(predictions)
    for name, value in constants(trained, dataset.geometry).items():
        everything[f"{name} of the training targets"] = ("constant", np.broadcast_to(value, dataset.target.shape))
    rows = [
        row
        for name, (role, prediction) in everything.items()
        for split in ("test", "val")
        for row in _number_rows(dataset, name, role, prediction, split, seed)
    ]
    more: dict[str, Any] = {}
    recordings = by_recording(dataset)
    if recordings is not None:
        small, of = recordings
        more["by_recording"] = [
            row
            for name, (role, prediction) in everything.items()
            for split in ("test", "val")
            for row in _number_rows(small, name, role, averaged(prediction, of), split, seed)
        ]
    test = dataset.labelled("test")
    own = next(iter(predictions.values()))[1]
    found = order(h[test], dataset.target[test], relation=relation(dataset.geometry), seed=seed)
    target, predicted = dataset.target[test, 0], beside(dataset.target, own, dataset.geometry)[test, 0]
    bins = by_bin(target, predicted, trained[:, 0])
    groups = [] if dataset.group is None else by_group(target, predicted, dataset.group[test])
    summary = {
        "spearman": found.spearman,
        "kendall": found.kendall,
        "ordered_triples": found.ordered_triples,
        "n": found.n,
        "split": "test",
    }
    named = [{"target": dataset.target_names[0], **line} for line in bins]
    more |= _by_shot(target, predicted, trained)
    return {"rows": rows, "order": summary, "by_bin": named, "by_group": groups, **more}


def _by_shot(target: np.ndarray, predicted: np.ndarray, trained: np.ndarray) -> dict[str, Any]:
    """Errors by how often a target was trained on, in bins by the rule of `isotone compare`."""
    bins = shot_bins([trained[:, 0]])
    found = shots(target, predicted, trained[:, 0], many=bins.many, few=bins.few, width=bins.width)
    return {"by_shot": [asdict(shot) for shot in found], "shot_bins": asdict(bins)}


def _number_rows(dataset: Dataset, name: str, role: str, prediction: np.ndarray, split: Split, seed: int) -> Rows:
    index = dataset.labelled(split)
    group = None if dataset.group is None else dataset.group[index]
    result: Rows = []
    target, near = dataset.target[index], beside(dataset.target[index], prediction[index], dataset.geometry)
    more = {"angle": angle_metric(target, near, group=group, seed=seed)} if dataset.geometry == "gaze" else {}
    if dataset.geometry.startswith("circle"):
        more = dict.fromkeys(LINEAR, Interval(math.nan, math.nan, math.nan))
    for column, target_name in enumerate(dataset.target_names):
        metrics = regression_metrics(target[:, column], near[:, column], group=group, seed=seed) | more
        row = {"model": name, "role": role, "target": target_name, "split": split, "n": len(index)}
        result.append({**row, **{key: _interval(value) for key, value in metrics.items()}})
    return result


def _classes(dataset: Dataset, predictions: Predictions, seed: int) -> dict[str, Any]:
    category = _category(dataset)
    trained, test = category[dataset.labelled("train")], dataset.labelled("test")
    constant = np.full((len(category), 1), most_frequent_class(trained))
    everything = predictions | {"most frequent class of the training rows": ("constant", constant)}
    codes = {name: (role, prediction[:, 0].astype(np.int64)) for name, (role, prediction) in everything.items()}
    rows = [
        _class_row(dataset, name, role, predicted, split, seed)
        for name, (role, predicted) in codes.items()
        for split in ("test", "val")
    ]
    true, own = category[test], next(iter(codes.values()))[1][test]
    counts = confusion(true, own, len(dataset.classes))
    return {
        "rows": rows,
        "order": None,
        "classes": list(dataset.classes),
        "by_class": by_class(counts, trained, dataset.classes),
        "confusion": counts.tolist(),
        "by_group": [] if dataset.group is None else accuracy_by_group(true, own, dataset.group[test]),
    }


def _class_row(
    dataset: Dataset, name: str, role: str, predicted: np.ndarray, split: Split, seed: int
) -> dict[str, Any]:
    index = dataset.labelled(split)
    group = None if dataset.group is None else dataset.group[index]
    metrics = class_metrics(_category(dataset)[index], predicted[index], group=group, seed=seed)
    row = {"model": name, "role": role, "target": dataset.category_name, "split": split, "n": len(index)}
    return {**row, **{key: _interval(value) for key, value in metrics.items()}}


def _category(dataset: Dataset) -> np.ndarray:
    assert dataset.category is not None, "asked of class data only"
    return dataset.category


def _statistics(y: np.ndarray) -> dict[str, float]:
    return {
        "min": float(y.min()),
        "median": float(np.median(y)),
        "mean": float(y.mean()),
        "max": float(y.max()),
        "std": float(y.std()),
    }


def _class_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Return how many rows of each class are on each side."""
    if dataset.category is None:
        return {}
    counts = {
        side: np.bincount(dataset.category[dataset.labelled(side)], minlength=len(dataset.classes)) for side in SIDES
    }
    return {name: {side: int(counts[side][i]) for side in SIDES} for i, name in enumerate(dataset.classes)}


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
