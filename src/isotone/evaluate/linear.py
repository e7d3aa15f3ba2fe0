"""The linear probe: ridge regression for numbers, logistic regression for classes, the penalty picked on validation.

The standard protocol: features standardised by the training rows, 45 penalties from 1e-6 to 1e5, the best picked on
validation, then fitted again on training and validation rows together, and scored on the test rows once.

Source: Kornblith et al. 2019, arXiv 1805.08974, and Chen et al. 2020 (SimCLR), arXiv 2002.05709, appendix.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.probe import (
    ProbeData,
    ProbeResult,
    class_result,
    classes,
    number_result,
    numbers,
    standardised,
    unseen,
    without_fit_warnings,
)
from isotone.predict.logistic import PENALTIES, pick_penalty

# RnC's correction lies in directions 100 to 10,000 times smaller than the first: see predict/linear.py
RIDGE_PENALTIES = tuple(np.logspace(5, -9, 57).tolist())


def ridge(data: ProbeData, *, penalties: Sequence[float] = RIDGE_PENALTIES) -> ProbeResult:
    """Score how well a linear function of the features predicts a number.

    Formula: w, b = argmin mean (y - x·w - b)² + penalty * |w|², x the standardised features. The penalty is a row's
    share (scikit-learn's alpha / n), so it means the same when validation rows join. Solved exactly, in float64.

    Args:
        data: features and real answers (n,).
        penalties: > 0; the one with the lowest validation MAE is taken, the strongest of equals. The default is the
            standard sweep, continued to 1e-9.

    Returns:
        MAE in the user's units, with R² among the others; settings: `penalty`, how many were `tried`, `fitted_on`.
        Constant features give the mean of the fitted answers.

    Raises:
        ShapeError: answers that are not finite numbers (n,); no validation rows to choose among several penalties.
        ConfigError: no penalty, or one that is not above 0.

    Example:
        >>> h = np.arange(12.0)[:, None]
        >>> y = 3 * h[:, 0] + 1
        >>> result = ridge(ProbeData(h[:6], y[:6], h[6:9], y[6:9], h[9:], y[9:]))
        >>> round(result.score, 6), result.settings["fitted_on"]
        (0.0, 'train + val')

    Source: Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; the protocol as at the top of this file.
    """
    sweep = _sweep(penalties, len(data.val_h))
    y = numbers(data, "ridge")
    train, val, test = standardised(data)
    errors = np.abs(_ridge(train, y.train, val, sweep) - y.val[:, None]).mean(axis=0) if len(sweep) > 1 else [0.0]
    penalty = sweep[int(np.argmin(errors))]
    both, answers = np.concatenate([train, val]), np.concatenate([y.train, y.val])
    prediction = _ridge(both, answers, test, [penalty])[:, 0]
    settings = {"model": "ridge", "penalty": penalty, "tried": len(sweep), "fitted_on": _fitted_on(data)}
    return number_result("linear", y.test, prediction, settings)


def logistic(
    data: ProbeData,
    *,
    penalties: Sequence[float] = PENALTIES,
    max_iter: int = 1000,
    dtype: type[np.floating] = np.float64,
) -> ProbeResult:
    """Score how well a linear classifier tells the classes from the features.

    Formula: W, b = argmin mean -log softmax(x·W + b)_class + penalty / 2 * |W|², x the standardised features; in
    scikit-learn's words C = 1 / (penalty * n). The penalty is a row's share, so it means the same when validation rows
    join.

    Args:
        data: features and classes (n,).
        penalties: > 0; the one with the highest validation accuracy is taken, the lower log loss among equals. Each
            fit of the sweep starts from the one before, strongest first; the last one starts anew.
        max_iter: of L-BFGS in each fit. A note says if the last fit did not converge.
        dtype: that the fit computes in; np.float32 for thousands of features takes half the memory.

    Returns:
        Accuracy, with balanced accuracy among the others and recall per class; settings: `penalty`, `C` of the last
        fit, how many were `tried`, `fitted_on`. Constant features give the commonest class.

    Raises:
        ShapeError: answers that are not classes (n,), a single class among the training rows, no validation rows to
            choose among several penalties.
        ConfigError: no penalty, or one that is not above 0.

    Example:
        >>> h = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> y = np.array(["cat", "cat", "dog", "dog"])
        >>> logistic(ProbeData(h, y, h, y, h, y)).score
        1.0

    Source: as at the top of this file.
    """
    from sklearn.linear_model import LogisticRegression

    sweep = _sweep(penalties, len(data.val_h))
    y = classes(data, "logistic")
    train, val, test = standardised(data, dtype)
    both, answers = np.concatenate([train, val]), np.concatenate([y.train, y.val])
    with without_fit_warnings():
        penalty = sweep[0] if len(sweep) == 1 else pick_penalty(train, y.train, val, y.val, sweep, max_iter)[0]
        strength = 1 / (penalty * len(both))
        model = LogisticRegression(C=strength, max_iter=max_iter).fit(both, answers)
    notes = unseen(y, answers)
    if int(np.max(model.n_iter_)) >= max_iter:
        notes += (f"the last fit had not converged after {max_iter} steps of L-BFGS: raise max_iter",)
    settings = {"model": "logistic", "penalty": penalty, "C": strength}
    settings |= {"tried": len(sweep), "fitted_on": _fitted_on(data)}
    return class_result("linear", y, model.predict(test), settings, notes)


# ----------------------------------------------------------------------------------------------------------------------


def _sweep(penalties: Sequence[float], val_rows: int) -> list[float]:
    """Return the penalties, strongest first."""
    if not len(penalties) or not all(0 < penalty < float("inf") for penalty in penalties):
        raise ConfigError(f"A linear probe expects finite penalties above 0, but got {tuple(penalties)}.")
    if len(penalties) > 1 and not val_rows:
        raise ShapeError(
            "A linear probe chooses its penalty on the validation rows, and there are none. Give some, or one penalty."
        )
    return sorted((float(penalty) for penalty in penalties), reverse=True)


def _fitted_on(data: ProbeData) -> str:
    return "train + val" if len(data.val_h) else "train"


def _ridge(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"], new: Float[np.ndarray, "m d"], penalties: list[float]
) -> Float[np.ndarray, "m p"]:
    """Return the predictions of the new rows for every penalty, from one decomposition."""
    mean, centre = x.mean(axis=0), y.mean()
    x = x - mean
    variance, axes = _principal(x)
    moment = axes.T @ (x.T @ (y - centre)) / len(x)  # (r,); ridge = moment / (variance + penalty)
    weights = moment[:, None] / (variance[:, None] + np.array(penalties))  # (r, p)
    return (new - mean) @ axes @ weights + centre


def _principal(x: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "d r"]]:
    """Return the variances and axes of centred rows, from the smaller of the two Gram matrices."""
    n, d = x.shape
    variance, vectors = np.linalg.eigh((x.T @ x if d <= n else x @ x.T) / n)
    keep = variance > 1e-13 * variance.max()  # below: rounding of the Gram matrix
    variance, vectors = variance[keep], vectors[:, keep]
    return variance, vectors if d <= n else x.T @ vectors / np.sqrt(n * variance)
