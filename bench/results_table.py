"""Print the rows of docs/results.md for the run folders named: test MAE with its 95 % interval, what it gains on the
median predictor (95 %, paired over the test rows), order, seconds.

python bench/results_table.py runs/hc18-*
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from isotone.evaluate.metrics import paired_difference


def main(runs: list[Path]) -> None:
    """Print a Markdown table, one row for each run and model; a constant predictor once for each test set."""
    told: set[tuple[str, float, float]] = set()
    print("| run | predictor | test MAE | 95 % interval | gain on the median | R² | order | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for run in runs:
        metrics = json.loads((run / "metrics.json").read_text())
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        for row in metrics["rows"]:
            if row["split"] == "test" and not row["model"].startswith("mean of"):
                mae, r2, own = row["mae"], row["r2"]["value"], row["role"] == "model"
                order = f"{metrics['order']['spearman']:.2f}" if own else ""
                if row["role"] == "constant" and (row["model"], mae["value"], mae["low"]) in told:
                    continue
                told.add((row["model"], mae["value"], mae["low"]))
                cells = [run.name, row["model"], f"{mae['value']:.2f}", f"{mae['low']:.2f} to {mae['high']:.2f}"]
                cells.append(gain(run) if own else "")
                print("| " + " | ".join([*cells, f"{r2:.2f}", order, f"{seconds:.0f}" if own else ""]) + " |")


def gain(run: Path) -> str:
    """Return how much smaller the run's mean absolute error on the test rows is than the median predictor's."""
    table = pd.read_csv(run / "predictions.csv")
    name = next(column for column in table.columns if f"predicted_{column}" in table.columns)
    test = table[table["split"] == "test"]
    median = np.full(len(test), table.loc[table["split"] == "train", name].median())
    found = paired_difference(test[name].to_numpy(), median, test[f"predicted_{name}"].to_numpy())
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
