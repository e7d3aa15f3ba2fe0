"""The SVM probe of the VOC07 protocol: a linear SVM for each class against the rest, scored by mean average precision.

Several labels a row are allowed, as in Pascal VOC. The features are brought to length 1, the cost of each class is
picked by cross-validation on training and validation rows together, and the test rows are scored once.

Source: Goyal et al. 2019, arXiv 1905.01235, section 4 and appendix; settings of `facebookresearch/vissl`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Shaped

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.probe import ProbeData, ProbeResult, classes, without_fit_warnings

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
LONELY_COST = 1.0  # where a class has too few rows to choose by cross-validation
MAX_ITER = 2000


def svm(
    data: ProbeData,
    *,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> ProbeResult:
    """Score how well a linear SVM for each class tells its rows from all others.

    Formula: for each class, y = 1 or -1: w, b = argmin (|w|² + b²) / 2 + cost * sum v_y max(0, 1 - y (x·w + b))², with
    v = 2 for rows of the class and 1 for others, x = h / (|h| + 1e-5). Score: the mean over the classes of
    `average_precision`.

    Args:
        data: features, and classes (n,) or several labels (n, c) of 0 and 1. Training and validation rows are one set.
            In the test NaN means that the row does not count for this label.
        costs: > 0; the best of each class by the mean average precision over the folds, the smallest of equals.
        folds: >= 2, stratified by class, in the order of the rows; fewer where a class has fewer rows.
        seed: of the solver's order of the rows.
        names: of several labels; None numbers them from 0.

    Returns:
        Mean average precision over the classes that the test rows hold, and each class's own (NaN for the others).
        Settings: `folds`, and the smallest and largest cost that was picked. Notes name what is degenerate: a class
        with no training row (its decision is constant, so its average precision is its share of the test rows), one
        with too few rows to choose a cost (it gets 1), fits that did not converge in 2,000 steps.

    Raises:
        ShapeError: answers that are neither classes nor a 0/1 matrix, a single class among the training rows, no
            label on any test row, other than one name for each label.
        ConfigError: no cost or one that is not above 0; folds < 2.

    Example:
        >>> h = np.array([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]])
        >>> y = np.array(["cat", "cat", "dog", "dog"])
        >>> svm(ProbeData(h, y, h, y, h, y), costs=(1.0,)).per_class
        {'cat': 1.0, 'dog': 1.0}

    Source: as at the top of this file.
    """
    _check_settings(costs, folds)
    found, fitted, test = _labels(data)
    named = found.tolist() if names is None else [*names]
    if len(named) != len(found):
        raise ShapeError(f"The SVM probe got {len(named)} names for {len(found)} labels. Name each once.")
    x, new = (_length_one(h) for h in (np.concatenate([data.train_h, data.val_h]), data.test_h))
    fits = [_one(x, fitted[:, i], new, sorted(costs), folds, seed) for i in range(len(named))]
    scores = np.stack([fit[0] for fit in fits], axis=1)  # (t, c)
    counts = ~np.isnan(test)
    precision = [average_precision(test[counts[:, i], i] == 1, scores[counts[:, i], i]) for i in range(len(named))]
    per_class = {str(name): value for name, value in zip(named, precision, strict=True)}
    picked = [fit[1] for fit in fits if fit[1] is not None]
    settings = {"model": "linear SVM", "folds": folds, "lowest_cost": min(picked), "highest_cost": max(picked)}
    notes = tuple(
        note for name, fit in zip(named, fits, strict=True) for note in (f"class {name}: {n}" for n in fit[2])
    )
    mean = float(np.nanmean(precision))
    return ProbeResult("svm", mean, "mean average precision", True, settings, scores, {}, per_class, notes)


def average_precision(positive: Bool[np.ndarray, " n"], score: Float[np.ndarray, " n"]) -> float:
    """Return the area under the precision envelope of one class.

    Formula: sum over thresholds i, from the highest score down, of (recall_i - recall_{i-1}) * max_{j >= i}
    precision_j. Rows of equal score pass a threshold together. (Pascal VOC since 2010; not the 11-point mean.)

    Args:
        positive: (n,) whether the row is of the class.
        score: (n,) finite, larger = more likely.

    Returns:
        From 0 to 1; NaN without a positive row. Equal scores everywhere give the share of positive rows.

    Example:
        >>> average_precision(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]))  # 1/2 * 1 + 1/2 * 2/3
        0.8333333333333333

    Source: Everingham et al. 2015, doi:10.1007/s11263-014-0733-5.
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last = np.append(score[order][1:] != score[order][:-1], True)  # the last row of each threshold
    hits, passed = np.cumsum(positive[order])[last], np.flatnonzero(last) + 1
    envelope = np.maximum.accumulate((hits / passed)[::-1])[::-1]
    return float(np.sum(np.diff(hits / hits[-1], prepend=0.0) * envelope))


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(costs: Sequence[float], folds: int) -> None:
    if not len(costs) or not all(0 < cost < float("inf") for cost in costs):
        raise ConfigError(f"The SVM probe expects finite costs above 0, but got {tuple(costs)}.")
    if folds < 2:
        raise ConfigError(f"The SVM probe expects at least 2 folds, but got {folds}.")


