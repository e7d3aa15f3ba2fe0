"""`isotone fit TABLE ...`: the method's settings are its flags."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from isotone.cli.arguments import DATASET

OWN = {
    "table": "CSV or Parquet with a column of images or of EDF / BDF files (or --features), or .npz of signals; with "
    "the labels, if any.",
    "--method": "How to train, such as rnc, baseline, supcon or simclr; `isotone methods` lists all and what each "
    "needs. Its settings come first below.",
    **DATASET,
    "--out": "Folder of the run; without it the next free one below runs/.",
}


def run(words: list[str]) -> int:
    """Train on a table and print where the report is."""
    from isotone import api, settings

    words = settings.with_recipe(words)
    command = shlex.join(["isotone", "fit", *words])
    method = _method(words)
    parts = settings.parts_of(method)
    values = settings.parse(parts, words, "isotone fit", OWN)
    names = {name for part in parts for name in part.__dataclass_fields__}
    table = settings.table_or_root(values, "fit")
    chosen = {name: value for name, value in values.items() if name in names}
    done = api.fit(table, method=method, out=values["out"], command=command, **chosen)
    if os.environ.get("RANK", "0") == "0":  # one process of several speaks
        sys.stdout.write(summary(done.metrics) + f"\nreport: {done.folder / 'report.html'}\n")
    return 0


def summary(metrics: dict[str, Any]) -> str:
    """Return the test scores as a small table, one line for each model; for a run without labels, what to do next."""
    task = metrics.get("task", "numbers")
    if task == "none":
        return (
            "trained without labels, so nothing was predicted or judged. Next:\n"
            "  isotone evaluate RUN --category COLUMN    how much of a label the representation holds\n"
            "  isotone embed RUN TABLE --out z.parquet   the representation of any rows"
        )
    rows = [row for row in metrics["rows"] if row["split"] == "test"]
    return (
        _classes(rows)
        if task == "classes"
        else _numbers(rows, metrics["order"]["spearman"], metrics.get("by_recording", []))
    )


# ----------------------------------------------------------------------------------------------------------------------


def _numbers(rows: list[dict[str, Any]], order: float | None, recordings: list[dict[str, Any]]) -> str:
    lines = [f"{'test error':52} {'MAE':>9}  {'95 % interval':>19} {'R2':>7}", *map(_number, rows)]
    tested = [row for row in recordings if row["split"] == "test"]
    if tested:
        lines += [f"the windows of a recording averaged, {tested[0]['n']} recordings", *map(_number, tested)]
    lines += [_angle(row) for row in rows if "angle" in row and row["target"] == rows[0]["target"]]
    lines.append("order of the representation (Spearman): " + ("-" if order is None else f"{order:.3f}"))
    return "\n".join(lines)


def _number(row: dict[str, Any]) -> str:
    mae, r2 = row["mae"], row["r2"]["value"]
    name = f"{row['model']} ({row['target']})"
    interval = "-" if mae["low"] is None else f"{mae['low']:.4g} to {mae['high']:.4g}"
    return f"{name[:52]:52} {mae['value']:9.4g}  {interval:>19} " + ("      -" if r2 is None else f"{r2:7.3f}")


def _angle(row: dict[str, Any]) -> str:
    bounds = row["angle"]
    interval = "-" if bounds["low"] is None else f"{bounds['low']:.4g} to {bounds['high']:.4g}"
    value = "-" if bounds["value"] is None else f"{bounds['value']:.4g}"
    return f"{row['model'][:40] + ' (degrees)':52} {value:>9}  {interval:>19}"


def _classes(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'test accuracy':52} {'accuracy':>9}  {'95 % interval':>19} {'balanced':>9}"]
    for row in rows:
        accuracy, balanced = row["accuracy"], row["balanced_accuracy"]["value"]
        name = f"{row['model']} ({row['target']})"
        interval = "-" if accuracy["low"] is None else f"{accuracy['low']:.1%} to {accuracy['high']:.1%}"
        lines.append(f"{name[:52]:52} {accuracy['value']:9.1%}  {interval:>19} {balanced:9.1%}")
    return "\n".join(lines)


def _method(words: list[str]) -> str:
    """Return the method's name before all else: its settings decide which flags there are."""
    from isotone.settings import flag_value, read_config

    named, config = flag_value(words, "--method"), flag_value(words, "--config")
    if named is None and config is not None:
        return str(read_config(Path(config)).get("method", "rnc"))
    return named or "rnc"
