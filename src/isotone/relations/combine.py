"""Target distances made of others: weights and scales per column, class codes among the columns, missing entries.

Each takes and returns a target distance that adds up over columns, so they combine:
`partial(mixed((2,), 0.5, weighted("l1", scales=(10.0, 2.0))))`.
"""

from collections.abc import Sequence
from dataclasses import replace

from isotone.errors import ConfigError
from isotone.relations.columns import ColumnDistance
from isotone.relations.target import TargetDistance, angular, l1, l2, target_distance


def weighted(
    distance: str | TargetDistance = "l1",
    *,
    weights: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
) -> ColumnDistance:
    """Return the distance with each column divided by its scale and counted by its weight.

    `l1: d(a, b) = sum_k w_k |a_k - b_k| / s_k`, `l2: d(a, b) = sqrt(sum_k w_k ((a_k - b_k) / s_k)^2)`; on a circle,
    whose period stays in the targets' unit, `|a_k - b_k|` is the shorter way round.

    Args:
        distance: `l1`, `l2`, `circular:360`, or a function of theirs.
        weights: k numbers of at least 0, one of them above 0; 0 leaves a column out. None for 1 each.
        scales: k numbers above 0 in the targets' units, such as their standard deviations or ranges. None for 1 each.

    Returns:
        A function of targets (n, k) and (m, k) to (n, m) float64.

    Raises:
        ConfigError: for other weights and scales, for a distance that is not a sum over columns, and for one that is
            weighted or mixed already.
        ShapeError: from the function, where the targets have another number of columns.

    Example:
        >>> import torch
        >>> years_and_metres = weighted("l1", weights=(1.0, 0.5), scales=(10.0, 0.25))
        >>> years_and_metres(torch.tensor([[30.0, 1.75]]), torch.tensor([[50.0, 1.5]])).item()
        2.5

    Source: J. C. Gower 1971, "A general coefficient of similarity and some of its properties", Biometrics 27(4),
    857-871, as a distance and without its division by the sum of the weights.
    """
    base = _by_column(distance, "weighted")
    if base.weights is not None or base.scales is not None or base.categories:
        raise ConfigError(
            f"`weighted` comes once, before `mixed`, got {base}. Give weights and scales together, then "
            "mixed(categories, weight, weighted(...))."
        )
    return replace(base, weights=_tuple(weights), scales=_tuple(scales))


def mixed(categories: Sequence[int], weight: float = 1.0, distance: str | TargetDistance = "l1") -> ColumnDistance:
    """Return the distance of targets with class codes in some columns: two different classes are `weight` apart.

    `l1: d(a, b) = d(other columns) + weight * #{categories that differ}`,
    `l2: d(a, b) = sqrt(d(other columns)^2 + weight^2 * #{categories that differ})`,
    which is l2 with each class as its own axis (one-hot, times weight / sqrt 2).

    Args:
        categories: columns that hold class codes, counted from 0; whole numbers, any numbering. With all columns
            named, the distance counts the classes that differ.
        weight: above 0, in units of the distance: with `l1` of ages and weight 10, another class is as far as 10 years.
        distance: of the other columns, as for `weighted`; its weights and scales count these alone.

    Returns:
        A function of targets (n, k) and (m, k) to (n, m) float64. NaN where either row has a NaN, unless `partial`.

    Raises:
        ConfigError: for other settings, for a distance that is not a sum over columns, and for one that is mixed.
        ShapeError: from the function, where a category's column is missing from the targets or holds fractions.

    Example:
        >>> import torch
        >>> age_and_site = torch.tensor([[30.0, 0.0], [33.0, 0.0], [33.0, 4.0]])
        >>> mixed(categories=(1,), weight=10.0)(age_and_site, age_and_site)[0].tolist()
        [0.0, 3.0, 13.0]

    Source: J. C. Gower 1971, Biometrics 27(4), 857-871, as a distance and without its division by the columns.
    """
    base = _by_column(distance, "mixed")
    if base.categories:
        raise ConfigError(f"`mixed` comes once, got {base}. Name all categories together.")
    return replace(base, categories=tuple(categories), weight=weight)


def partial(distance: str | TargetDistance = "l1") -> TargetDistance:
    """Return the distance over the columns that both rows have, scaled up to all K: for targets with missing entries.

    `l1: d(a, b) = K / #shared * sum_{k shared} |a_k - b_k|`,
    `l2: d(a, b) = sqrt(K / #shared * sum_{k shared} (a_k - b_k)^2)`, NaN (unknown) where a pair shares no column.

    Without missing entries it is the distance itself. With weights, columns of weight 0 are neither in K nor shared;
    a category is a column like the others. What is missing is taken to differ as much as the rest does, so bring
    columns to one scale first (`weighted`). The scaled distance need not keep the triangle inequality.

    Args:
        distance: `l1`, `l2`, `circular:360`, or what `weighted` and `mixed` return. `angular` stays as it is: an angle
            needs all entries, and a pair with any NaN is unknown.

    Returns:
        A function of targets (n, k) and (m, k) with NaN for missing entries to (n, m) float64, NaN for unknown pairs.

    Raises:
        ConfigError: for a function of your own, which sees the NaN and may return NaN for a pair itself.

    Example:
        >>> import torch
        >>> y = torch.tensor([[3.0, torch.nan, torch.nan, 6.0], [1.0, torch.nan, 4.0, 5.0]])
        >>> partial("l1")(y[:1], y[1:]).item()  # 4 / 2 * (2 + 1)
        6.0

    Source: J. K. Dixon 1979, IEEE Trans. Systems, Man, and Cybernetics 9(10), 617-621, doi 10.1109/TSMC.1979.4310090;
    for l2 as in scikit-learn's `nan_euclidean_distances`.
    """
    if target_distance(distance) is angular:
        return angular
    return replace(_by_column(distance, "partial"), partial=True)


# ----------------------------------------------------------------------------------------------------------------------


def _by_column(distance: str | TargetDistance, caller: str) -> ColumnDistance:
    measure = target_distance(distance)
    if isinstance(measure, ColumnDistance):
        return measure
    if measure is l1:
        return ColumnDistance("l1")
    if measure is l2:
        return ColumnDistance("l2")
    got = "angular" if measure is angular else "a function of your own"
    raise ConfigError(
        f"`{caller}` works column by column and takes l1, l2, circular:360 or what weighted, mixed and partial return, "
        f"got {got}. A function of your own may weigh and mix columns, or return NaN for unknown pairs, itself."
    )


def _tuple(numbers: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(map(float, numbers))