def _labels(data: ProbeData) -> tuple[Shaped[np.ndarray, " c"], Bool[np.ndarray, "m c"], Float[np.ndarray, "t c"]]:
    """Return the classes' names, and who is of which class: training with validation rows, and test rows."""
    if data.train_y.ndim == 1:
        found = classes(data, "SVM")
        member = np.eye(len(found.names), dtype=bool)
        return found.names, member[np.concatenate([found.train, found.val])], member[found.test].astype(np.float64)
    fitted, test = np.concatenate([data.train_y, data.val_y]), data.test_y
    for y, may_lack in ((fitted, False), (test, True)):
        binary = y.dtype.kind in "iufb" and bool((np.isin(y, (0, 1)) | (may_lack & (y != y))).all())  # NaN != NaN
        if not binary:
            raise ShapeError(
                f"The SVM probe expects several labels as a matrix (n, c) of 0 and 1, but got {y.dtype} with other "
                "values. For one class a row pass integers or texts (n,)."
            )
    varies = fitted.any(axis=0) & ~fitted.astype(bool).all(axis=0)
    if not varies.any() or not (test == 1).any():
        raise ShapeError(
            "The SVM probe needs a label that some training rows have and others have not, and one on a test row, but "
            f"{int(varies.sum())} of {fitted.shape[1]} labels vary and {int((test == 1).sum())} are set in test."
        )
    return np.arange(fitted.shape[1]), fitted.astype(bool), test.astype(np.float64)


def _length_one(h: np.ndarray) -> Float[np.ndarray, "n d"]:
    x = h.astype(np.float64)
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-5)


def _one(
    x: np.ndarray, positive: np.ndarray, new: np.ndarray, costs: list[float], folds: int, seed: int
) -> tuple[Float[np.ndarray, " t"], float | None, tuple[str, ...]]:
    """Return one class's decision for the new rows, the cost that was picked, and notes."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    few = int(min(positive.sum(), len(positive) - positive.sum()))
    if few == 0:
        return np.zeros(len(new)), None, (f"{'all' if positive.any() else 'no'} training rows have it: not fitted",)
    y, notes = np.where(positive, 1, -1), ()
    with without_fit_warnings():
        if len(costs) == 1:
            cost = costs[0]
        elif few < 2:
            cost, notes = LONELY_COST, (f"one row on a side, so the cost is {LONELY_COST:g} without a choice",)
        else:
            cut = StratifiedKFold(min(folds, few))
            rate = [cross_val_score(_svm(c, seed), x, y, cv=cut, scoring="average_precision").mean() for c in costs]
            cost = costs[int(np.argmax(rate))]
        model = _svm(cost, seed).fit(x, y)
    if model.n_iter_ >= MAX_ITER:
        notes += (f"not converged after {MAX_ITER} steps at cost {cost:g}",)
    return model.decision_function(new), cost, notes


def _svm(cost: float, seed: int) -> "LinearSVC":
    from sklearn.svm import LinearSVC

    # the primal where there are more rows than features: the protocol's dual has the same optimum, but at high costs it
    # stops at 2,000 steps without it (10,000 rows, cost 20: 1,341 steps in the dual, 14 in the primal)
    weight = {1: 2.0, -1: 1.0}
    return LinearSVC(C=cost, dual="auto", class_weight=weight, max_iter=MAX_ITER, tol=1e-4, random_state=seed)
