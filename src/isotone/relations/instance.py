"""The relation of instance discrimination: two views are related when they come from one source sample."""

from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Tags


def same_instance(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
    """Return 0 where anchor and candidate are views of one sample, 1 elsewhere.

    Args:
        anchor: tags with `instance` (n,).
        other: tags with `instance` (m,).

    Returns:
        (n, m) float32.

    Raises:
        ShapeError: where the tags hold no instance.

    Example:
        >>> import torch
        >>> tags = Tags(instance=torch.tensor([4, 9, 4]))
        >>> same_instance(tags, tags)[0].tolist()
        [0.0, 1.0, 0.0]

    Source: Wu et al. 2018, arXiv 1805.01978; Chen et al. 2020, arXiv 2002.05709.
    """
    if anchor.instance is None or other.instance is None:
        raise ShapeError(
            "the instance relation needs the tag `instance`, got tags without it. Fill Tags(instance=...)."
        )
    return (anchor.instance[:, None] != other.instance[None, :]).float()
