"""The nearest rows of a bank, exactly: in float64, in blocks, and rows equally far as the k-th share its place.

So a result depends neither on the order of the bank nor on the size of a block, and where all rows are one point, the
answer is the mean of all. The kNN probe, the online signal and the head `knn` stand on it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

KS = (200, 100, 50, 20, 10, 5, 2, 1)  # tried for numbers; the smoothest of equals is taken
BLOCK = 2**20  # pairs compared at once: a matrix of 8 MiB
TIE = 1e-12  # of the squared lengths: what float64's products leave of two equal distances

Weights = Literal["mean", "distance"]


def tried(rows: int) -> list[int]:
    """Return the numbers of neighbours to choose from in a bank of that many rows, the largest first.

    Example:
        >>> tried(12)
        [12, 10, 5, 2, 1]
    """
    return sorted({min(one, rows) for one in KS}, reverse=True)


def product(dot: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return how near rows of length 1 are by their cosine: the inner products themselves."""
    del lengths
    return dot


def minus_square(dot: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return how near rows are by their distance: -|a - b|², of inner products and summed squared lengths."""
    return np.minimum(2 * dot - lengths, 0.0)


def nearness(
    rows: Float[np.ndarray, "m d"],
    bank: Float[np.ndarray, "n d"],
    form: Callable[[np.ndarray, np.ndarray], np.ndarray],
    block: int = BLOCK,
) -> Iterator[tuple[Float[np.ndarray, "b n"], Float[np.ndarray, "b n"]]]:
    """Yield for blocks of rows how near each bank row is (larger is nearer), and up to which gap two are tied.

    Args:
        rows: (m, d) float64, centred on the bank where distances are asked for.
        bank: (n, d) float64.
        form: `product` or `minus_square`.
        block: pairs compared at once, but no fewer than 64 rows.
    """
    size = max(64, block // len(bank))  # fewer rows than 64 would read the bank again for each few
    own = (bank**2).sum(axis=1)
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        lengths = (part**2).sum(axis=1)[:, None] + own
        yield form(part @ bank.T, lengths), TIE * lengths


def shares(
    near: Float[np.ndarray, "b n"], tie: Float[np.ndarray, "b n"], ks: Sequence[int]
) -> Iterator[Float[np.ndarray, "b n"]]:
    """Yield for each k each bank row's share of the k places, 0 to 1; rows tied with the k-th share what is left.

    Example:
        >>> next(shares(np.array([[-1.0, -4.0, -4.0]]), np.full((1, 3), 1e-9), [2])).tolist()
        [[1.0, 0.5, 0.5]]
    """
    last = [near.shape[1] - k for k in ks]
    kth = np.partition(near, last, axis=1)[:, last]  # (b, p)
    for column, k in enumerate(ks):
        gap = near - kth[:, column, None]
        tied, nearer = np.abs(gap) <= tie, gap > tie
        left = k - nearer.sum(axis=1, keepdims=True)
        yield nearer + tied * (left / tied.sum(axis=1, keepdims=True))


def means(
    near: Float[np.ndarray, "b n"],
    tie: Float[np.ndarray, "b n"],
    answers: Float[np.ndarray, "n o"],
    ks: Sequence[int],
    weights: Weights = "mean",
) -> Float[np.ndarray, "b p o"]:
    """Return the weighted mean of the neighbours' answers for each k.

    Args:
        near: from `nearness`; with `minus_square` where the weights are `distance`.
        tie: from `nearness`.
        answers: (n, o) of the bank.
        ks: numbers of neighbours.
        weights: `mean`, or `distance` for 1 / distance; rows at distance 0, where there are any, decide alone.
    """
    strength = np.ones_like(near)
    if weights == "distance":
        same = -near <= tie
        far = 1 / np.sqrt(np.where(same, 1.0, -near))
        strength = np.where(same.any(axis=1, keepdims=True), same.astype(np.float64), far)
    columns = (strength * share for share in shares(near, tie, ks))
    return np.stack([w @ answers / w.sum(axis=1, keepdims=True) for w in columns], axis=1)
