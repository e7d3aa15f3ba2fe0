"""The demo: real handwritten digits, each turned by a random angle; the target is the angle, the digit a nuisance.

The paper's Figure 1 in small: end-to-end L1 leaves a representation in clumps by digit, RnC one ordered by angle.
Source of the images: scikit-learn's digits (Alpaydin and Kaynak 1998, UCI optical recognition of handwritten digits).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from isotone.api import Run, fit, load, resume
from isotone.randomness import numpy_generator, uniform

LARGEST_ANGLE = 60.0  # degrees, to either side
SIDE = 32  # pixels; the originals are 8 x 8
GRID = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # learning rates tried by `--tune`, the same number for every method
TUNED = {"baseline": 0.1, "rnc": 0.5}  # the medians of what was picked by `isotone demo --tune`: see docs/results.md
SETTINGS: dict[str, Any] = {"passes": 40, "batch_size": 128, "augment": ["light", "noise"]}
METHODS = ("baseline", "rnc")


@dataclass(frozen=True)
class Digits:
    """The demo's data.

    Args:
        images: (n, 32, 32, 1).
        angle: (n,) degrees, counter-clockwise.
        digit: (n,) text, the nuisance.
        split: (n,) train, val or test.
    """

    images: UInt8[np.ndarray, "n h w 1"]
    angle: Float[np.ndarray, " n"]
    digit: Shaped[np.ndarray, " n"]
    split: Shaped[np.ndarray, " n"]


def turned_digits(seed: int = 0) -> Digits:
    """Return the 1,797 digits, each turned by an angle of its own, and a split of 60, 15 and 25 %.

    Args:
        seed: of the angles and the split.

    Example:
        >>> turned_digits().images.shape
        (1797, 32, 32, 1)
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    small, digits = _digits(load_digits(return_X_y=True))
    n = len(digits)
    angle = LARGEST_ANGLE * (2 * uniform(np.arange(n), 1, "demo", "angle", seed)[:, 0] - 1)
    images = np.zeros((n, SIDE, SIDE, 1), np.uint8)
    for i, digit in enumerate(small):
        large = Image.fromarray(digit).resize((20, 20), Image.Resampling.BICUBIC)
        canvas = Image.new("L", (SIDE, SIDE))
        canvas.paste(large, (6, 6))  # the corners of a turned square stay inside
        images[i, :, :, 0] = np.asarray(canvas.rotate(angle[i], Image.Resampling.BICUBIC))
    split = np.full(n, "train", dtype="<U5")
    order = numpy_generator("demo", "split", seed).permutation(n)
    split[order[: n // 4]] = "test"
    split[order[n // 4 : n // 4 + n * 15 // 100]] = "val"
    return Digits(images, angle, np.array([f"digit {d}" for d in digits]), split)


def train_demo(out: Path, *, seed: int = 0, quiet: bool = False, lr: dict[str, float] | None = None) -> dict[str, Run]:
    """Train baseline and RnC on the same split with the same number of encoder passes; write the joint report.

    Args:
        out: folder; holds a run for each method.
        seed: of data, split and training.
        quiet: no progress.
        lr: learning rate of each method; None takes the tuned ones.

    Returns:
        The runs by method.
    """
    rates = lr or TUNED
    command = f"isotone demo --seed {seed} --out {out}"
    runs = {m: _train(out / m, m, seed, rates[m], quiet, command) for m in METHODS}
    runs["rnc"].report(against=runs["baseline"])
    return runs


def tune(out: Path, *, seeds: int, quiet: bool = True) -> list[dict[str, Any]]:
    """Try the same number of learning rates for both methods; the validation error picks, the test error is reported.

    Args:
        out: folder; finished cells are not trained again.
        seeds: number of seeds.
        quiet: no progress.

    Returns:
        One row for each seed and method: rate picked, validation and test MAE (degrees), order (Spearman).
    """
    cells = {(s, m, lr): _cell(out, s, m, lr, quiet) for s in range(seeds) for lr in GRID for m in METHODS}
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        for method in METHODS:
            tried = {lr: cells[seed, method, lr] for lr in GRID}
            best = min(GRID, key=lambda lr: tried[lr]["val"])
            rows.append({"seed": seed, "method": method, "lr": best, **tried[best]})
    return rows


def errors(metrics: dict[str, Any], split: str) -> dict[str, float]:
    """Return the MAE of each of a run's own models, by role: `model`, and `refit` where there is one."""
    return {r["role"]: r["mae"]["value"] for r in metrics["rows"] if r["split"] == split and r["role"] != "constant"}


# ----------------------------------------------------------------------------------------------------------------------


def _train(folder: Path, method: str, seed: int, lr: float, quiet: bool, command: str) -> Run:
    """Train one run, go on with it where it was stopped, or load it where it is done."""
    d = turned_digits(seed)
    if (folder / "metrics.json").exists():
        return load(folder)
    if (folder / "run.json").exists():
        return resume(folder, (d.images, d.angle), groups=d.digit, split=d.split, quiet=quiet)
    return fit(
        (d.images, d.angle),
        method=method,
        out=folder,
        groups=d.digit,
        split=d.split,
        quiet=quiet,
        command=command,
        seed=seed,
        lr=lr,
        target=["angle"],
        **SETTINGS,
    )


def _cell(out: Path, seed: int, method: str, lr: float, quiet: bool) -> dict[str, float]:
    command = f"isotone demo --tune --out {out}"
    metrics = _train(out / f"{method}-lr{lr:g}-seed{seed}", method, seed, lr, quiet, command).metrics
    val, test = errors(metrics, "val"), errors(metrics, "test")
    best = min(val, key=lambda role: val[role])  # the end-to-end head, or the one fitted again: validation says
    return {"val": val[best], "test": test[best], "end_to_end": test["model"], "order": metrics["order"]["spearman"]}


def _digits(found: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits as (n, 8, 8) uint8 and their names; its grey goes from 0 to 16."""
    x, digit = found
    return (x.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), digit
