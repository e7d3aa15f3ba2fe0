"""The batch as candidates: every row but the anchor itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.records import Candidates, Tags


def batch_candidates(z: Float[Tensor, "n d"], tags: Tags) -> Candidates:
    """Return the batch as the candidates of its own rows; no row is a candidate of itself.

    Args:
        z: (n, d) embeddings.
        tags: of the n rows.

    Example:
        >>> batch_candidates(torch.zeros(2, 3), Tags()).mask.tolist()
        [[False, True], [True, False]]
    """
    return Candidates(z, tags, ~torch.eye(z.shape[0], dtype=torch.bool, device=z.device))
