"""What a finished run holds, as plain records: `collect` fills them, the rest of the report only reads them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

Task = Literal["numbers", "classes", "none"]  # what a run predicts


@dataclass(frozen=True)
class Interval:
    """A score with the bounds of its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How one predictor does on one target: a row of `metrics.json`; `role` is model, refit or constant.

    `angle` is the error in degrees of targets that are gazes, of all columns together; NaN for others.
    """

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
    angle: Interval = Interval(math.nan, math.nan, math.nan)

    @property
    def error(self) -> Interval:
        """The error that decides: the angle of gazes, else the mean absolute error."""
        return self.angle if math.isfinite(self.angle.value) else self.mae


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
class ClassScore:
    """How well one predictor tells the classes apart: a row of `metrics.json`; `role` is model, refit or constant."""

    model: str
    role: str
    split: str
    n: int
    accuracy: Interval
    balanced: Interval


@dataclass(frozen=True)
class ClassRow:
    """One class: the rows trained on, the rows tested, and the share of these that were recognised."""

    name: str
    n_train: int
    n: int
    recall: float


@dataclass(frozen=True)
class ClassGroup:
    """Accuracy on the `n` test rows of one group."""

    name: str
    n: int
    accuracy: float


@dataclass(frozen=True)
class Classes:
    """What a run that tells classes apart was judged by.

    Args:
        question: the column that the classes come from.
        names: c names.
        scores: of every predictor.
        rows: one a class; empty where nothing was tested.
        confusion: (c, c) test rows by true class (row) and predicted class (column), or None.
        groups: accuracy by group; empty where the run has no groups.
    """

    question: str
    names: tuple[str, ...]
    scores: tuple[ClassScore, ...]
    rows: tuple[ClassRow, ...]
    confusion: Int[np.ndarray, "c c"] | None
    groups: tuple[ClassGroup, ...]


@dataclass(frozen=True)
class Coverage:
    """The prediction intervals of one target: how wide on average, and how many of `n` test rows lie in theirs."""

    target: str
    width: float
    n: int
    share: Interval


@dataclass(frozen=True)
class GroupCoverage:
    """The share of the `n` test rows of one group that lie in their interval, and how wide it is on average."""

    name: str
    n: int
    share: float
    width: float


@dataclass(frozen=True)
class Intervals:
    """The prediction intervals of a run, checked on its test rows.

    Args:
        level: share of new rows that they were to hold.
        form: constant or quantile.
        rows: validation rows that they were made of.
        units: groups among these; rows where there are no groups.
        targets: one entry a target.
        groups: of the first target, the least covered first; empty where the run has no groups.
    """

    level: float
    form: str
    rows: int
    units: int
    targets: tuple[Coverage, ...]
    groups: tuple[GroupCoverage, ...]


@dataclass(frozen=True)
class Probe:
    """What a probe read from the frozen representation: a row of `probes.jsonl`.

    `stage` only where it had several; `std` only where it was repeated with other draws.
    """

    name: str
    target: str
    stage: str
    n: int
    score: float
    score_name: str
    interval: Interval
    std: float
    settings: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Epoch:
    """One line of the training log; a score or rate that was not logged is NaN, `watch` is what else was measured."""

    epoch: int
    loss: float
    score: float
    lr: float
    watch: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Points:
    """The rows of `features.npz`.

    Args:
        index: (n,) index of the row in the data set.
        label: (n,) what the row is called.
        split: (n,) train, val or test.
        group: (n,) or None where the run has no groups.
        target: (n, k) in the user's units.
        prediction: (n, p) in the user's units, p = k; of classes their codes, p = 1; p = 0 where nothing is predicted.
        h: (n, d) representation.
        thumb: (n, h, w, c) pixels, or None where the rows are not images.
        category: (n,) codes of the classes, -1 where a row has no label; or None.
        classes: names of the codes.
        confidence: (n,) probability of the predicted class, or None where it was not kept.
    """

    index: Shaped[np.ndarray, " n"]
    label: tuple[str, ...]
    split: tuple[str, ...]
    group: tuple[str, ...] | None
    target: Float[np.ndarray, "n k"]
    prediction: Float[np.ndarray, "n p"]
    h: Float[np.ndarray, "n d"]
    thumb: UInt8[np.ndarray, "n h w c"] | None
    category: Int[np.ndarray, " n"] | None = None
    classes: tuple[str, ...] = ()
    confidence: Float[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class Views:
    """Augmented training images: `image` (r, v, h, w, c), with the label (r,) and the target (r, k) they keep.

    `category` (r,) holds the codes of their classes, None where the run knows none.
    """

    image: UInt8[np.ndarray, "r v h w c"]
    label: tuple[str, ...]
    target: Float[np.ndarray, "r k"]
    category: Int[np.ndarray, " r"] | None = None


@dataclass(frozen=True)
class Data:
    """What `data.json` says of the table: counts by split, statistics by target, warnings, and what its groups leak.

    `labelled` counts the rows that have a label, by split; `classes` those of each class, by split.
    """

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
    labelled: dict[str, int] | None = None
    classes: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])


@dataclass(frozen=True)
class Run:
    """Everything that the report shows of one run; scores and bins where it predicts numbers, `classes` else."""

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
    task: Task = "numbers"
    classes: Classes | None = None
    probes: tuple[Probe, ...] = ()
    intervals: Intervals | None = None


@dataclass(frozen=True)
class Side:
    """A run as the page shows it: its name there, and its colour: `run`, or `against` for the one compared with."""

    run: Run
    name: str
    colour: str
