"""Train, validation and test without leaks: a group is never on two sides, and each side sees the whole target range.

Rows of one person, camera or recording are near copies of each other; a split through them measures memory, not
prediction (the same model on SkyFinder: 2.64 when rows are split at random, 8.22 when cameras are left out).
"""

import re

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from isotone.errors import DataError, Problem
from isotone.randomness import numpy_generator

SIDES = ("train", "val", "test")
_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# fmt: off
_GROUP_WORDS = frozenset((
    "id", "ids", "fetus", "subject", "person", "patient", "participant", "identity", "individual", "people", "celeb",
    "user", "donor", "animal", "mouse", "camera", "cam", "scanner", "device", "site", "hospital", "centre", "center",
    "recording", "session", "video", "clip", "slide", "plate", "case",
))
# fmt: on


def split_rows(
    n: int,
    target: Float[np.ndarray, "n k"],
    group: Shaped[np.ndarray, " n"] | None,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    category: Int[np.ndarray, " n"] | None = None,
) -> Shaped[np.ndarray, " n"]:
    """Draw the side of each row: groups stay whole, row counts match the fractions, quantiles of the target are shared.

    Groups (or single rows) are sorted by their median target, shuffled within short runs of neighbours, and each goes
    to the side that lacks most rows so far. With classes they are shuffled as a whole, and each goes to the side that
    lacks most of its most frequent class and of all rows together.

    Args:
        n: rows.
        target: (n, k); for k > 1 the order is that of the first principal component of the standardised targets.
        group: (n,) text, or None where every row stands for itself.
        val_fraction: share of rows for validation, above 0.
        test_fraction: share of rows for the test, above 0; the rest is for training.
        seed: another seed draws another split.
        category: (n,) classes, whose shares are then the same on each side; or None.

    Returns:
        (n,) text: train, val or test; each side has at least one group and two rows.

    Raises:
        DataError: too few rows or groups for three sides.

    Example:
        >>> side = split_rows(100, np.arange(100.0)[:, None], None, 0.15, 0.15, seed=0)
        >>> [int((side == name).sum()) for name in SIDES]
        [70, 15, 15]
    """
    unit = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1].reshape(-1)
    units = int(unit.max(initial=-1)) + 1
    share = np.array([1.0 - val_fraction - test_fraction, val_fraction, test_fraction])
    size = np.bincount(unit, minlength=units)
    if category is None:
        side = _fill(_shuffled_by_target(_median(_line(target), unit, units), share, seed), size, share)
    else:
        order = np.argsort(numpy_generator("split", seed).random(units))
        side = _fill_by_class(order, size, _most_frequent(category, unit, units), share)
    _repair(side, size, grouped=group is not None)
    return np.array(SIDES)[side][unit]


def split_labelled(
    labelled: Bool[np.ndarray, " n"],
    target: Float[np.ndarray, "n k"],
    group: Shaped[np.ndarray, " n"] | None,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    category: Int[np.ndarray, " n"] | None = None,
) -> Shaped[np.ndarray, " n"]:
    """Draw the sides of the rows that have a label, as `split_rows` does; the others are trained on.

    An unlabelled row of a group whose labelled rows are held out goes where they are, so that no group is on two sides.

    Args:
        labelled: (n,) whether the row has its label.
        target: as for `split_rows`, as are the rest.
        group: (n,) text, or None.
        val_fraction: share of the labelled rows.
        test_fraction: share of the labelled rows.
        seed: another seed draws another split.
        category: (n,) classes, or None.

    Raises:
        DataError: as `split_rows`.

    Example:
        >>> some = np.arange(40) < 20
        >>> side = split_labelled(some, np.arange(40.0)[:, None], None, 0.15, 0.15, seed=0)
        >>> set(side[~some].tolist()), sorted(set(side[some].tolist()))
        ({'train'}, ['test', 'train', 'val'])
    """
    known = np.flatnonzero(labelled)
    side = np.full(len(labelled), SIDES[0], dtype="<U5")
    groups, classes = (None if x is None else x[known] for x in (group, category))
    side[known] = split_rows(len(known), target[known], groups, val_fraction, test_fraction, seed, classes)
    if group is not None and groups is not None and len(known) < len(labelled):
        names, first = np.unique(groups, return_index=True)
        place = np.searchsorted(names, group).clip(max=len(names) - 1)
        found = ~labelled & (names[place] == group)
        side[found] = side[known][first][place[found]]
    return side


def split_groups(
    group: Shaped[np.ndarray, " n"] | None, content: Shaped[np.ndarray, " n"] | None
) -> Shaped[np.ndarray, " n"] | None:
    """Join groups that share a row of the same content, so that copies of one image stay on one side too.

    Args:
        group: (n,) text, or None where every row stands for itself.
        content: (n,) digest of each row's file, or None.

    Returns:
        (n,) text, or None where no two rows belong together.

    Example:
        >>> split_groups(np.array(["a", "b", "c"]), np.array(["x", "x", "y"])).tolist()
        ['0', '0', '1']
    """
    if content is None or len(np.unique(content)) == len(content):
        return group
    if group is None:
        return content
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    which = np.unique(group, return_inverse=True)[1]
    what = np.unique(content, return_inverse=True)[1] + which.max() + 1
    size = int(what.max()) + 1
    edges = coo_array((np.ones(len(which)), (which, what)), shape=(size, size))
    component = connected_components(edges, directed=False)[1]
    return component[which].astype(str)


