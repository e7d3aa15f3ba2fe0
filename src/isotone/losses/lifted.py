"""Lifted structure loss: a positive pair against all the negatives of both its rows at once.

Source: Song, Xiang, Jegelka, Savarese, "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016,
arXiv 1511.06452; the generalised form: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person
Re-Identification", arXiv 1703.07737.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.core.similarity import negative_l2
from isotone.records import LossOutput

FORMS = ("published", "generalised")


def lifted(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: float = 1.0,
    form: str = "published",
) -> Float[Tensor, ""]:
    """Push all negatives of a positive pair beyond its distance plus a margin, by a smooth maximum over them.

    `published`: `L = 1/(2|P|) sum over positive pairs (i, j) of [J_ij]+^2`,
    `J_ij = ln( sum_{k neg of i} exp(margin - d_ik) + sum_{k neg of j} exp(margin - d_jk) ) + d_ij`.
    `generalised`: `L = mean over anchors i of [ ln sum_{p pos of i} exp d_ip + ln sum_{k neg of i} exp(margin - d_ik)
    ]+`: all positives of an anchor at once, and not squared.

    `d` is the Euclidean distance of rows that are not normalised. O(n^2) memory; computed in float64 and log space
    inside, finite at every scale. Coincident rows get no gradient from each other.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; float of any width.
        labels: (b,) classes, any integers; b = n for (n, d).
        margin: above 0, in the unit of the distance; the paper's 1.
        form: `published` (Song et al.) or `generalised` (Hermans et al.).

    Returns:
        A scalar in the type of the embeddings (at least float32). The paper sums `generalised` over the anchors; here
        it is the mean over those with a positive. Where no two rows share a class, or all do, the loss is 0, still
        joined to the graph.

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, NaN or infinity, float labels.
        ConfigError: for a margin not above 0 and an unknown form.

    Example:
        >>> corners = torch.eye(2).repeat_interleave(2, 0)
        >>> round(lifted(corners, torch.tensor([0, 0, 1, 1])).item(), 6)  # (ln 4 + 1 - sqrt 2)^2 / 2
        0.472471

    Source: arXiv 1511.06452, equation 4; arXiv 1703.07737, the generalised lifted embedding loss of section 2.
    """
    return lifted_output(embeddings, labels, margin=margin, form=form).total


def lifted_output(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: float = 1.0,
    form: str = "published",
) -> LossOutput:
    """Return `lifted` with what to watch beside it.

    Args:
        embeddings: see `lifted`, as the rest.

    Returns:
        `total`, and `parts`: `lonely`, how many rows share their class with no other.

    Raises:
        ShapeError, ConfigError: as `lifted`.

    Example:
        >>> lifted_output(torch.eye(3), torch.tensor([0, 0, 1])).parts["lonely"].item()
        1
    """
    _check_settings(margin, form)
    z = check.embeddings(embeddings, "Lifted loss")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.labels(labels, z.shape[0], views, "Lifted loss")
    same = y[:, None] == y[None, :]
    positive = same.clone().fill_diagonal_(False)
    parts = {"lonely": (~positive.any(1)).sum()}
    if bool(same.all()):  # no negative: the logarithms of nothing
        value = (z * 0.0).sum()
    else:
        d = -negative_l2(z, z)
        repelled = (margin - d).masked_fill(same, -torch.inf).logsumexp(1)  # (n,); each row has a negative
        value = (_published if form == "published" else _generalised)(d, repelled, positive)
    return LossOutput(value.to(torch.promote_types(z.dtype, torch.float32)), parts)


class LiftedLoss(nn.Module):
    """`lifted` as a module for anyone's own training loop.

    Args:
        margin: see `lifted`.
        form: see `lifted`.

    Raises:
        ConfigError: for a margin not above 0 and an unknown form, when it is made.

    Example:
        >>> loss = LiftedLoss(form="generalised")(torch.randn(8, 2, 16), torch.arange(8) % 4)
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, margin: float = 1.0, form: str = "published") -> None:
        super().__init__()
        _check_settings(margin, form)
        self.margin = margin
        self.form = form

    def forward(
        self, embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and `labels` (b,)."""
        return lifted(embeddings, labels, margin=self.margin, form=self.form)


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(margin: float, form: str) -> None:
    check.positive("margin", margin)
    check.choice("form", form, FORMS)


def _published(d: Tensor, repelled: Tensor, positive: Tensor) -> Tensor:
    j = torch.logaddexp(repelled[:, None], repelled[None, :]) + d
    terms = j.relu().square() * positive  # each pair twice, in the sum and in its size
    return terms.sum() / (2 * positive.sum().clamp_min(1))


def _generalised(d: Tensor, repelled: Tensor, positive: Tensor) -> Tensor:
    attracted = d.masked_fill(~positive, -torch.inf).logsumexp(1)  # -inf without a positive: the term is 0
    return (attracted + repelled).relu().sum() / positive.any(1).sum().clamp_min(1)
