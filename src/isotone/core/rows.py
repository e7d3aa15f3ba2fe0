"""A contrast of many rows in blocks: exact at any size, with memory for one block.

The blocks are recomputed on the way back, so that the gradient also reaches whatever a user's similarity holds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from isotone.check import wide_dtype
from isotone.core.contrast import weighted_contrast
from isotone.records import Candidates, LossOutput, Relation, Similarity, Tags

CELLS = 2**22  # anchors x candidates in a block; each costs about 100 bytes while it is worked on


@dataclass(frozen=True)
class Anchors:
    """The rows that ask: `z` (n, d), their tags, and how much each one's terms count, `weight` (n,) >= 0."""

    z: Float[Tensor, "n d"]
    tags: Tags
    weight: Float[Tensor, " n"] | None = None


def contrast_rows(
    anchors: Anchors,
    candidates: Candidates,
    *,
    similarity: Similarity,
    temperature: float,
    relation: Relation,
    positives: int | None = None,
    weight: Float[Tensor, " m"] | None = None,
) -> LossOutput:
    """Return `contrast` of the anchors and candidates, with every kept candidate a positive, or the nearest few.

    `L = sum_i u_i mean_j l_ij / sum_i u_i`, the mean over the positives j of i weighted by `w_j`; u: the anchors'
    weights, w: the candidates'. Weights of 1 give the plain means. What is farther than a positive stays in its
    denominator whatever its weight. Pairs whose distance is NaN (unknown) leave each other out.

    Args:
        anchors: n rows.
        candidates: m rows.
        similarity: of (n, d) and (m, d) to (n, m), called on float32 or wider with autocast off.
        temperature: above 0.
        relation: distance of tags; NaN where it is unknown.
        positives: the k nearest candidates in label space are positives, with whatever ties with the k-th, whatever
            their weight; None: all.
        weight: (m,) >= 0 of the candidates as positives.

    Returns:
        `total`, a scalar in float64; `parts`: `lonely`, the anchors without a positive, which have no term. Where all
        are lonely the total is 0, joined to the graph.

    Example:
        >>> y = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
        >>> anchors, batch = Anchors(y, Tags(target=y)), Candidates(y, Tags(target=y), own=torch.arange(3))
        >>> settings = {"similarity": lambda a, b: -(a - b.T).abs(), "temperature": 1.0}
        >>> apart = lambda a, b: (a.target - b.target.T).abs()
        >>> round(contrast_rows(anchors, batch, relation=apart, **settings).total.item(), 6)
        0.125575

    Source: Zha et al. 2023, arXiv 2210.01189, equations 1-3; Table 6 for `positives`.
    """
    z, others, n = *_same_type(anchors.z, candidates.embeddings), len(anchors.z)
    step = max(1, CELLS // max(1, len(others)))

    def block(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        distance = relation(anchors.tags.map(lambda x: x[rows]), candidates.tags)
        mask = _kept(candidates, rows, distance)
        share, paired = _shares(distance, mask, positives, weight)
        counts = paired if anchors.weight is None else paired * anchors.weight[rows].to(paired)
        with torch.autocast(z.device.type, enabled=False):
            found = similarity(z if n <= step else z[rows], others)  # the same tensor where all rows are in one block
        logits = found.to(wide_dtype(z.device)) / temperature
        return weighted_contrast(logits, distance, mask, share * counts[:, None]), counts.sum(), (paired == 0).sum()

    blocks = [_recomputed(block, slice(i, min(n, i + step)), n > step) for i in range(0, n, step)]
    total, share, lonely = (torch.stack(parts).sum() for parts in zip(*blocks, strict=True))
    return LossOutput(total / torch.where(share > 0, share, 1.0), {"lonely": lonely})


# ----------------------------------------------------------------------------------------------------------------------


def _same_type(z: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    wide = z.to(torch.promote_types(z.dtype, torch.float32))
    return wide, wide if others is z else others.to(wide)


def _recomputed(
    block: Callable[[slice], tuple[Tensor, Tensor, Tensor]], rows: slice, several: bool
) -> tuple[Tensor, Tensor, Tensor]:
    if several and torch.is_grad_enabled():
        return checkpoint(block, rows, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore[reportReturnType]
    return block(rows)


def _kept(candidates: Candidates, rows: slice, distance: Float[Tensor, "n m"]) -> Bool[Tensor, "n m"]:
    mask = distance < float("inf")  # False for NaN
    if candidates.mask is not None:
        mask &= candidates.mask[rows]
    if candidates.own is not None:
        _forget(mask, candidates.own[rows])
    return mask


def _forget(mask: Bool[Tensor, "n m"], own: Int[Tensor, " n"]) -> None:
    has = own >= 0
    mask[has.nonzero().flatten(), own[has]] = False


def _shares(
    distance: Float[Tensor, "n m"], mask: Bool[Tensor, "n m"], positives: int | None, weight: Tensor | None
) -> tuple[Float[Tensor, "n m"], Float[Tensor, " n"]]:
    """Return each positive's share of its anchor's mean, and 1 for anchors that have a positive, else 0."""
    positive = mask
    if positives is not None and positives < distance.shape[1]:
        far = distance.masked_fill(~mask, float("inf"))
        positive = mask & (far <= far.kthvalue(positives, dim=1, keepdim=True).values)
    share = positive.to(wide_dtype(distance.device))
    share = share if weight is None else share * weight.to(share)
    total = share.sum(1, keepdim=True)
    return share / torch.where(total > 0, total, 1.0), (total[:, 0] > 0).to(share)
