"""How robust predictors on the frozen encoders of `isotone study robustness` are.

They are the run's own head, that head cut off at the range of the training targets, least squares on the first
principal axis of the representation, and the 20 nearest neighbours.

python bench/robust_heads.py study-robustness/seed*

Prints for each run and predictor the test MAE on clean images and its mean over the 19 corruptions at severity 1, 3 and
5; then the means over the runs of one arm.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import isotone
from isotone.data.corrupt import CORRUPTIONS, corrupt
from isotone.predict.knn import Neighbours
from isotone.studies.corrupted import run_data

SEVERITIES = (1, 3, 5)


def main(folders: list[str]) -> None:
    """Print Markdown tables."""
    print(f"| run | predictor | clean | {' | '.join(f'severity {s}' for s in SEVERITIES)} |\n|{'---|' * 6}")
    every: dict[tuple[str, str], list[list[float]]] = {}
    for folder in folders:
        for name, errors in _errors(Path(folder)).items():
            every.setdefault((re.sub(r"^seed\d+-", "", Path(folder).name), name), []).append(errors)
            print(f"| {Path(folder).name} | {name} | {' | '.join(f'{x:.1f}' for x in errors)} |")
    for (arm, name), rows in every.items():
        print(f"| {arm}, {len(rows)} runs | {name} | {' | '.join(f'{x:.1f}' for x in np.mean(rows, axis=0))} |")


def _errors(folder: Path) -> dict[str, list[float]]:
    run = isotone.load(folder)
    data = run_data(run)
    train, test = data.labelled("train"), data.labelled("test")
    y, answer = data.target[train, 0], data.target[test, 0]
    h = run.model.embed(data.inputs[train])
    clean = run.model.embed(data.inputs[test])
    damaged = {
        s: [run.model.embed(corrupt(data.inputs[test], name, s, rows=test)) for name in CORRUPTIONS] for s in SEVERITIES
    }
    mean = h.mean(axis=0)
    axis = np.linalg.svd((h - mean).astype(np.float64), full_matrices=False)[2][0]
    slope, level = np.polyfit((h - mean) @ axis, y, 1)
    near = Neighbours(torch.from_numpy(h), torch.from_numpy(y[:, None]), 20)
    predictors: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "own head": lambda x: run.model.answers(x)[:, 0],
        "own head, cut off": lambda x: np.clip(run.model.answers(x)[:, 0], y.min(), y.max()),
        "first axis": lambda x: (x - mean) @ axis * slope + level,
        "20 neighbours": lambda x: near(torch.from_numpy(x))[:, 0].numpy(),
    }
    return {
        name: [float(np.abs(f(clean) - answer).mean())]
        + [float(np.mean([np.abs(f(x) - answer).mean() for x in damaged[s]])) for s in SEVERITIES]
        for name, f in predictors.items()
    }


if __name__ == "__main__":
    main(sys.argv[1:])
