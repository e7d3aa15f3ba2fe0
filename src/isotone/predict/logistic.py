"""Stage 2 for classes: multinomial logistic regression on frozen representations, the penalty picked on validation.

The standard protocol of linear evaluation: features standardised by the training rows, 45 penalties from 1e5 to 1e-6,
each fit from the one before, the best on validation kept. The fit of stage 2 sees the training rows alone, so that the
validation scores of a run stay what they are called; the linear probe of `isotone.evaluate` fits again on both.

Source: Kornblith et al. 2019, arXiv 1805.08974, and Chen et al. 2020 (SimCLR), arXiv 2002.05709, appendix.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotone.errors import ShapeError
from isotone.predict.linear import NEAR_CONSTANT, RARE

PENALTIES = tuple(np.logspace(5, -6, 45).tolist())  # strongest first, so that ties take the simpler fit
ABSENT = -1e4  # the output of a class without training rows: its probability is 0


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A linear layer on raw representations: `out = h @ weight.T + bias`, softmax of it the probabilities.

    Args:
        weight: (c, d) float32; exactly 0 for near-constant features.
        bias: (c,) float32.
        penalty: the one that was picked, in the units of `pick_penalty`.
        penalties: those that were tried, strongest first.
        val_scores: validation accuracy of each.
    """

    weight: Float[Tensor, "c d"]
    bias: Float[Tensor, " c"]
    penalty: float
    penalties: tuple[float, ...]
    val_scores: tuple[float, ...]


def fit_logistic(
    features: Float[Tensor, "n d"],
    category: Int[Tensor, " n"],
    val_features: Float[Tensor, "m d"],
    val_category: Int[Tensor, " m"],
    *,
    classes: int,
    penalties: Sequence[float] = PENALTIES,
    max_iter: int = 1000,
) -> LogisticFit:
    """Fit a linear classifier on frozen representations, with the penalty of the highest validation accuracy.

    Formula: W, b = argmin mean -log softmax(x·W + b)_class + penalty / 2 * |W|², x the standardised features.

    Computes in float64 on the CPU; 2,000 rows of width 512 and 10 classes take 2 seconds for all 45 penalties.

    Args:
        features: (n, d) training representations.
        category: (n,) codes 0 .. c - 1; at least two of them.
        val_features: (m, d) validation representations.
        val_category: (m,) codes; one that no training row has counts as wrong.
        classes: c, the number of outputs. A class without training rows has the weight 0 and probability 0.
        penalties: > 0, strongest first; of equals in accuracy the lower log loss is taken, then the stronger.
        max_iter: of L-BFGS in each fit.

    Returns:
        The layer, the standardisation folded into it.

    Raises:
        ShapeError: shapes do not fit, a feature is not finite, a code is no class, or one class alone is trained on.

    Example:
        >>> h, y = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]), torch.tensor([0, 0, 1, 1])
        >>> fit = fit_logistic(h, y, h, y, classes=2)
        >>> (h @ fit.weight.T + fit.bias).argmax(dim=1).tolist()
        [0, 0, 1, 1]

    Source: as at the top of this file.
    """
    from sklearn.linear_model import LogisticRegression

    _check(features, category, val_features, val_category, classes)
    h, val_h = (x.detach().cpu().double().numpy() for x in (features, val_features))
    y, val_y = (x.detach().cpu().numpy() for x in (category, val_category))
    mean, scale = steady_scale(h)
    x, val_x = (h - mean) * scale, (val_h - mean) * scale
    penalty, scores = pick_penalty(x, y, val_x, val_y, penalties, max_iter)
    with without_convergence_warnings():
        model = LogisticRegression(C=1 / (penalty * len(x)), max_iter=max_iter).fit(x, y)
    slope, constant = model.coef_, model.intercept_
    if len(slope) == 1:  # of two classes scikit-learn gives the difference of their outputs
        slope, constant = np.concatenate([-slope, slope]) / 2, np.concatenate([-constant, constant]) / 2
    weight, bias = np.zeros((classes, h.shape[1])), np.full(classes, ABSENT)
    weight[model.classes_] = slope * scale
    bias[model.classes_] = constant - (slope * scale) @ mean
    layer = torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
    return LogisticFit(*layer, penalty, tuple(penalties), tuple(accuracy for accuracy, _ in scores))


