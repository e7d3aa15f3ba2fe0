"""Rank-N-Contrast: a representation whose distances follow the order of continuous targets.

Source: Zha, Cao, Son, Yang, Katabi, "Rank-N-Contrast: Learning Continuous Representations for Regression",
NeurIPS 2023, arXiv 2210.01189 (first circulated as "SupCR").
"""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone import check
from isotone.candidates.batch import batch_candidates, joined
from isotone.core.contrast import floor
from isotone.core.kernels import rnc_rows, rnc_triton
from isotone.core.rows import Anchors, contrast_rows
from isotone.core.similarity import SIMILARITIES
from isotone.errors import ShapeError
from isotone.records import Candidates, LossOutput, Similarity, Tags
from isotone.relations.columns import ColumnDistance
from isotone.relations.combine import partial
from isotone.relations.label import target_relation
from isotone.relations.target import TargetDistance, angular, l1, l2, target_distance

Missing = Literal["error", "mask"]


def rnc(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    targets: Shaped[Tensor, "b *k"],
    *,
    temperature: float = 2.0,
    similarity: str | Similarity = "l2",
    distance: str | TargetDistance = "l1",
    weights: Float[Tensor, " b"] | None = None,
    positives: int | None = None,
    missing: Missing = "error",
    others: Candidates | None = None,
) -> Float[Tensor, ""]:
    """Contrast every pair of samples against all pairs that are at least as far apart in their targets.

    `L = 1/(n(n-1)) sum_i sum_{j != i} -log( exp s_ij / sum_{k in S_ij} exp s_ik )`, `s = sim / temperature`,
    `S_ij = {k != i : d(y_i, y_k) >= d(y_i, y_j)}`, which holds j itself and every tie of j.

    O(n^2 d) time and memory for one block of rows; without numba (extra `fast`), and with any other than scalar targets
    and the settings' defaults, also a sort of each row. Finite at every scale of the features. Only the order of target
    distances counts. The gradient of coincident rows is 0. `loss - rnc_floor` near 0 means ordered.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; float of any width, not normalised.
        targets: (b,) or (b, k) for (b, v, d), else (n,) or (n, k); integers and floats. Compared in float64.
        temperature: above 0; the paper's 2. With `cosine` use about 0.1.
        similarity: `l2` (minus the Euclidean distance, the paper's), `cosine`, `dot`, or a function of (n, d), (m, d).
        distance: `l1` (the paper's), `l2`, `circular:360`, `angular`, or a function of targets (n, k), (m, k) to
            (n, m) >= 0: see `isotone.relations` for weighted, scaled and mixed ones.
        weights: (b,) >= 0: the means over anchors and over positives are weighted; samples of 0 are only compared with.
        positives: only the k nearest in target, and what ties with the k-th, are positives, as in the paper's ablation.
        missing: `error`, or `mask`: a target that is NaN in some of its dimensions is compared in the others, as
            `isotone.relations.partial` does; pairs that share none leave each other out.
        others: further candidates with targets, such as a queue's: compared with, positives of weight 1, never anchors.

    Returns:
        A scalar in the type of the embeddings (at least float32). With two rows, or where no pair is left, 0.

    Raises:
        ShapeError: for other shapes, types or lengths, fewer than two rows, infinity, and NaN unless `mask`.
        ConfigError: for a temperature not above 0, positives below 1 and unknown names.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [3.0]])
        >>> round(rnc(line, torch.tensor([0, 1, 3]), temperature=1.0).item(), 6)
        0.125575

    Source: arXiv 2210.01189, equations 1-3; Table 6 for `positives`.
    """
    return rnc_output(
        embeddings,
        targets,
        temperature=temperature,
        similarity=similarity,
        distance=distance,
        weights=weights,
        positives=positives,
        missing=missing,
        others=others,
    ).total


def rnc_output(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    targets: Shaped[Tensor, "b *k"],
    *,
    temperature: float = 2.0,
    similarity: str | Similarity = "l2",
    distance: str | TargetDistance = "l1",
    weights: Float[Tensor, " b"] | None = None,
    positives: int | None = None,
    missing: Missing = "error",
    others: Candidates | None = None,
) -> LossOutput:
    """Return `rnc` as `total`, and in `parts` the number of rows that no candidate can be ranked for, `lonely`.

    Args:
        embeddings: (n, d) or (b, v, d), `targets` and the rest: see `rnc`.

    Example:
        >>> unlabelled = torch.tensor([20.0, torch.nan, 35.0])
        >>> rnc_output(torch.eye(3), unlabelled, missing="mask").parts["lonely"]
        tensor(1)
    """
    _check_settings(temperature, positives, missing)
    z, y, w = _checked(embeddings, targets, weights, others, missing)
    by = _measure(distance, missing, y, others)
    out = unchecked_rnc(
        z, y, temperature=temperature, similarity=similarity, distance=by, weights=w, positives=positives, others=others
    )
    return LossOutput(out.total.to(torch.promote_types(z.dtype, torch.float32)), out.parts)


