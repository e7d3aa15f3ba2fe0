"""The nearest-neighbour probe: no fitting, so it says what the distances of the representation are worth.

Neighbours are exact and ties share their places (`isotone.predict.neighbours`), so that a result depends neither on the
order of the training rows nor on the size of a block, and a collapsed representation scores as the best constant does.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from isotone.check import choice
from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.probe import ProbeData, ProbeResult, class_result, classes, number_result, numbers, unseen
from isotone.predict.neighbours import BLOCK, TIE, Weights, means, minus_square, nearness, product, shares, tried

Metric = Literal["euclidean", "cosine"]


def knn_numbers(
    data: ProbeData,
    *,
    k: int | None = None,
    weights: Weights = "mean",
    metric: Metric = "euclidean",
    block: int = BLOCK,
) -> ProbeResult:
    """Score how well the answers of the nearest training rows predict a number.

    Formula: prediction = sum_j w_j y_j / sum_j w_j over the k nearest training rows j, w_j = 1 (`mean`) or
    1 / distance_j (`distance`; rows at distance 0, where there are any, decide alone).

    Args:
        data: features and real answers (n,).
        k: neighbours >= 1, at most the training rows; None takes the best of 1, 2, 5, 10, 20, 50, 100, 200 by
            validation MAE, the largest of equals.
        weights: `mean` or `distance`.
        metric: `euclidean` on the features as they are, which is what RnC orders; `cosine` on features of length 1 (a
            row of zeros stays one).
        block: pairs compared at once; changes the memory, not the result.

    Returns:
        MAE in the user's units, with R² among the others; settings: `k` as used, `weights`, `metric`.

    Raises:
        ShapeError: answers that are not finite numbers (n,); no validation rows to choose k.
        ConfigError: k < 1, an unknown weight or metric.

    Example:
        >>> h, y = np.array([[0.0], [1.0], [9.0]]), np.array([2.0, 4.0, 60.0])
        >>> knn_numbers(ProbeData(h, y, h, y, np.array([[0.4]]), np.array([3.0])), k=2).prediction.tolist()
        [3.0]

    Source: Cover and Hart 1967, doi:10.1109/TIT.1967.1053964.
    """
    choice("weights", weights, ("mean", "distance"))
    choice("metric", metric, ("euclidean", "cosine"))
    y = numbers(data, "kNN")
    n = len(y.train)
    ks = [_bounded(k, n)] if k is not None else tried(n)
    if len(ks) > 1 and not len(y.val):
        raise ShapeError("The kNN probe chooses k on the validation rows, and there are none. Give some, or k.")
    bank, val, test = (_features(h, data.train_h, metric) for h in (data.train_h, data.val_h, data.test_h))

    def predicted(rows: np.ndarray, ks: list[int]) -> np.ndarray:
        near = nearness(rows, bank, minus_square, block)
        return np.concatenate([means(one, tie, y.train[:, None], ks, weights)[..., 0] for one, tie in near])

    errors = np.abs(predicted(val, ks) - y.val[:, None]).mean(axis=0) if len(ks) > 1 else [0.0]
    best = ks[int(np.argmin(errors))]
    settings: dict[str, int | float | str] = {"k": best, "weights": weights, "metric": metric}
    return number_result("knn", y.test, predicted(test, [best])[:, 0], settings)


def knn_classes(data: ProbeData, *, k: int = 200, temperature: float = 0.07, block: int = BLOCK) -> ProbeResult:
    """Score how well a weighted vote of the nearest training rows tells the class.

    Formula: class = argmax_c sum over the k nearest training rows j of class c of exp(cos(h, h_j) / temperature). Equal
    sums go to the first class in sorted order; the cosine with a row of zeros is 0. Validation rows are not used.

    Args:
        data: features and classes (n,).
        k: neighbours >= 1, at most the training rows.
        temperature: > 0; safe from 1e-300, where the nearest row decides alone, to any size, where the majority does.
            0.07 is the paper's for ImageNet; for CIFAR-10 its code has 0.1.
        block: pairs compared at once; changes the memory, not the result.

    Returns:
        Accuracy, with balanced accuracy among the others and recall per class; settings: `k` as used, `temperature`,
        `metric`. A test class without training rows counts as wrong, and a note says so.

    Raises:
        ShapeError: answers that are not classes (n,); a single class among the training rows.
        ConfigError: k < 1 or temperature not above 0.

    Example:
        >>> h, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([3, 5])
        >>> knn_classes(ProbeData(h, y, h, y, h + 0.1, y)).settings
        {'k': 2, 'temperature': 0.07, 'metric': 'cosine'}

    Source: Wu et al. 2018, arXiv 1805.01978, section 3.4.
    """
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"The kNN probe expects a finite temperature above 0, but got {temperature}.")
    y = classes(data, "kNN")
    used = _bounded(k, len(y.train))
    votes = np.eye(len(y.names))[y.train]  # (n, c)
    bank, test = (_features(h, data.train_h, "cosine") for h in (data.train_h, data.test_h))
    predicted: list[np.ndarray] = []
    for near, tie in nearness(test, bank, product, block):
        weight = next(shares(near, tie, [used])) * np.exp((near - near.max(axis=1, keepdims=True)) / temperature)
        total = weight @ votes
        predicted.append(np.argmax(total >= total.max(axis=1, keepdims=True) * (1 - TIE), axis=1))
    settings = {"k": used, "temperature": temperature, "metric": "cosine"}
    return class_result("knn", y, np.concatenate(predicted), settings, unseen(y, y.train))


# ----------------------------------------------------------------------------------------------------------------------


def _bounded(k: int, rows: int) -> int:
    if k < 1:
        raise ConfigError(f"The kNN probe expects k >= 1 neighbours, but got {k}.")
    return min(k, rows)


def _features(h: np.ndarray, train: np.ndarray, metric: Metric) -> Float[np.ndarray, "n d"]:
    """Return float64 features: of length 1, or centred, since a large mean would cost the distances their digits."""
    x = h.astype(np.float64)
    if metric == "euclidean":
        return x - train.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)
