"""Permutation sets of Jigsaw: a few orders of the patches, far from each other; which one it was is the label.

Why the default is max-min, and not the mean that the paper takes, and the public scripts too unless told otherwise
(VISSL's `max_avg`; JigsawPuzzlePytorch's `max` is the largest mean): a mean is at its bound as soon as every patch
stands equally often in every place, however close two rows are. It keeps rows that differ by one swap (distance 2),
classes that hardly any image tells apart, and is hardly larger than what max-min reaches anyway. Rows of 9 patches,
every one of 20 seeds (3 for 5,000 and 10,000):

    rows                         100     701   1,000   2,000   5,000  10,000
    least distance, max-min        6       5       5       4       4       3
    least distance, max-mean  2 to 4       2       2       2       2       2
    mean distance, max-min      8.06   8.008   8.006   8.002   8.001   8.001
    mean distance, max-mean     8.08   8.011   8.008   8.004   8.002   8.001

Two more things differ from VISSL's script. Its ties go to the first in lexicographic order, whose neighbours are alike:
max-min then has a mean of 8.03 at 100 and 7.88 at 701; here they go by a random order. And it measures every chosen row
against every other again for each new one (5.8 GB of distances at 2,000); here each candidate keeps its distance to
the set, brought up to date with each new row: the same rule in about a second. Greedy is not the best there is: the
group PGammaL(2, 8) is 1,512 rows with least distance 6, and PGL(2, 8) in it 504 with 7.

Source: Noroozi, Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", ECCV 2016,
arXiv 1603.09246, Algorithm 1.
"""

from math import factorial
from typing import Literal

import numpy as np
from jaxtyping import Integer, UInt8

from isotone import check
from isotone.errors import ConfigError, ShapeError
from isotone.randomness import numpy_generator

Choose = Literal["max-min", "max-mean"]
_BLOCK = 1 << 17  # candidates compared at a time: their distances stay in the cache, and memory does not grow
_TAKEN = -(1 << 30)  # below every sum of distances, and still so after the largest sum is added to it


def permutation_set(
    count: int, *, patches: int = 9, choose: Choose = "max-min", seed: int = 0
) -> UInt8[np.ndarray, "count patches"]:
    """Choose permutations one by one, each as far as can be from those before it.

    `p_1` at random; `p_k = argmax_p min_{j < k} H(p, p_j)` over all patches! permutations, or the mean in place of the
    minimum; H = places in which two permutations differ (Hamming). Ties go to the first in an order drawn from `seed`.

    A longer set begins with the shorter one of the same seed. The first `patches` rows differ in every place, for
    every seed. O(count * patches! * patches) time, O(patches! * patches) memory: 2,000 of 9 patches take about a
    second on one core and 10 MB, all 362,880 about 140 s; a row of 10 patches takes ten times as long, and 100 MB.

    Args:
        count: rows, from 2 to patches!; the paper's 1,000 (later work: 100 to 10,000). For any permutation at all, as
            in PIRL, no set is needed.
        patches: 2 to 10; 9 is the paper's grid of 3 x 3.
        choose: `max-min`, or `max-mean` as most published sets were made, to repeat their numbers.
        seed: another seed draws another set of the same quality.

    Returns:
        (count, patches) uint8, each row a permutation of 0 .. patches - 1, no two alike.

    Raises:
        ConfigError: for patches outside 2 to 10, count outside 2 to patches! and unknown names.

    Example:
        >>> permutations = permutation_set(100)
        >>> permutations.shape, least_distance(permutations)
        ((100, 9), 6)
        >>> least_distance(permutation_set(200, choose="max-mean"))
        2

    Source: arXiv 1603.09246, Algorithm 1, which takes the mean.
    """
    _check_settings(count, patches, choose)
    order = numpy_generator("permutations", patches, seed).permutation(factorial(patches))
    every = np.take(_all_permutations(patches), order, axis=1)  # (patches, n), rows in one piece, as indexing's are not
    score = np.full(every.shape[1], patches, np.uint8 if choose == "max-min" else np.int32)
    chosen = np.empty((count, patches), np.uint8)
    for row in range(count):
        best = int(score.argmax())
        chosen[row] = every[:, best]
        for start in range(0, len(score), _BLOCK):
            part = slice(start, start + _BLOCK)
            distance = _distances(every[:, part], chosen[row])
            if choose == "max-min":
                np.minimum(score[part], distance, out=score[part])  # 0 for the chosen: never the largest again
            else:
                score[part] += distance
        if choose == "max-mean":
            score[best] = _TAKEN
    return chosen


