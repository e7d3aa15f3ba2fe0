"""The relation of time: samples close to each other in one recording or track are the same, others are not."""

import math

from jaxtyping import Float
from torch import Tensor

from isotone import check
from isotone.errors import ShapeError
from isotone.records import Relation, Tags


def neighbours(lag: float) -> Relation:
    """Return the relation of sequences: 0 near in time, 1 in another sequence, and unknown for the rest of the same.

    `d_ij = 0` where `s_i = s_j` and `|t_i - t_j| <= lag`; NaN where `s_i = s_j` otherwise; 1 where `s_i != s_j`.

    NaN (unknown) leaves a pair out: two distant moments of one recording share what the recording is of, so they would
    be false negatives, yet they need not show the same.

    Args:
        lag: in the unit of the tag `time`, at least 0; with 0 only equal times are the same.

    Returns:
        A function of two tags with `sequence` and `time` to (n, m) float32. It raises ShapeError where one is missing.

    Raises:
        ConfigError: for a negative or infinite lag.

    Example:
        >>> import torch
        >>> tags = Tags(sequence=torch.tensor([7, 7, 7, 8]), time=torch.tensor([0.0, 2.0, 9.0, 0.0]))
        >>> neighbours(lag=2.0)(tags, tags)[0].tolist()
        [0.0, 0.0, nan, 1.0]

    Source: Wang and Gupta 2015, arXiv 1505.00687 (patches of one track); Sermanet et al. 2018, arXiv 1704.06888,
    section 3.2 (near in time).
    """
    check.between("lag", lag, 0.0, 1e300)

    def relation(anchor: Tags, other: Tags) -> Float[Tensor, "n m"]:
        a, b = _moments(anchor), _moments(other)
        same = a[0][:, None] == b[0][None, :]
        near = (a[1][:, None] - b[1][None, :]).abs() <= lag  # False where a time is missing (NaN)
        return (~same).float().masked_fill_(same & ~near, math.nan)

    return relation


# ----------------------------------------------------------------------------------------------------------------------


def _moments(tags: Tags) -> tuple[Tensor, Tensor]:
    if tags.sequence is None or tags.time is None:
        missing = " and ".join(f"`{name}`" for name in ("sequence", "time") if getattr(tags, name) is None)
        raise ShapeError(
            f"the relation of neighbours needs the tags `sequence` and `time`, got tags without {missing}. "
            "Fill Tags(sequence=..., time=...)."
        )
    return tags.sequence, tags.time
