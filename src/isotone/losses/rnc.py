"""Rank-N-Contrast: a representation whose distances follow the order of continuous targets.

Source: Zha, Cao, Son, Yang, Katabi, "Rank-N-Contrast: Learning Continuous Representations for Regression",
NeurIPS 2023, arXiv 2210.01189 (first circulated as "SupCR").
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone import check
from isotone.candidates.batch import batch_candidates
from isotone.core.contrast import contrast, floor
from isotone.core.kernels.rnc_rows import rnc_rows, usable
from isotone.core.similarity import SIMILARITIES
from isotone.records import Similarity, Tags
from isotone.relations.label import TargetDistance, target_distance, target_relation


def rnc(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    targets: Shaped[Tensor, "b *k"],
    *,
    temperature: float = 2.0,
    similarity: str | Similarity = "l2",
    distance: str | TargetDistance = "l1",
) -> Float[Tensor, ""]:
    """Contrast every pair of samples against all pairs that are at least as far apart in their targets.

    `L = 1/(n(n-1)) sum_i sum_{j != i} -log( exp s_ij / sum_{k in S_ij} exp s_ik )`, `s = sim / temperature`,
    `S_ij = {k != i : d(y_i, y_k) >= d(y_i, y_j)}`, which holds j itself and every tie of j.

    Costs two matrix products and, unless the targets are scalars and numba is installed, a sort: O(n^2 (d + log n))
    time and O(n^2) memory. Finite at every scale of the features; computed in float64 inside. Only the order of target
    distances counts. Coincident rows are fine: their gradient is 0. `loss - rnc_floor` near 0 means ordered.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; float of any width, not normalised.
        targets: (b,) or (b, k) for (b, v, d), else (n,) or (n, k); integers and floats, no NaN. Compared in float64.
        temperature: above 0; the paper's 2. With `cosine` use about 0.1.
        similarity: `l2` (minus the Euclidean distance, the paper's), `cosine`, `dot`, or a function of (n, d), (m, d).
        distance: `l1` (the paper's), `l2`, `circular:360`, or a function of targets (n, k), (m, k) to (n, m) >= 0.

    Returns:
        A scalar in the type of the embeddings (at least float32). With two rows it is 0: nothing to rank.

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, NaN or infinity, targets of another length.
        ConfigError: for a temperature not above 0 and unknown names.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [3.0]])
        >>> round(rnc(line, torch.tensor([0, 1, 3]), temperature=1.0).item(), 6)
        0.125575

    Source: arXiv 2210.01189, equations 1-3.
    """
    check.positive("temperature", temperature)
    z = check.embeddings(embeddings, "RnC")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.targets(targets, z.shape[0], views, "RnC")
    value = unchecked_rnc(z, y, temperature=temperature, similarity=similarity, distance=distance)
    return value.to(torch.promote_types(z.dtype, torch.float32))


def unchecked_rnc(
    z: Float[Tensor, "n d"],
    targets: Float[Tensor, "n k"],
    *,
    temperature: float,
    similarity: str | Similarity,
    distance: str | TargetDistance,
) -> Float[Tensor, ""]:
    """Return `rnc` of rows and float64 targets that are known to be sound; NaN goes through to the value.

    Args:
        z: (n, d), `targets`: (n, k), the rest as in `rnc`.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [3.0]])
        >>> settings = {"temperature": 1.0, "similarity": "l2", "distance": "l1"}
        >>> round(unchecked_rnc(line, line.double(), **settings).item(), 6)
        0.125575
    """
    if similarity == "l2" and distance in ("l1", "l2") and usable(z, targets):
        return rnc_rows(z, targets[:, 0], temperature)
    others = batch_candidates(z, Tags(target=targets))
    logits = _similarity(similarity)(z, others.embeddings) / temperature
    apart = target_relation(distance)(others.tags, others.tags)
    return contrast(logits, apart, others.mask, positive=others.mask)


def rnc_floor(
    targets: Shaped[Tensor, "b *k"], *, views: int = 1, distance: str | TargetDistance = "l1"
) -> Float[Tensor, ""]:
    """Return L*, the lowest value `rnc` can approach for these targets; `rnc - L*` near 0 means an ordered embedding.

    `L* = 1/(n(n-1)) sum_i sum_m n_im ln n_im`, n_im = rows at the m-th distinct target distance from anchor i.

    Args:
        targets: (b,) or (b, k).
        views: views of each sample; two views always tie, so L* tends to ln 2.
        distance: as in `rnc`.

    Returns:
        A float64 scalar.

    Raises:
        ShapeError: for other shapes, NaN or infinity.

    Example:
        >>> round(rnc_floor(torch.arange(8), views=2).item(), 6)
        0.924196

    Source: arXiv 2210.01189, section 4, Theorems 1 and 2.
    """
    y = check.targets(targets, targets.shape[0] * views, views, "RnC")
    others = batch_candidates(y, Tags(target=y))
    return floor(target_distance(distance)(y, y), others.mask, others.mask)


class RnCLoss(nn.Module):
    """`rnc` as a module for anyone's own training loop.

    Args:
        temperature: see `rnc`.
        similarity: see `rnc`.
        distance: see `rnc`.

    Raises:
        ConfigError: for a temperature not above 0 and unknown names, when it is made.

    Example:
        >>> loss = RnCLoss(temperature=2.0)(torch.randn(8, 2, 16), torch.rand(8))
        >>> loss.shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float = 2.0,
        similarity: str | Similarity = "l2",
        distance: str | TargetDistance = "l1",
    ) -> None:
        super().__init__()
        check.positive("temperature", temperature)
        self.temperature = temperature
        self.similarity = _similarity(similarity)
        self.distance = target_distance(distance)

    def forward(
        self, embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"], targets: Shaped[Tensor, "b *k"]
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and `targets` (b,) or (b, k)."""
        return rnc(
            embeddings,
            targets,
            temperature=self.temperature,
            similarity=self.similarity,
            distance=self.distance,
        )


# ----------------------------------------------------------------------------------------------------------------------


def _similarity(similarity: str | Similarity) -> Similarity:
    if callable(similarity):
        return similarity
    check.choice("similarity", similarity, SIMILARITIES)
    return SIMILARITIES[similarity]
