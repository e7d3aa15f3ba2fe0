"""Contrastive pair loss: rows of one class attract each other, rows of two classes repel each other.

Source: Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
doi 10.1109/CVPR.2006.100; Chopra, Hadsell, LeCun, "Learning a Similarity Metric Discriminatively, with Application to
Face Verification", CVPR 2005, doi 10.1109/CVPR.2005.202.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from isotone import check
from isotone.core.similarity import negative_l2
from isotone.errors import ConfigError
from isotone.records import LossOutput

FORMS = ("hadsell", "chopra")
BLOCK = 1 << 18  # differences of coordinates held at once: 2 MiB in float64, which a processor's cache holds


def contrastive(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: float = 1.0,
    form: str = "hadsell",
    bound: float | None = None,
) -> Float[Tensor, ""]:
    """Bring rows of one class together and push rows of two classes apart, pair by pair.

    `hadsell`: `L = mean over pairs of 1/2 s d^2 + 1/2 (1 - s) [margin - d]+^2`, `d` the Euclidean distance,
    `chopra`: `L = mean over pairs of s (2/Q) e^2 + (1 - s) 2Q exp(-2.77 e/Q)`, `e` the L1 distance, Q = `bound`,
    s = 1 for two rows of one class and 0 for rows of two; each pair counts once, a row with itself does not.

    Time O(n^2 d), memory O(n^2). Computed in float64 inside, finite at every scale. Rows are not normalised. Coincident
    rows get no gradient from each other, not even those of two classes, for which no direction leads apart.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; float of any width.
        labels: (b,) classes, any integers; b = n for (n, d).
        margin: above 0, the distance at which rows of two classes stop repelling; `hadsell` alone uses it. The
            paper leaves it open; 1 is the usual one.
        form: `hadsell` (2006, the one in use) or `chopra` (2005).
        bound: Q, above 0, the largest L1 distance two embeddings can have; `chopra` alone uses it and must be told.
            For coordinates within [-1, 1] it is 2 d, for unit rows 2 sqrt(d). Larger distances do no harm.

    Returns:
        A scalar in the type of the embeddings (at least float32). Pairs of two classes count where no two rows share
        a class, and the other way round.

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, NaN or infinity, float labels.
        ConfigError: for a margin or bound not above 0, an unknown form, and `chopra` without a bound.

    Example:
        >>> corners = torch.eye(2)
        >>> round(contrastive(corners, torch.tensor([0, 1]), margin=2.0).item(), 6)  # (2 - sqrt 2)^2 / 2
        0.171573

    Source: Hadsell et al. 2006, equation 4; Chopra et al. 2005, the loss of section 2.
    """
    return contrastive_output(embeddings, labels, margin=margin, form=form, bound=bound).total


def contrastive_output(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    margin: float = 1.0,
    form: str = "hadsell",
    bound: float | None = None,
) -> LossOutput:
    """Return `contrastive` with what to watch beside it.

    Args:
        embeddings: see `contrastive`, as the rest.

    Returns:
        `total`, and `parts`: `lonely`, how many rows share their class with no other.

    Raises:
        ShapeError, ConfigError: as `contrastive`.

    Example:
        >>> contrastive_output(torch.eye(3), torch.tensor([0, 0, 1])).parts["lonely"].item()
        1
    """
    _check_settings(margin, form, bound)
    z = check.embeddings(embeddings, "Contrastive loss")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.labels(labels, z.shape[0], views, "Contrastive loss")
    same = y[:, None] == y[None, :]  # the diagonal stays: a distance of 0 costs a row nothing
    terms = _hadsell(z, same, margin) if bound is None or form == "hadsell" else _chopra(z, same, bound)
    value = terms.sum() / (len(z) * (len(z) - 1))
    parts = {"lonely": (same.sum(1) == 1).sum()}
    return LossOutput(value.to(torch.promote_types(z.dtype, torch.float32)), parts)


class ContrastiveLoss(nn.Module):
    """`contrastive` as a module for anyone's own training loop.

    Args:
        margin: see `contrastive`.
        form: see `contrastive`.
        bound: see `contrastive`.

    Raises:
        ConfigError: for a margin or bound not above 0, an unknown form, `chopra` without a bound, when it is made.

    Example:
        >>> loss = ContrastiveLoss(margin=1.0)(torch.randn(8, 2, 16), torch.arange(8) % 4)
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, margin: float = 1.0, form: str = "hadsell", bound: float | None = None) -> None:
        super().__init__()
        _check_settings(margin, form, bound)
        self.margin = margin
        self.form = form
        self.bound = bound

    def forward(
        self, embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and `labels` (b,)."""
        return contrastive(embeddings, labels, margin=self.margin, form=self.form, bound=self.bound)


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(margin: float, form: str, bound: float | None) -> None:
    check.positive("margin", margin)
    check.choice("form", form, FORMS)
    if bound is not None:
        check.positive("bound", bound)
    elif form == "chopra":
        raise ConfigError(
            "`form` chopra needs `bound`, the largest L1 distance two embeddings can have, got None. "
            "Coordinates within [-1, 1]: 2 * width; unit rows: 2 * sqrt(width)."
        )


def _hadsell(z: Tensor, same: Tensor, margin: float) -> Tensor:
    d = -negative_l2(z, z)
    return torch.where(same, d, (margin - d).relu()).square() / 2


def _chopra(z: Tensor, same: Tensor, bound: float) -> Tensor:
    e = _L1.apply(z) / bound
    return 2 * bound * torch.where(same, e.square(), torch.exp(-2.77 * e))


class _L1(torch.autograd.Function):
    """Distances sum_k |z_ik - z_jk| (n, n); torch's own gradient of them takes n * n * d memory on a GPU."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        x = z.to(check.wide_dtype(z.device))
        ctx.save_for_backward(x)
        ctx.dtype = z.dtype
        return torch.cdist(x, x, p=1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        w = (grads[0] + grads[0].T)[:, None]  # (n, 1, n): a row is on both sides
        rows = max(1, BLOCK // x.numel())
        blocks = zip(w.split(rows), x.split(rows), strict=True)
        grad = torch.cat([(part @ (own[:, None] - x).sign())[:, 0] for part, own in blocks])
        return grad.to(ctx.dtype)