def shared_groups(split: Shaped[np.ndarray, " n"], group: Shaped[np.ndarray, " n"]) -> int:
    """Count the groups of the test that were also trained on: above 0, the test error is too good.

    Example:
        >>> shared_groups(np.array(["train", "test", "test"]), np.array(["a", "a", "b"]))
        1
    """
    return len(np.intersect1d(group[split == "test"], group[split == "train"]))


def read_sides(words: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return train, val or test for each of the user's words, whatever their case, and '' for any other word.

    Known words: train, training, val, valid, validation, dev, test, testing.

    Example:
        >>> read_sides(np.array(["Train", "dev", "holdout"])).tolist()
        ['train', 'val', '']
    """
    return np.array([_WORDS.get(str(word).strip().lower(), "") for word in words], dtype="<U5")


def looks_like_group(name: str, values: Shaped[np.ndarray, " n"]) -> bool:
    """Tell whether a column nobody named as group probably is one: identities that repeat.

    Integers count only under a telling name (`subject_id`, `camera`), since an age or a count repeats too;
    text counts under such a name, or where it has more than 20 different values. Values that are nearly all different
    (90 % of the rows) or just one or two (sex) are no group.

    Args:
        name: the column's name.
        values: (n,) text of its cells.

    Example:
        >>> looks_like_group("fetus", np.array(["001", "001", "002", "003"]))
        True
    """
    different = np.unique(values)
    if not 3 <= len(different) < 0.9 * len(values):
        return False
    telling = bool(_GROUP_WORDS & {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)})
    if all(re.fullmatch(r"-?\d+", value) for value in different):
        return telling
    if all(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value) for value in different if value):
        return False
    return telling or len(different) > 20


def too_few(rows: int, groups: int | None) -> Problem:
    """Return the problem of a table that cannot fill three sides; `groups` is None where rows stand for themselves."""
    if groups is None:
        return Problem("few-rows", f"{rows} rows cannot fill train, validation and test", "Add rows")
    what = f"{rows} rows in {groups} groups cannot fill train, validation and test without sharing a group"
    return Problem("few-groups", what, "Add groups (3 at least), name another --group, or give a --split-column")


# ----------------------------------------------------------------------------------------------------------------------


def _line(target: np.ndarray) -> np.ndarray:
    """The targets in one number each, (n,): themselves, or their first principal component; 0 where there are none."""
    if target.shape[1] == 0:
        return np.zeros(len(target))
    if target.shape[1] == 1:
        return target[:, 0]
    scale = target.std(axis=0)
    standard = (target - target.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    direction = np.linalg.eigh(standard.T @ standard)[1][:, -1]
    return standard @ direction


def _median(value: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    order = np.lexsort((value, unit))
    start = np.searchsorted(unit[order], np.arange(units))
    stop = np.append(start[1:], len(unit))
    ranked = value[order]
    return (ranked[(start + stop - 1) // 2] + ranked[(start + stop) // 2]) / 2


def _most_frequent(category: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """The class that most rows of each unit have, (units,); the first of several."""
    classes = int(category.max(initial=0)) + 1
    pair, rows = np.unique(unit * classes + category, return_counts=True)
    order = np.lexsort((pair, -rows, pair // classes))  # the largest class of each unit first
    first = np.searchsorted(pair[order] // classes, np.arange(units))
    return pair[order[first]] % classes


def _shuffled_by_target(key: np.ndarray, share: np.ndarray, seed: int) -> np.ndarray:
    """Units by ascending target, shuffled within runs just long enough that each side gets one or two of every run."""
    draw = numpy_generator("split", seed)
    order = np.lexsort((draw.random(len(key)), key))
    run = int(np.ceil(2 / share.min()))
    block = np.arange(len(key)) // run
    return order[np.lexsort((draw.random(len(key)), block))]


def _fill(order: np.ndarray, size: np.ndarray, share: np.ndarray) -> np.ndarray:
    side = np.zeros(len(size), dtype=np.int64)
    have = np.zeros(3)
    for unit in order:
        lack = share * (have.sum() + size[unit]) - have
        side[unit] = int(lack.argmax())
        have[side[unit]] += size[unit]
    return side


def _fill_by_class(order: np.ndarray, size: np.ndarray, category: np.ndarray, share: np.ndarray) -> np.ndarray:
    side = np.zeros(len(size), dtype=np.int64)
    have = np.zeros((int(category.max(initial=0)) + 1, 3))
    whole = np.zeros(3)
    for unit in order:
        own = have[category[unit]]
        lack = share * (own.sum() + whole.sum() + 2 * size[unit]) - own - whole
        side[unit] = int(lack.argmax())
        own[side[unit]] += size[unit]
        whole[side[unit]] += size[unit]
    return side


def _repair(side: np.ndarray, size: np.ndarray, *, grouped: bool) -> None:
    """Move the smallest unit of the side with most units until each side has two rows (`side` is our own array)."""
    while True:
        rows = np.bincount(side, weights=size, minlength=3)
        poor = int(rows.argmin())
        if rows[poor] >= 2:
            return
        donors = [d for d in range(3) if (side == d).sum() > 1 and rows[d] - size[side == d].min() >= 2]
        if not donors:
            raise DataError([too_few(int(size.sum()), len(size) if grouped else None)])
        donor = max(donors, key=lambda d: int((side == d).sum()))
        members = np.flatnonzero(side == donor)
        side[members[size[members].argmin()]] = poor