def unchecked_rnc(
    z: Float[Tensor, "n d"],
    targets: Float[Tensor, "n k"],
    *,
    temperature: float,
    similarity: str | Similarity,
    distance: str | TargetDistance,
    weights: Float[Tensor, " n"] | None = None,
    positives: int | None = None,
    others: Candidates | None = None,
) -> LossOutput:
    """Return `rnc_output` of rows and float64 targets that are known to be sound; NaN goes through to the value.

    Args:
        z: (n, d), `targets`: (n, k), the rest as in `rnc`; weights: (n,) float64.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [3.0]])
        >>> settings = {"temperature": 1.0, "similarity": "l2", "distance": "l1"}
        >>> round(unchecked_rnc(line, line.double(), **settings).total.item(), 6)
        0.125575
    """
    plain = weights is None and positives is None and others is None
    if plain and similarity == "l2" and distance in ("l1", "l2"):
        if z.is_cuda and rnc_triton.usable(z, targets):
            return _all_ranked(rnc_triton.rnc_triton(z, targets[:, 0], temperature))
        if rnc_rows.usable(z, targets):
            return _all_ranked(rnc_rows.rnc_rows(z, targets[:, 0], temperature))
    batch = batch_candidates(z, Tags(target=targets))
    weight = weights
    if others is not None and weights is not None:
        weight = torch.cat([weights, weights.new_ones(len(others.embeddings))])
    return contrast_rows(
        Anchors(z, batch.tags, weights),
        batch if others is None else joined(batch, others),
        similarity=_similarity(similarity),
        temperature=temperature,
        relation=target_relation(distance),
        positives=positives,
        weight=weight,
    )


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
    others = ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return floor(target_distance(distance)(y, y), others, others)


class RnCLoss(nn.Module):
    """`rnc` as a module for anyone's own training loop.

    Args:
        temperature: see `rnc`.
        similarity: see `rnc`.
        distance: see `rnc`.
        positives: see `rnc`.
        missing: see `rnc`.

    Raises:
        ConfigError: for a temperature not above 0, positives below 1 and unknown names, when it is made.

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
        positives: int | None = None,
        missing: Missing = "error",
    ) -> None:
        super().__init__()
        _check_settings(temperature, positives, missing)
        _similarity(similarity)
        target_distance(distance)
        self.temperature = temperature
        self.similarity = similarity
        self.distance = distance
        self.positives = positives
        self.missing: Missing = missing

    def forward(
        self,
        embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
        targets: Shaped[Tensor, "b *k"],
        weights: Float[Tensor, " b"] | None = None,
        others: Candidates | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and `targets` (b,) or (b, k); the rest as in `rnc`."""
        return rnc(
            embeddings,
            targets,
            temperature=self.temperature,
            similarity=self.similarity,
            distance=self.distance,
            weights=weights,
            positives=self.positives,
            missing=self.missing,
            others=others,
        )


# ----------------------------------------------------------------------------------------------------------------------


def _all_ranked(total: Tensor) -> LossOutput:
    return LossOutput(total, {"lonely": torch.zeros((), dtype=torch.int64, device=total.device)})


def _check_settings(temperature: float, positives: int | None, missing: str) -> None:
    check.positive("temperature", temperature)
    check.choice("missing", missing, ("error", "mask"))
    if positives is not None:
        check.between("positives", positives, 1, 1_000_000_000)


def _checked(
    embeddings: Tensor, targets: Tensor, weights: Tensor | None, others: Candidates | None, missing: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return rows (n, d), their targets (n, k) and their weights (n,)."""
    z = check.embeddings(embeddings, "RnC")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.targets(targets, len(z), views, "RnC", missing=missing == "mask")
    if others is not None:
        _check_others(others, z, y, missing)
    return z, y, None if weights is None else check.weights(weights, len(z), views, "RnC")


def _check_others(others: Candidates, z: Tensor, y: Tensor, missing: str) -> None:
    rows, target = others.embeddings, others.tags.target
    if target is None or (rows.shape[1:], target.shape) != (z.shape[1:], (len(rows), y.shape[1])):
        raise ShapeError(
            f"RnC expects other candidates (m, {z.shape[1]}) with targets (m, {y.shape[1]}), got {tuple(rows.shape)} "
            f"with {None if target is None else tuple(target.shape)}. Fill Candidates(embeddings, Tags(target=...))."
        )
    if others.own is not None or others.mask is not None:
        raise ShapeError("RnC's other candidates count for every anchor: leave `own` and `mask` out.")
    fix = "Look at what was put into the queue."
    check.finite(rows, "RnC", "other candidates", fix)
    known = target.masked_fill(target.isnan(), 0.0) if missing == "mask" else target
    check.finite(known, "RnC", "targets of the other candidates", fix)


def _measure(
    distance: str | TargetDistance, missing: str, y: Tensor, others: Candidates | None
) -> str | TargetDistance:
    """Return the distance that knows what to do with NaN; itself where there is none, so that the fast rows apply."""
    if missing == "error" or (others is None and not bool(y.isnan().any())):
        return distance
    by_column = isinstance(distance, str | ColumnDistance) or distance in (l1, l2, angular)
    return partial(distance) if by_column else distance  # a function of the user's own sees the NaN


def _similarity(similarity: str | Similarity) -> Similarity:
    if callable(similarity):
        return similarity
    check.choice("similarity", similarity, SIMILARITIES)
    return SIMILARITIES[similarity]