def least_distance(permutations: Integer[np.ndarray, "m p"]) -> int:
    """Return the smallest Hamming distance between two rows: how alike the two most alike classes are.

    `min_{i < j} H(p_i, p_j)`. 0 means that a row is there twice; two permutations differ in 2 places at least. To be
    reported with every set, whoever made it. O(m^2 p) time, O(m p) memory.

    Args:
        permutations: (m, p) integers, at least two rows, p at most 255.

    Raises:
        ShapeError: for other shapes or types.

    Example:
        >>> least_distance(np.array([[0, 1, 2], [1, 2, 0], [1, 0, 2]]))
        2
    """
    _check_rows(permutations)
    columns = np.ascontiguousarray(permutations.T)  # (p, m)
    last = columns.shape[1] - 1
    return min(int(_distances(columns[:, i + 1 :], permutations[i]).min()) for i in range(last))


def mean_distance(permutations: Integer[np.ndarray, "m p"]) -> float:
    """Return the mean Hamming distance of two rows; with permutations never above `(p - 1) m / (m - 1)`.

    `2/(m(m-1)) sum_{i < j} H(p_i, p_j)`, from how often each value stands in each place: O(m p) time.

    Args:
        permutations: as in `least_distance`.

    Raises:
        ShapeError: for other shapes or types.

    Example:
        >>> mean_distance(np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
        3.0
    """
    _check_rows(permutations)
    m, p = permutations.shape
    alike = 0  # pairs of rows with the same value in the same place
    for column in permutations.T:
        found = np.unique(column, return_counts=True)[1]
        alike += int((found * (found - 1) // 2).sum())
    return p - alike / (m * (m - 1) // 2)


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(count: int, patches: int, choose: str) -> None:
    check.between("patches", patches, 2, 10)
    check.choice("choose", choose, ("max-min", "max-mean"))
    if not 2 <= count <= factorial(patches):
        raise ConfigError(
            f"`count` must be between 2 and {factorial(patches):,}, all permutations of {patches} patches, "
            f"got {count:,}."
        )


def _check_rows(permutations: np.ndarray) -> None:
    right = permutations.ndim == 2 and permutations.shape[0] >= 2 and 1 <= permutations.shape[1] <= 255
    if not right or not np.issubdtype(permutations.dtype, np.integer):
        raise ShapeError(
            "A permutation set has two or more rows (m, patches) of integers, got "
            f"{permutations.shape} {permutations.dtype}. Make one by permutation_set."
        )


def _all_permutations(patches: int) -> UInt8[np.ndarray, "patches n"]:
    """Return all of them as columns, in lexicographic order: each first value before all orders of the others."""
    columns = np.zeros((1, 1), np.uint8)
    for size in range(2, patches + 1):
        first = np.repeat(np.arange(size, dtype=np.uint8), columns.shape[1])
        others = np.tile(columns, size)  # orders of size - 1 values, to be those that are not the first
        others += others >= first
        columns = np.vstack([first, others])
    return columns


def _distances(columns: Integer[np.ndarray, "p n"], one: Integer[np.ndarray, " p"]) -> UInt8[np.ndarray, " n"]:
    """Count the places in which each column differs from one permutation; p additions of n, without an (n, p) table."""
    distance = np.zeros(columns.shape[1], np.uint8)
    for column, value in zip(columns, one, strict=True):
        distance += (column != value).view(np.uint8)
    return distance
