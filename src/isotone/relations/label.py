"""Relations of labels: equality of categories, and distances of real targets (L1, L2, circular, anyone's)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.check import choice, positive
from isotone.errors import ShapeError
from isotone.records import Relation, Tags

TargetDistance = Callable[[Float[Tensor, "n k"], Float[Tensor, "m k"]], Float[Tensor, "n m"]]


def l1(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
    """Return the sum of absolute differences over the target's dimensions: RnC's choice.

    Example:
        >>> l1(torch.tensor([[1.0]]), torch.tensor([[4.0], [-1.0]])).tolist()
        [[3.0, 2.0]]

    Source: Zha et al. 2023, arXiv 2210.01189, section 3.
    """
    return torch.cdist(a, b, p=1.0)


def l2(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
    """Return the Euclidean distance over the target's dimensions, without the cancelling Gram trick.

    Example:
        >>> l2(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).item()
        5.0
    """
    return torch.cdist(a, b, p=2.0, compute_mode="donot_use_mm_for_euclid_dist")


def circular(period: float) -> TargetDistance:
    """Return the distance on a circle: 350 and 10 degrees are 20 apart when the period is 360.

    `d(a, b) = sum_k min(r_k, period - r_k)` with `r_k = |a_k - b_k| mod period`.

    Args:
        period: length of the circle in the target's unit, such as 360 (degrees), 24 (hours).

    Raises:
        ConfigError: unless the period is a finite number above 0.

    Example:
        >>> circular(360.0)(torch.tensor([[350.0]]), torch.tensor([[10.0]])).item()
        20.0
    """
    positive("period", period)

    def distance(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
        r = (a[:, None] - b[None, :]).abs() % period  # (n, m, k)
        return torch.minimum(r, period - r).sum(-1)

    return distance


def target_distance(distance: str | TargetDistance) -> TargetDistance:
    """Return the target distance of a name (`l1`, `l2`, `circular:360`), or the user's function as it is.

    Raises:
        ConfigError: for an unknown name or a period that is no number above 0.
    """
    if callable(distance):
        return distance
    name, _, period = distance.partition(":")
    choice("distance", name, ("l1", "l2", "circular"))
    if name == "circular":
        return circular(_number(period))
    return l1 if name == "l1" else l2


def target_relation(distance: str | TargetDistance = "l1") -> Relation:
    """Return the relation that measures how far two targets are apart.

    Args:
        distance: name or function, see `target_distance`; a function maps (n, k) and (m, k) to (n, m) >= 0.

    Returns:
        A function of two tags with `target`; it raises ShapeError where they have none, or where the user's
        function returns another shape, a negative number or NaN.

    Example:
        >>> tags = Tags(target=torch.tensor([[20.0], [23.0]]))
        >>> target_relation("l1")(tags, tags)[0].tolist()
        [0.0, 3.0]
    """
    measure = target_distance(distance)

    def relation(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
        if anchor.target is None or other.target is None:
            raise ShapeError("a target distance needs the tag `target`, got tags without it. Fill Tags(target=...).")
        d = measure(anchor.target, other.target)
        if callable(distance):
            _check(d, anchor.target.shape[0], other.target.shape[0])
        return d

    return relation


def same_category(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
    """Return 0 where anchor and candidate have the same class, 1 elsewhere.

    Args:
        anchor: tags with `category` (n,).
        other: tags with `category` (m,).

    Raises:
        ShapeError: where the tags hold no category.

    Example:
        >>> tags = Tags(category=torch.tensor([0, 1, 0]))
        >>> same_category(tags, tags)[0].tolist()
        [0.0, 1.0, 0.0]

    Source: Khosla et al. 2020, arXiv 2004.11362.
    """
    if anchor.category is None or other.category is None:
        raise ShapeError(
            "the category relation needs the tag `category`, got tags without it. Fill Tags(category=...)."
        )
    return (anchor.category[:, None] != other.category[None, :]).float()


# ----------------------------------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # `positive` words the error


def _check(d: Tensor, n: int, m: int) -> None:
    if d.shape != (n, m):
        raise ShapeError(f"the target distance must return ({n}, {m}), got {tuple(d.shape)}.")
    if bool((d < 0).any() | d.isnan().any()):
        raise ShapeError("the target distance must be at least 0 everywhere, got negative numbers or NaN.")
