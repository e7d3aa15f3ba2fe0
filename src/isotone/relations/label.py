"""Relations of labels: the distance of real targets, and equality of categories."""

from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Relation, Tags
from isotone.relations.target import TargetDistance, target_distance


def target_relation(distance: str | TargetDistance = "l1") -> Relation:
    """Return the relation that measures how far two targets are apart.

    Args:
        distance: name or function, see `target_distance`; a function maps (n, k) and (m, k) to (n, m) >= 0.

    Returns:
        A function of two tags with `target`; NaN means unknown and comes only of a missing (NaN) target. It raises
        ShapeError where the tags have no target, or where the user's function returns another shape, a negative number,
        infinity, or NaN for two rows that miss nothing.

    Raises:
        ConfigError: for an unknown name.

    Example:
        >>> import torch
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
            _check(d, anchor.target, other.target)
        return d

    return relation


def same_category(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
    """Return 0 where anchor and candidate have the same class, 1 elsewhere.

    Args:
        anchor: tags with `category` (n,).
        other: tags with `category` (m,).

    Returns:
        (n, m) float32.

    Raises:
        ShapeError: where the tags hold no category.

    Example:
        >>> import torch
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


def _check(d: Tensor, a: Tensor, b: Tensor) -> None:
    n, m = len(a), len(b)
    if d.shape != (n, m):
        raise ShapeError(f"the target distance must return ({n}, {m}), got {tuple(d.shape)}.")
    incomplete = a.isnan().any(1)[:, None] | b.isnan().any(1)[None, :]
    sound = ((d >= 0) & d.isfinite()) | (d.isnan() & incomplete)
    if not bool(sound.all()):
        raise ShapeError(
            "the target distance must be finite and at least 0, got negative numbers, infinity or NaN. NaN, for "
            "unknown, may come of missing (NaN) targets alone."
        )
