"""The batch as candidates: every row but the anchor itself."""

from dataclasses import fields
from typing import Any

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
        >>> batch_candidates(torch.zeros(2, 3), Tags()).own
        tensor([0, 1])
    """
    return Candidates(z, tags, own=torch.arange(len(z), device=z.device))


def joined(batch: Candidates, others: Candidates) -> Candidates:
    """Return the batch's candidates and behind them others, such as a queue's, which are nobody's own.

    Args:
        batch: m candidates, without a mask.
        others: further ones, without `own` and a mask; taken to the batch's type and device. Tags that only one of the
            two has are dropped.

    Example:
        >>> queue = Candidates(torch.ones(3, 2), Tags())
        >>> joined(batch_candidates(torch.zeros(2, 2), Tags()), queue).embeddings.shape
        torch.Size([5, 2])
    """
    masks = (batch.mask, others.mask, others.own)
    assert all(x is None for x in masks), "joined candidates count for every anchor but their own"
    tags: dict[str, Any] = {
        f.name: _both(getattr(batch.tags, f.name), getattr(others.tags, f.name)) for f in fields(Tags)
    }
    rows = torch.cat([batch.embeddings, others.embeddings.to(batch.embeddings)])
    return Candidates(rows, Tags(**tags), own=batch.own)


# ----------------------------------------------------------------------------------------------------------------------


def _both(a: object, b: object) -> Tensor | None:
    return torch.cat([a, b.to(a)]) if isinstance(a, Tensor) and isinstance(b, Tensor) else None
