"""What a finished run holds, as plain records: `collect` fills them, the rest of the report only reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8


@dataclass(frozen=True)
class Interval:
    """A score with the bounds of its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How one predictor does on one target: a row of `metrics.json`; `role` is model, refit or constant."""

    model: str
    role: str
    target: str
    split: str
    n: int
    mae: Interval
    rmse: Interval
    r2: Interval
    pearson: Interval
    spearman: Interval


@dataclass(frozen=True)
class Order:
    """How far distances in the representation follow distances of the targets, on `n` rows of `split`."""

    spearman: float
    kendall: float
    ordered_triples: float
    n: int
    split: str


@dataclass(frozen=True)
class Bin:
    """Mean absolute error where the target lies in [low, high), with the rows tested and the rows trained on."""

    low: float
    high: float
    n_train: int
    n: int
    mae: float


@dataclass(frozen=True)
class Group:
    """Mean absolute error on the `n` test rows of one group."""

    name: str
    n: int
    mae: float


@dataclass(frozen=True)
class Epoch:
    """One line of the training log; a score or rate that was not logged is NaN."""

    epoch: int
    loss: float
    score: float
    lr: float


@dataclass(frozen=True)
class Points:
    """The rows of `features.npz`.

    Args:
        index: (n,) index of the row in the data set.
        label: (n,) what the row is called.
        split: (n,) train, val or test.
        group: (n,) or None where the run has no groups.
        target: (n, k) in the user's units.
        prediction: (n, k) in the user's units.
        h: (n, d) representation.
        thumb: (n, h, w, c) pixels, or None where the rows are not images.
    """

    index: Shaped[np.ndarray, " n"]
    label: tuple[str, ...]
    split: tuple[str, ...]
    group: tuple[str, ...] | None
    target: Float[np.ndarray, "n k"]
    prediction: Float[np.ndarray, "n k"]
    h: Float[np.ndarray, "n d"]
    thumb: UInt8[np.ndarray, "n h w c"] | None


@dataclass(frozen=True)
class Views:
    """Augmented training images: `image` (r, v, h, w, c), with the label (r,) and the target (r, k) they keep."""

    image: UInt8[np.ndarray, "r v h w c"]
    label: tuple[str, ...]
    target: Float[np.ndarray, "r k"]


@dataclass(frozen=True)
class Data:
    """What `data.json` says of the table: counts by split, statistics by target, warnings, and what its groups leak."""

    name: str
    kind: str
    rows: int
    target_names: tuple[str, ...]
    group_name: str | None
    counts: dict[str, int]
    groups: dict[str, int] | None
    shared_groups: int | None
    statistics: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    bad_rows: int
    fingerprint: str


@dataclass(frozen=True)
class Run:
    """Everything that the report shows of one run."""

    folder: Path
    method: str
    command: str
    seed: str
    started: str
    seconds: float
    versions: dict[str, str]
    commit: str | None
    config: dict[str, str]
    data: Data
    log: tuple[Epoch, ...]
    scores: tuple[Score, ...]
    order: Order | None
    bins: tuple[Bin, ...]
    groups: tuple[Group, ...]
    points: Points
    views: Views | None


@dataclass(frozen=True)
class Side:
    """A run as the page shows it: its name there, and its colour: `run`, or `against` for the one compared with."""

    run: Run
    name: str
    colour: str