def pick_penalty(
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    val_x: Float[np.ndarray, "v d"],
    val_y: Int[np.ndarray, " v"],
    penalties: Sequence[float],
    max_iter: int,
) -> tuple[float, list[tuple[float, float]]]:
    """Return the penalty with the highest validation accuracy, and what each scored.

    A penalty is a row's share (in scikit-learn's words C = 1 / (penalty * n)), so it means the same for any number of
    rows.

    Args:
        x: (n, d) standardised training features.
        y: (n,) classes.
        val_x: (v, d).
        val_y: (v,).
        penalties: strongest first; each fit starts from the one before.
        max_iter: of L-BFGS in each fit.

    Returns:
        the penalty, of equals in accuracy that with the lower log loss, then the stronger; and for each penalty its
        accuracy and its mean log likelihood on validation.

    Example:
        >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
        >>> pick_penalty(x, y, x, y, [1.0, 0.1], 100)[0]
        0.1
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=max_iter, warm_start=True)
    scores: list[tuple[float, float]] = []
    with without_convergence_warnings():
        for penalty in penalties:
            model.set_params(C=1 / (penalty * len(x))).fit(x, y)
            likely = model.predict_proba(val_x)  # (v, classes of the training rows)
            own = np.where(model.classes_ == val_y[:, None], likely, 0.0).sum(axis=1)  # 0 for a class not trained on
            accuracy = float((model.classes_[likely.argmax(axis=1)] == val_y).mean())
            scores.append((accuracy, float(np.log(np.maximum(own, 1e-300)).mean())))
    return penalties[max(range(len(penalties)), key=lambda i: scores[i])], scores


def steady_scale(h: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Return the mean and the factor by which features are standardised: x = (h - mean) * factor.

    Formula: 1 / sqrt(std² + (0.05 * typical std)²); 0 for a feature that is constant up to float32's rounding. The
    second term keeps a unit that slept in training and wakes on a new row from deciding alone.

    Args:
        h: (n, d) representations of the training rows, float64.

    Example:
        >>> steady_scale(np.array([[0.0, 7.0], [2.0, 7.0]]))[1].round(3).tolist()
        [0.999, 0.0]
    """
    mean, std = h.mean(axis=0), h.std(axis=0)
    dead = (std <= NEAR_CONSTANT * np.abs(mean)) | (std <= NEAR_CONSTANT * std.max())
    steady = np.hypot(std, RARE * np.sqrt(np.mean(std**2)))
    return mean, np.where(dead, 0.0, 1 / np.where(dead, 1.0, steady))


@contextmanager
def without_convergence_warnings() -> Generator[None]:
    """Keep scikit-learn's convergence warnings off the screen: a fit of a sweep that is cut short is a fit too."""
    from sklearn.exceptions import ConvergenceWarning

    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)
        yield


# ----------------------------------------------------------------------------------------------------------------------


def _check(h: Tensor, y: Tensor, val_h: Tensor, val_y: Tensor, classes: int) -> None:
    fits = h.ndim == val_h.ndim == 2 and h.shape[1:] == val_h.shape[1:] and h.numel() > 0 and len(val_h) > 0
    if not fits or y.shape != h.shape[:1] or val_y.shape != val_h.shape[:1]:
        got = ", ".join(str(tuple(x.shape)) for x in (h, y, val_h, val_y))
        raise ShapeError(
            "A logistic fit expects features (n, d), category (n,), val_features (m, d), val_category (m,), none "
            f"empty, but got {got}."
        )
    codes = torch.cat([y, val_y])
    if int(codes.min()) < 0 or int(codes.max()) >= classes:
        raise ShapeError(
            f"A logistic fit expects class codes from 0 to {classes - 1}, but they go from {int(codes.min())} to "
            f"{int(codes.max())}. Leave out the rows without a label."
        )
    if int(y.min()) == int(y.max()):
        raise ShapeError(
            f"A logistic fit needs rows of at least 2 classes, but all {len(y)} training rows are of class {int(y[0])}."
        )
    for name, x in (("features", h), ("val_features", val_h)):
        bad = ~torch.isfinite(x).all(dim=1)
        if bad.any():
            raise ShapeError(
                f"A logistic fit expects finite values, but {int(bad.sum())} rows of `{name}` hold NaN or infinity, "
                f"the first is row {int(bad.nonzero()[0])}. Look for a diverged encoder."
            )
