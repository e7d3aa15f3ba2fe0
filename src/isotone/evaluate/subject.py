"""What the probes of a run look at: its encoder, the rows of a data set with their answers, features computed once."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from accelerate import Accelerator
from jaxtyping import Float, Int, Shaped
from torch import nn

from isotone.data.views import Views
from isotone.evaluate.class_metrics import class_metrics
from isotone.evaluate.metrics import Interval, regression_metrics
from isotone.evaluate.probe import ProbeData, ProbeResult
from isotone.randomness import numpy_generator
from isotone.records import Dataset
from isotone.train.forward import forward

CHUNK = 256  # rows that go through the encoder at a time


@dataclass(frozen=True, eq=False)
class FrozenRows:
    """The representations of all rows of a data set, computed once, with what the probes need to know of the rows.

    Args:
        h: (n, d).
        target: (n, k) in the user's units, NaN where a row has none; k may be 0.
        target_names: k names.
        split: (n,) text: train, val or test.
        group: (n,) text, or None.
        category: (n,) index into `classes`, -1 where a row has none; or None where no classes are told apart.
        classes: their names.
        category_name: of the column that they come from.
    """

    h: Float[np.ndarray, "n d"]
    target: Float[np.ndarray, "n k"]
    target_names: tuple[str, ...]
    split: Shaped[np.ndarray, " n"]
    group: Shaped[np.ndarray, " n"] | None = None
    category: Int[np.ndarray, " n"] | None = None
    classes: tuple[str, ...] = ()
    category_name: str | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """One column of answers, and the rows of each side of the split that have one.

    Args:
        name: of the column.
        y: (n,) numbers in the user's units, or the names of classes; or several labels (n, c) of 0 and 1.
        train: rows of the training side, ascending.
        val: of the validation side.
        test: of the test side.
        group: (n,) text, or None; groups are drawn whole for the intervals.
    """

    name: str
    y: Shaped[np.ndarray, "n *c"]
    train: Int[np.ndarray, " a"]
    val: Int[np.ndarray, " b"]
    test: Int[np.ndarray, " c"]
    group: Shaped[np.ndarray, " n"] | None = None

    @property
    def told(self) -> str:
        """Tell what is to be told of a row: `classes` or `numbers`."""
        return "numbers" if self.y.dtype.kind == "f" and self.y.ndim == 1 else "classes"

    @property
    def rows(self) -> Int[np.ndarray, " m"]:
        """All rows with an answer: train, val, test."""
        return np.concatenate([self.train, self.val, self.test])

    def data(self, h: Float[np.ndarray, "m d"]) -> ProbeData:
        """Return features and answers of the three sides.

        Args:
            h: (m, d) features of `rows`, in their order.

        Raises:
            ShapeError: no training or no test row has an answer; features that are not finite.
        """
        cut = np.cumsum([len(self.train), len(self.val)])
        (train, val, test), (a, b, c) = np.split(h, cut), np.split(self.y[self.rows], cut)
        return ProbeData(train, a, val, b, test, c)

    def fewer(self, train: int, val: int, *, seed: int) -> "Answers":
        """Return the answers with at most so many training and validation rows, drawn by the seed."""
        draw = numpy_generator("fewer", seed)
        drawn = (np.sort(draw.permutation(rows)[:most]) for rows, most in ((self.train, train), (self.val, val)))
        return replace(self, train=next(drawn), val=next(drawn))


def answers(found: FrozenRows | Dataset) -> list[Answers]:
    """Return each column of answers: the classes where there are some, else each target; none without labels.

    Args:
        found: a data set, or the frozen features of one.

    Example:
        >>> split = np.array(["train", "test", "val"])
        >>> rows = FrozenRows(np.eye(3), np.array([[1.0], [2.0], [np.nan]]), ("age",), split)
        >>> [(one.name, one.train.tolist(), one.val.tolist()) for one in answers(rows)]
        [('age', [0], [])]
    """
    columns: list[tuple[str, np.ndarray, np.ndarray]] = []
    if found.category is not None:
        names = np.array(found.classes)
        columns.append((found.category_name or "class", names[found.category], found.category >= 0))
    else:
        columns += [(name, y, np.isfinite(y)) for name, y in zip(found.target_names, found.target.T, strict=True)]
    return [Answers(name, y, *_sides(found.split, known), found.group) for name, y, known in columns]


class Subject:
    """A trained encoder and the data that it is probed on; what is asked for twice is computed once.

    Args:
        encoder: (b, ...) to (b, d), in eval mode.
        views: makes its clean views.
        shape: of one view, (c, h, w), (c, t) or (f,).
        read: reads the data set, when it is first needed.
        kept: features of all rows that a run has kept, or None to compute them when they are first needed.
        accelerator: the device that the encoder is on.
        seed: of every draw.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        shape: tuple[int, ...],
        read: Callable[[], Dataset],
        *,
        kept: FrozenRows | None = None,
        accelerator: Accelerator,
        seed: int,
    ) -> None:
        self.encoder, self.views, self.shape = encoder, views, shape
        self.read, self.kept = read, kept
        self.accelerator, self.device, self.seed = accelerator, accelerator.device, seed

    @cached_property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.read()

    @cached_property
    def frozen(self) -> FrozenRows:
        """The features of all rows with their answers."""
        if self.kept is not None:
            return self.kept
        data = self.dataset
        h = self.embed(np.arange(len(data.split)))
        return FrozenRows(
            h, data.target, data.target_names, data.split, data.group, data.category, data.classes, data.category_name
        )

    @property
    def answers(self) -> list[Answers]:
        """The columns of answers."""
        return answers(self.dataset if self.kept is None else self.kept)

    def embed(self, rows: Int[np.ndarray, " n"], net: nn.Module | None = None) -> Float[np.ndarray, "n d"]:
        """Return what the encoder, or another network in its place, gives for the clean views of these rows."""
        net = self.encoder if net is None else net
        return forward(net, self.dataset, rows, self.views, device=self.device, chunk=CHUNK).numpy()


