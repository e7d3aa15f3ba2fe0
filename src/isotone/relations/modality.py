"""The relation of two modalities: two inputs of one sample, such as a picture and a sound, belong together."""

import math

from jaxtyping import Float
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Tags


def same_pair(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
    """Return 0 where anchor and candidate are of one sample and two modalities, 1 for two samples and modalities.

    NaN (unknown: the pair is left out) within a modality: how alike two pictures are is not what is asked, so no
    picture is a negative of a picture. CLIP and cross-modal discrimination (AVID) are this relation.

    Args:
        anchor: tags with `instance`, which sample a row is of, and in `category` of which modality, any integer.
        other: the same.

    Returns:
        (n, m) float32.

    Raises:
        ShapeError: where the tags hold no instance or category.

    Example:
        >>> import torch
        >>> tags = Tags(instance=torch.tensor([4, 9, 4, 9]), category=torch.tensor([0, 0, 1, 1]))
        >>> same_pair(tags, tags)[0].tolist()
        [nan, nan, 0.0, 1.0]

    Source: Radford et al. 2021, arXiv 2103.00020, section 2.3; Morgado, Vasconcelos, Misra 2021 (AVID),
    arXiv 2004.12943, section 3.2.
    """
    (a, a_modality), (b, b_modality) = _pairs(anchor), _pairs(other)
    within = a_modality[:, None] == b_modality[None, :]
    return (a[:, None] != b[None, :]).float().masked_fill_(within, math.nan)


# ----------------------------------------------------------------------------------------------------------------------


def _pairs(tags: Tags) -> tuple[Tensor, Tensor]:
    if tags.instance is None or tags.category is None:
        missing = " and ".join(f"`{name}`" for name in ("instance", "category") if getattr(tags, name) is None)
        raise ShapeError(
            "the relation of pairs needs the tags `instance` and `category` (the modality), got tags without "
            f"{missing}. Fill Tags(instance=..., category=...)."
        )
    return tags.instance, tags.category
