"""The weighted contrast of anchors and candidates, term by term: slow, and obviously right."""

import math

import torch
from torch import Tensor


def contrast_rows(
    logits: Tensor,
    distance: Tensor,
    kept: Tensor,
    anchor_weight: list[float],
    candidate_weight: list[float],
    positives: int | None = None,
) -> tuple[Tensor, int]:
    """Return the weighted mean over the anchors that have a positive, and how many have none.

    Args:
        logits: (n, m), `distance`: (n, m) with NaN for unknown, `kept`: (n, m) bool.
        anchor_weight: n numbers, `candidate_weight`: m numbers.
        positives: only so many nearest candidates, and what ties with the last of them.
    """
    total, weights, lonely = logits.sum() * 0, 0.0, 0
    for i in range(logits.shape[0]):
        d = distance[i].tolist()
        others = [k for k in range(logits.shape[1]) if kept[i, k] and not math.isnan(d[k])]
        nearest = sorted(d[k] for k in others)[: len(others) if positives is None else positives]
        chosen = [j for j in others if d[j] <= nearest[-1] and candidate_weight[j] > 0]
        if not chosen:
            lonely += 1
            continue
        terms = [torch.logsumexp(logits[i, [k for k in others if d[k] >= d[j]]], 0) - logits[i, j] for j in chosen]
        share = sum(candidate_weight[j] for j in chosen)
        mean = sum(candidate_weight[j] / share * term for j, term in zip(chosen, terms, strict=True))
        total, weights = total + anchor_weight[i] * mean, weights + anchor_weight[i]
    return (total / weights if weights else total), lonely
