"""N-pair loss: each anchor picks its own positive out of those of all classes in the batch.

Source: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS 2016.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.core.contrast import contrast
from isotone.core.similarity import dot
from isotone.errors import ShapeError


def n_pair(
    anchors: Float[Tensor, "n d"],
    positives: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"] | None = None,
    *,
    norm_weight: float = 0.0,
) -> Float[Tensor, ""]:
    """Contrast each anchor's positive with the positives of all other classes, by dot products.

    `L = mean_i log(1 + sum_{j: y_j != y_i} exp(f_i g_j - f_i g_i)) + norm_weight * mean ||.||^2`, f the anchors, g the
    positives, the squared norm averaged over all 2n rows. With one pair a class, as published, the first term is the
    cross-entropy of the n x n dot products. It goes one way: g is never an anchor.

    Rows are not normalised, so nothing but `norm_weight` holds their length. Computed in float64 inside, finite at
    every scale; O(n^2) memory.

    Args:
        anchors: (n, d) f, one row a pair; float of any width.
        positives: (n, d) g, row i of the class of anchor i.
        labels: (n,) classes of the pairs, any integers; None: each pair is a class of its own. Where a class comes
            twice, its pairs are left out of each other's sum: they are no negatives.
        norm_weight: at least 0. The paper regularises, but gives no number; TensorFlow's `reg_lambda=0.002`, which
            halves the mean, is 0.001 here.

    Returns:
        A scalar in the type of the embeddings (at least float32). With one class there is nothing to pick from and
        the first term is 0. Every anchor has its positive, so none is ever lonely.

    Raises:
        ShapeError: unless both are (n, d) floats of one shape, for fewer than two rows, NaN or infinity, float labels.
        ConfigError: for a `norm_weight` below 0 or above 1,000,000.

    Example:
        >>> f = torch.eye(2)
        >>> round(n_pair(f, f).item(), 6)  # ln(1 + 1/e)
        0.313262

    Source: Sohn 2016, the multi-class N-pair loss with the L2 regularisation of section 3.2.
    """
    _check_settings(norm_weight)
    if anchors.dim() != 2 or anchors.shape != positives.shape:
        raise ShapeError(
            f"N-pair loss expects anchors and positives (n, d) of one shape, got {tuple(anchors.shape)} and "
            f"{tuple(positives.shape)}. From two views (b, 2, d): n_pair(z[:, 0], z[:, 1])."
        )
    f, g = check.embeddings(anchors, "N-pair loss"), check.embeddings(positives, "N-pair loss")
    own = torch.eye(len(f), dtype=torch.bool, device=f.device)
    mask = torch.ones_like(own)
    if labels is not None:
        y = check.labels(labels, len(f), 1, "N-pair loss")
        mask = own | (y[:, None] != y[None, :])
    value = contrast(dot(f, g), (~own).float(), mask, positive=own)
    if norm_weight:
        wide = check.wide_dtype(f.device)
        value = value + norm_weight * torch.cat([f.to(wide), g.to(wide)]).square().sum(1).mean()
    return value.to(torch.promote_types(torch.promote_types(f.dtype, g.dtype), torch.float32))


class NPairLoss(nn.Module):
    """`n_pair` as a module for anyone's own training loop.

    Args:
        norm_weight: see `n_pair`.

    Raises:
        ConfigError: for a `norm_weight` below 0 or above 1,000,000, when it is made.

    Example:
        >>> z = torch.randn(8, 2, 16)
        >>> loss = NPairLoss(norm_weight=0.001)(z[:, 0], z[:, 1])
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, norm_weight: float = 0.0) -> None:
        super().__init__()
        _check_settings(norm_weight)
        self.norm_weight = norm_weight

    def forward(
        self, anchors: Float[Tensor, "n d"], positives: Float[Tensor, "n d"], labels: Int[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """Return the loss of `anchors` (n, d), `positives` (n, d) and perhaps `labels` (n,)."""
        return n_pair(anchors, positives, labels, norm_weight=self.norm_weight)


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(norm_weight: float) -> None:
    check.between("norm_weight", norm_weight, 0.0, 1e6)
