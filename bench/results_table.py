"""Print the rows of docs/results.md: test MAE with its 95 % interval, order and seconds of each run folder named.

python bench/results_table.py runs/hc18-*
"""

import json
import sys
from pathlib import Path


def main(runs: list[Path]) -> None:
    """Print a Markdown table, one row for each run and model; constant predictors once for each run."""
    print("| run | predictor | test MAE | 95 % interval | R² | order | seconds |\n|---|---|---|---|---|---|---|")
    for run in runs:
        metrics = json.loads((run / "metrics.json").read_text())
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        for row in metrics["rows"]:
            if row["split"] == "test" and not row["model"].startswith("mean of"):
                mae, r2, own = row["mae"], row["r2"]["value"], row["role"] == "model"
                order = f"{metrics['order']['spearman']:.2f}" if own else ""
                cells = [run.name, row["model"], f"{mae['value']:.2f}", f"{mae['low']:.2f} to {mae['high']:.2f}"]
                print("| " + " | ".join([*cells, f"{r2:.2f}", order, f"{seconds:.0f}" if own else ""]) + " |")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
