"""The small CIFAR-10 experiment of docs/results.md: write its table (10,000 + 1,000 + 10,000 images), collect its runs.

python bench/cifar10.py table TRAIN.parquet TEST.parquet cifar10k.parquet
python bench/cifar10.py fewer cifar10k.parquet cifar3k.parquet 3000 500 4000
python bench/cifar10.py results runs/*

The first 11,000 training images (the last 1,000 of them for validation) and all 10,000 test images; classes by name.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TRAIN, VAL = 10_000, 1_000


def table(train: Path, test: Path, out: Path) -> None:
    """Write a Parquet table with the columns image, class and split."""
    first, last = pd.read_parquet(train)[: TRAIN + VAL], pd.read_parquet(test)
    both = pd.concat([first, last], ignore_index=True)
    split = np.repeat(["train", "val", "test"], [TRAIN, VAL, len(last)])
    pd.DataFrame({"image": both["image"], "class": both["class_name"], "split": split}).to_parquet(out)


def fewer(whole: Path, out: Path, *counts: int) -> None:
    """Write a table of the first rows of each side: train, val, test."""
    frame = pd.read_parquet(whole)
    sides = zip(("train", "val", "test"), counts, strict=True)
    pd.concat([frame[frame["split"] == side][:count] for side, count in sides]).to_parquet(out)


def results(runs: list[Path]) -> None:
    """Print each run's newest probes, and for each method the mean over its seeds with the standard error."""
    rows = [row for run in runs for row in _probes(run)]
    frame = pd.DataFrame(rows)
    print(f"| method | {' | '.join(sorted(frame['probe'].unique()))} | seeds | seconds |")
    print("|---" * (frame["probe"].nunique() + 3) + "|")
    for method, found in frame.groupby("method", sort=False):
        cells = []
        for probe in sorted(frame["probe"].unique()):
            scores = 100 * found[found["probe"] == probe]["score"]
            error = scores.std(ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
            cells.append(
                (f"{scores.mean():.1f}" + (f" ± {error:.1f}" if len(scores) > 1 else "")) if len(scores) else ""
            )
        print(f"| {method} | {' | '.join(cells)} | {found['seed'].nunique()} | {found['seconds'].median():.0f} |")


def _probes(run: Path) -> list[dict[str, object]]:
    """Return the test accuracy of the run's own linear classifier on the frozen encoder, and its newest probes."""
    about, metrics = json.loads((run / "run.json").read_text()), json.loads((run / "metrics.json").read_text())
    own = next(row for row in metrics["rows"] if row["role"] == "model" and row["split"] == "test")
    found: dict[str, float] = {"own linear": own["accuracy"]["value"]}
    kept = run / "probes.jsonl"
    for line in kept.read_text().splitlines() if kept.exists() else []:
        row = json.loads(line)
        more = {"layers": ["stage"], "low-shot": ["model", "rows_per_class"], "semi": ["labels"]}.get(row["probe"], [])
        more += ["target", "score_name"] if row["probe"] == "invariance" else []
        said = row | row["settings"]
        found[" ".join([row["probe"], *(str(said[name]) for name in more)])] = row["score"]
    shared = {"method": run.name.rpartition("-")[0], "seed": about["seed"], "seconds": about["seconds"]}
    return [{**shared, "probe": probe, "score": score} for probe, score in found.items()]


if __name__ == "__main__":
    if sys.argv[1] == "table":
        table(*map(Path, sys.argv[2:5]))
    elif sys.argv[1] == "fewer":
        fewer(Path(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:]))
    else:
        results([Path(name) for name in sys.argv[2:]])
