"""InfoNCE, which is NT-Xent for two views and CLIP's loss for pairs: find the partner among all candidates.

Source: van den Oord, Li, Vinyals 2018, arXiv 1807.03748, equation 4; Chen et al. (SimCLR) 2020, arXiv 2002.05709,
equation 1 (NT-Xent); Radford et al. (CLIP) 2021, arXiv 2103.00020; He et al. (MoCo) 2020, arXiv 1911.05722, equation 1.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.core.kernels.lse_rows import Kept, log_sum_exp_rows
from isotone.core.similarity import unit
from isotone.errors import ConfigError, ShapeError
from isotone.losses.supcon import unchecked_supcon

Sides = Literal["one", "two"]


def info_nce(
    embeddings: Float[Tensor, "b v d"] | Float[Tensor, "n d"],
    partners: Float[Tensor, "n d"] | None = None,
    *,
    temperature: float | Float[Tensor, ""] = 0.1,
    negatives: Float[Tensor, "m d"] | None = None,
    sides: Sides = "one",
    in_batch: bool = True,
) -> Float[Tensor, ""]:
    """Tell each anchor's partner from everything else.

    `L = mean_i -log( exp s_ip / ( exp s_ip + sum over the negatives k of exp s_ik ) )`, `s = cosine / temperature`.

    - `info_nce(views)`, (b, v, d): NT-Xent of SimCLR. Each row is an anchor, the other views of its sample are partners
      (more than one: the mean over them), every other row of the batch stands in the denominator.
    - `info_nce(anchors, partners)`: row i's partner is row i of the other; its negatives are the other partners. CLIP:
      `sides="two"`, the mean of both directions. MoCo: `in_batch=False, negatives=queue`, its queue's rows alone.

    Rows are normalised inside; float32 or wider; no n x m matrix is kept. All rows equal gives ln(candidates).
    `ln(candidates) - L` is a lower bound of the mutual information.

    Args:
        embeddings: (b, v, d) views, v >= 2, or (n, d) anchors; any float type and scale.
        partners: (n, d) where the embeddings are anchors.
        temperature: above 0; a tensor may be learned.
        negatives: (m, d) further negatives of every anchor, from a queue or a bank; no gradient is kept from them.
        sides: `one`, or `two` for the mean over anchors and partners in both roles (only with partners).
        in_batch: whether the other samples' partners count as negatives (only with partners).

    Returns:
        A scalar in float32 or wider.

    Raises:
        ShapeError: for other shapes, a single view without partners, NaN or infinity, nothing to tell apart.
        ConfigError: for a temperature not above 0, and settings that need partners without them.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> round(info_nce(z, z, temperature=1.0).item(), 6)  # ln(1 + 1 / e)
        0.313262

    Source: arXiv 1807.03748, equation 4; arXiv 2002.05709, equation 1.
    """
    if not isinstance(temperature, Tensor):
        check.positive("temperature", temperature)
    check.choice("sides", sides, ("one", "two"))
    if partners is None:
        return _views(embeddings, temperature, negatives, sides, in_batch)
    a, b, extra = _pairs(embeddings, partners, negatives, in_batch)
    forth = _one_side(a, b, temperature, extra, in_batch)
    return forth if sides == "one" else (forth + _one_side(b, a, temperature, extra, in_batch)) / 2


class InfoNCELoss(nn.Module):
    """`info_nce` as a module for anyone's own training loop.

    Args:
        temperature: see `info_nce`.
        sides: see `info_nce`.
        in_batch: see `info_nce`.

    Raises:
        ConfigError: for a temperature not above 0 and another `sides`, when it is made.

    Example:
        >>> InfoNCELoss(temperature=0.5)(torch.randn(8, 2, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float = 0.1, sides: Sides = "one", in_batch: bool = True) -> None:
        super().__init__()
        check.positive("temperature", temperature)
        check.choice("sides", sides, ("one", "two"))
        self.temperature = temperature
        self.sides: Sides = sides
        self.in_batch = in_batch

    def forward(
        self,
        embeddings: Float[Tensor, "b v d"] | Float[Tensor, "n d"],
        partners: Float[Tensor, "n d"] | None = None,
        negatives: Float[Tensor, "m d"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss of views (b, v, d), or of anchors and partners (n, d), with further negatives (m, d)."""
        settings = {"temperature": self.temperature, "sides": self.sides, "in_batch": self.in_batch}
        return info_nce(embeddings, partners, negatives=negatives, **settings)  # pyright: ignore[reportArgumentType]


# ----------------------------------------------------------------------------------------------------------------------


def _views(
    embeddings: Tensor, temperature: float | Tensor, negatives: Tensor | None, sides: Sides, in_batch: bool
) -> Tensor:
    if sides != "one" or not in_batch:
        raise ConfigError(
            "`sides` and `in_batch` describe pairs: pass info_nce(anchors, partners). "
            "Views (b, v, d) are always contrasted from every side, within the batch."
        )
    if embeddings.dim() != 3 or embeddings.shape[1] < 2:
        raise ShapeError(
            f"InfoNCE expects two or more views (b, v, d), got {tuple(embeddings.shape)}: with one view nothing is "
            "positive. Stack two augmented views: torch.stack((z1, z2), 1); or pass info_nce(anchors, partners)."
        )
    z = check.embeddings(embeddings, "InfoNCE")
    b, views, d = embeddings.shape
    sample = torch.arange(b, device=z.device).repeat(views)
    if negatives is None:
        return unchecked_supcon(z, sample, temperature=temperature).total
    extra = _negatives(negatives, d).to(z.device)
    x = unit(z) / temperature**0.5
    rows = torch.cat([x, (unit(extra) / temperature**0.5).to(x)])
    n = len(x)
    spread = log_sum_exp_rows(x, rows, x.new_full((n,), 1 / n), Kept(own=torch.arange(n, device=x.device)))
    sums = x.new_zeros(b, d).index_add(0, sample, x)
    return spread - (x * (sums[sample] - x)).sum() / (n * (views - 1))


def _pairs(
    anchors: Tensor, partners: Tensor, negatives: Tensor | None, in_batch: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    if anchors.dim() != 2 or anchors.shape != partners.shape:
        raise ShapeError(
            f"InfoNCE expects anchors and partners of one shape (n, d), got {tuple(anchors.shape)} and "
            f"{tuple(partners.shape)}. Row i of the one is the partner of row i of the other."
        )
    for z, what in ((anchors, "anchors"), (partners, "partners")):
        if not z.is_floating_point():
            raise ShapeError(f"InfoNCE expects float {what}, got {z.dtype}. Use {what}.float().")
        check.finite(z, "InfoNCE", what, "The network has diverged or its input is damaged: look at the loss before.")
    extra = None if negatives is None else _negatives(negatives, anchors.shape[1])
    if (len(anchors) < 2 or not in_batch) and (extra is None or len(extra) == 0):
        raise ShapeError(
            f"InfoNCE needs negatives, got {len(anchors)} pair{'s' * (len(anchors) != 1)} with in_batch={in_batch} and "
            "none beside. Use a larger batch, or pass negatives from a queue."
        )
    return anchors, partners, extra


def _negatives(negatives: Tensor, width: int) -> Tensor:
    if negatives.dim() != 2 or negatives.shape[1] != width or not negatives.is_floating_point():
        raise ShapeError(
            f"InfoNCE expects float negatives (m, {width}), got {tuple(negatives.shape)} of {negatives.dtype}. "
            "A queue's are queue.candidates().embeddings."
        )
    check.finite(negatives, "InfoNCE", "negatives", "Look at what was put into the queue or bank.")
    return negatives.detach()


def _one_side(a: Tensor, b: Tensor, temperature: float | Tensor, extra: Tensor | None, in_batch: bool) -> Tensor:
    x, y = unit(a) / temperature, unit(b)
    weight = x.new_full((len(x),), 1 / len(x))
    partner = (x * y).sum(1, keepdim=True)
    candidates = [y] if in_batch else []
    candidates += [] if extra is None else [unit(extra).to(y)]
    more = None if in_batch else partner
    rows = candidates[0] if len(candidates) == 1 else torch.cat(candidates)
    return log_sum_exp_rows(x, rows, weight, more=more) - partner.mean()
