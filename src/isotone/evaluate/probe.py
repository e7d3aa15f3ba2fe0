"""What a probe is given and what it returns: frozen features with their answers, and one result.

A probe is a simple predictor fitted on features of an encoder that it cannot change: it gets arrays and no network. Its
test score says how much of the answer can be read from the representation.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from warnings import catch_warnings, filterwarnings, simplefilter

import numpy as np
from jaxtyping import Float, Int, Shaped

from isotone.errors import ShapeError
from isotone.predict.linear import NEAR_CONSTANT, RARE


@dataclass(frozen=True, eq=False)
class ProbeData:
    """Frozen features of the three sides of a split, with one answer a row.

    Args:
        train_h: (n, d) finite, n >= 1, d >= 1.
        train_y: numbers (n,) in the user's units; or classes (n,), integers or texts; or several labels (n, c) of 0/1.
        val_h: (v, d) finite; v may be 0 for a probe that chooses nothing.
        val_y: (v,) or (v, c), as `train_y`.
        test_h: (t, d) finite, t >= 1.
        test_y: (t,) or (t, c), as `train_y`.

    Raises:
        ShapeError: shapes that do not fit, no training or test row, a feature that is not finite.

    Example:
        >>> h, y = np.eye(4), np.array([1.0, 2.0, 3.0, 4.0])
        >>> ProbeData(h, y, h[:1], y[:1], h[:2], y[:2]).test_y.tolist()
        [1.0, 2.0]
    """

    train_h: Float[np.ndarray, "n d"]
    train_y: Shaped[np.ndarray, "n *c"]
    val_h: Float[np.ndarray, "v d"]
    val_y: Shaped[np.ndarray, "v *c"]
    test_h: Float[np.ndarray, "t d"]
    test_y: Shaped[np.ndarray, "t *c"]

    def __post_init__(self) -> None:
        features = {"train": self.train_h, "val": self.val_h, "test": self.test_h}
        answers = (self.train_y, self.val_y, self.test_y)
        got = ", ".join(f"{x.shape} with {y.shape}" for x, y in zip(features.values(), answers, strict=True))
        widths = {x.shape[1:] for x in features.values()}
        fits = len(widths) == 1 and len(self.train_h.shape) == 2 and self.train_h.shape[1] > 0
        fits = fits and all(len(x) == len(y) for x, y in zip(features.values(), answers, strict=True))
        same = len({y.shape[1:] for y in answers}) == 1 and self.train_y.ndim in (1, 2)
        if not (fits and same and len(self.train_h) and len(self.test_h)):
            raise ShapeError(
                "A probe expects features (n, d) of one width d for train, val and test, with answers (n,) or (n, c) "
                f"for each row, and rows in train and test, but got {got}."
            )
        for side, x in features.items():
            _finite(x, "features", side, "Look for a diverged encoder, or leave these rows out.")


@dataclass(frozen=True)
class ProbeResult:
    """What a probe scored on the test rows.

    Args:
        name: of the probe.
        score: on the test rows.
        score_name: `mae` (user's units), `accuracy` or `mean average precision`.
        higher_is_better: whether a larger score is a better one.
        settings: all that the score depends on, chosen or given: penalty, k, temperature, cost ...
        prediction: for each test row: the number (t,), the class (t,), or a score for each label (t, c).
        others: further scores by name; NaN where undefined.
        per_class: by class: its recall, or its average precision; NaN where undefined; empty for numbers.
        notes: plain sentences on what limits the score.

    Example:
        >>> ProbeResult("knn", 2.5, "mae", False, {"k": 5}, np.array([1.0]))
        ProbeResult(name='knn', score=2.5, score_name='mae', higher_is_better=False, settings={'k': 5})
    """

    name: str
    score: float
    score_name: str
    higher_is_better: bool
    settings: Mapping[str, int | float | str]
    prediction: Shaped[np.ndarray, "t *c"] = field(repr=False, compare=False)
    others: Mapping[str, float] = field(default_factory=dict[str, float], repr=False)
    per_class: Mapping[str, float] = field(default_factory=dict[str, float], repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Real answers of the three sides, float64: `train` (n,), `val` (v,), `test` (t,), in the user's units."""

    train: Float[np.ndarray, " n"]
    val: Float[np.ndarray, " v"]
    test: Float[np.ndarray, " t"]


@dataclass(frozen=True, eq=False)
class Classes:
    """Classes of the three sides as codes 0 .. c-1: `names` (c,) sorted, `train` (n,), `val` (v,), `test` (t,)."""

    names: Shaped[np.ndarray, " c"]
    train: Int[np.ndarray, " n"]
    val: Int[np.ndarray, " v"]
    test: Int[np.ndarray, " t"]


def numbers(data: ProbeData, owner: str) -> Numbers:
    """Return the answers as numbers.

    Args:
        data: features and answers.
        owner: name of the probe, for the message.

    Raises:
        ShapeError: the answers are not (n,), no real numbers, or not finite.

    Example:
        >>> h, y = np.eye(2), np.array([3, 4])
        >>> numbers(ProbeData(h, y, h, y, h, y), "ridge").test.tolist()
        [3.0, 4.0]
    """
    sides = {"train": data.train_y, "val": data.val_y, "test": data.test_y}
    for side, y in sides.items():
        if y.ndim != 1 or y.dtype.kind not in "iuf":
            raise ShapeError(
                f"The {owner} probe expects one real number a row, but the {side} answers are {y.shape} {y.dtype}. "
                "Probe one target at a time: y[:, 0]; for classes use a probe of classes."
            )
        _finite(y, "answers", side, "Leave these rows out.")
    return Numbers(*(y.astype(np.float64) for y in sides.values()))


def classes(data: ProbeData, owner: str) -> Classes:
    """Return the answers as class codes.

    Args:
        data: features and answers.
        owner: name of the probe, for the message.

    Raises:
        ShapeError: the answers are not (n,), are floats, or the training rows hold a single class.

    Example:
        >>> h, y = np.eye(2), np.array(["b", "a"])
        >>> found = classes(ProbeData(h, y, h, y, h, y), "knn")
        >>> found.names.tolist(), found.train.tolist()
        (['a', 'b'], [1, 0])
    """
    sides = {"train": data.train_y, "val": data.val_y, "test": data.test_y}
    for side, y in sides.items():
        if y.ndim != 1 or y.dtype.kind not in "iubUSO":
            raise ShapeError(
                f"The {owner} probe expects one class a row, integers or texts, but the {side} answers are {y.shape} "
                f"{y.dtype}. For real targets use a probe of numbers; for whole floats pass y.astype(int)."
            )
    every = np.concatenate([y.astype(str) if y.dtype.kind == "O" else y for y in sides.values()])
    names, codes = np.unique(every, return_inverse=True)
    train, val, test = np.split(codes, np.cumsum([len(y) for y in sides.values()])[:2])
    if len(set(train.tolist())) < 2:
        raise ShapeError(
            f"The {owner} probe needs at least 2 classes among the training rows, but all {len(train)} are of class "
            f"{str(names[train[0]])!r}. Look at the split, or probe another column."
        )
    return Classes(names, train, val, test)


def standardised(
    data: ProbeData, dtype: type[np.floating] = np.float64
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "v d"], Float[np.ndarray, "t d"]]:
    """Return the features of train, val and test, float64 or `dtype`, standardised by the training rows alone.

    Formula: (h - mean) / sqrt(std² + (0.05 * typical std)²); 0 for a feature that is constant up to float32's rounding.
    The second term keeps a unit that slept in training and wakes on a test row from deciding alone, as in the run's
    own linear head.

    Example:
        >>> h, y = np.array([[0.0, 7.0], [2.0, 7.0]]), np.array([0.0, 1.0])
        >>> standardised(ProbeData(h, y, h, y, h, y))[0].round(2).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    mean, std = data.train_h.mean(axis=0, dtype=np.float64), data.train_h.std(axis=0, dtype=np.float64)
    dead = (std <= NEAR_CONSTANT * np.abs(mean)) | (std <= NEAR_CONSTANT * std.max())
    steady = np.hypot(std, RARE * np.sqrt(np.mean(std**2)))
    scale = np.where(dead, 0.0, 1 / np.where(dead, 1.0, steady))
    train, val, test = (((h - mean) * scale).astype(dtype) for h in (data.train_h, data.val_h, data.test_h))
    return train, val, test


def number_result(
    name: str,
    target: Float[np.ndarray, " t"],
    prediction: Float[np.ndarray, " t"],
    settings: Mapping[str, int | float | str],
) -> ProbeResult:
    """Return the result of a probe of numbers: score MAE in the user's units; R² among the others.

    Formula: mae = mean |y - p|; r2 = 1 - sum (y - p)² / sum (y - mean y)², NaN for a constant target.
    """
    error, spread = target - prediction, np.sum((target - target.mean()) ** 2)
    r2 = 1 - float(np.sum(error**2) / spread) if target.min() < target.max() else float("nan")
    return ProbeResult(name, float(np.abs(error).mean()), "mae", False, settings, prediction, {"r2": r2})


def class_result(
    name: str,
    found: Classes,
    predicted: Int[np.ndarray, " t"],
    settings: Mapping[str, int | float | str],
    notes: tuple[str, ...] = (),
) -> ProbeResult:
    """Return the result of a probe of classes: score accuracy; balanced accuracy among the others; recall per class.

    Formula: accuracy = share of test rows with the right class; balanced accuracy = mean, over the classes that the
    test rows hold, of the share of their rows that are right. A class without training rows is wrong by necessity:
    its rows count.
    """
    right = (predicted == found.test).astype(np.float64)
    c = len(found.names)
    count, hits = np.bincount(found.test, minlength=c), np.bincount(found.test, weights=right, minlength=c)
    recall = np.where(count > 0, hits / np.maximum(count, 1), np.nan)
    per_class = {str(found.names[i]): float(recall[i]) for i in range(c)}
    others = {"balanced accuracy": float(np.nanmean(recall))}
    prediction = found.names[predicted]
    return ProbeResult(name, float(right.mean()), "accuracy", True, settings, prediction, others, per_class, notes)


def unseen(found: Classes, fitted: Int[np.ndarray, " m"]) -> tuple[str, ...]:
    """Return a note that names the test classes of which no row was fitted; their rows count as wrong.

    Args:
        found: the classes.
        fitted: (m,) codes of the rows that the probe was fitted on.
    """
    absent = np.setdiff1d(found.test, fitted)
    if not len(absent):
        return ()
    named = ", ".join(repr(str(name)) for name in found.names[absent[:5]]) + (", ..." if len(absent) > 5 else "")
    rows = int(np.isin(found.test, absent).sum())
    return (f"{rows} of {len(found.test)} test rows count as wrong: no training row has their class ({named})",)


@contextmanager
def without_fit_warnings() -> Generator[None]:
    """Keep two warnings of scikit-learn off the screen: a probe notes itself what did not converge, and many classes in
    few rows are no regression.
    """
    from sklearn.exceptions import ConvergenceWarning

    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)
        filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        yield


# ----------------------------------------------------------------------------------------------------------------------


def _finite(x: np.ndarray, what: str, side: str, fix: str) -> None:
    bad = np.flatnonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim))))
    if len(bad):
        raise ShapeError(
            f"A probe expects finite {what}, but {len(bad)} of {len(x)} {side} rows hold NaN or infinity, the first "
            f"is row {bad[0]}. {fix}"
        )