def result_row(answers: Answers, result: ProbeResult, *, seed: int) -> dict[str, Any]:
    """Return a probe's result as one line of `probes.jsonl`, with 95 % intervals.

    Args:
        answers: what was to be told; its test rows are those of the result.
        result: of the probe.
        seed: of the bootstrap of the intervals. Groups are drawn whole where there are groups.

    Returns:
        Plain values, NaN as None: `probe`, `target`, `split`, `n`, `score`, `score_name`, `higher_is_better`,
        `settings`, `notes`; for numbers MAE, RMSE, R² and correlations as in `metrics.json`; for classes `accuracy` and
        `balanced_accuracy` where classes were told, and the score of each class.
    """
    group = None if answers.group is None else answers.group[answers.test]
    truth, told = answers.y[answers.test], result.prediction
    if answers.told == "numbers":
        metrics = regression_metrics(truth, told, group=group, seed=seed)
    elif result.score_name == "accuracy":
        true, predicted = np.split(np.unique(np.concatenate([truth, told]), return_inverse=True)[1], 2)
        metrics = class_metrics(true, predicted, group=group, seed=seed)
    else:
        metrics: dict[str, Interval] = {}
    row = {
        "probe": result.name,
        "target": answers.name,
        "split": "test",
        "n": len(truth),
        "score": plain(result.score),
        "score_name": result.score_name,
        "higher_is_better": result.higher_is_better,
        "settings": dict(result.settings),
        "notes": list(result.notes),
        **{name: {k: plain(getattr(x, k)) for k in ("value", "low", "high")} for name, x in metrics.items()},
    }
    return row | ({"by_class": {k: plain(x) for k, x in result.per_class.items()}} if result.per_class else {})


def plain(value: float) -> float | None:
    """Return a number as JSON holds it: NaN and infinity as None."""
    return float(value) if math.isfinite(value) else None


# ----------------------------------------------------------------------------------------------------------------------


def _sides(split: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of train, val and test that have an answer."""
    train, val, test = (np.flatnonzero(known & (split == side)) for side in ("train", "val", "test"))
    return train, val, test
