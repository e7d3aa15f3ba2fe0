"""Splits of published data sets: one group held out, a published test with validation drawn, and that of DIR.

Source: DIR is deep imbalanced regression, Yang et al., ICML 2021, arXiv 2102.09554; its rule is in its data scripts.
"""

import random

import numpy as np
from jaxtyping import Bool, Float, Shaped

from isotone.data.split import SIDES, split_rows

DIR_SEED = 666  # of the published scripts
DIR_HIGHEST = 120  # years: the last age that they hold out rows of, 0 being the first


def held_out(
    test: Bool[np.ndarray, " n"],
    target: Float[np.ndarray, "n k"],
    group: Shaped[np.ndarray, " n"],
    val_fraction: float,
) -> Shaped[np.ndarray, " n"]:
    """Return the sides of rows whose test is given: validation is drawn by groups from the others, always the same.

    Args:
        test: (n,) which rows are the test.
        target: (n, k), NaN where there is none; only rows that have theirs decide which groups validate.
        group: (n,) text.
        val_fraction: share of the other rows.

    Raises:
        DataError: fewer than three other groups.

    Example:
        >>> group = np.repeat(["a", "b", "c", "d"], 5)
        >>> side = held_out(group == "a", np.arange(20.0)[:, None], group, 0.3)
        >>> sorted(set(side.tolist())), set(group[side == "test"].tolist())
        (['test', 'train', 'val'], {'a'})
    """
    rest = np.flatnonzero(~test & np.isfinite(target).all(axis=1))
    drawn = split_rows(len(rest), target[rest], group[rest], val_fraction / 2, val_fraction / 2, seed=0)
    validating = np.unique(group[rest][drawn != SIDES[0]])
    return np.select([test, np.isin(group, validating)], ["test", "val"], "train")


def dir_split(target: Float[np.ndarray, " n"], most: int, seed: int = DIR_SEED) -> Shaped[np.ndarray, " n"]:
    """Return the sides of DIR: of n rows with one whole target, min(n // 3, most) for validation and as many to test.

    Validation and test are balanced that way, training keeps the imbalance. The rule is the published one; its rows are
    not, since they depend on the order of a table that was not published. Groups are not looked at: on faces it leaks.

    Held out are ages of 0 to 120 years alone, as in the published scripts. Others, the wrong birth dates of IMDB-WIKI,
    are trained on and never judged.

    Args:
        target: (n,) ages in years, cut to whole ones; rows with NaN or outside 0 to 120 are on the training side.
        most: 30 for AgeDB, 150 for IMDB-WIKI.
        seed: of the shuffle within each target.

    Example:
        >>> side = dir_split(np.repeat([20.0, 30.0, 40.0], [2, 9, 300]), most=30)
        >>> [int((side == name).sum()) for name in SIDES]
        [245, 33, 33]
        >>> set(dir_split(np.full(9, 180.0), most=30).tolist())
        {'train'}
    """
    draw = random.Random(seed)  # noqa: S311  (a split is no secret)
    side = np.full(len(target), "train", dtype="<U5")
    whole = np.trunc(target)  # NaN stays, and equals nothing
    for value in range(DIR_HIGHEST + 1):
        rows = np.flatnonzero(whole == value).tolist()
        draw.shuffle(rows)
        size = min(len(rows) // 3, most)
        side[rows[:size]] = "val"
        side[rows[size : 2 * size]] = "test"
    return side
