"""InfoNCE, which is NT-Xent for two views and CLIP's loss for pairs: find the partner among all candidates.

Source: van den Oord, Li, Vinyals 2018, arXiv 1807.03748, equation 4; Chen et al. (SimCLR) 2020, arXiv 2002.05709,
equation 1 (NT-Xent); Radford et al. (CLIP) 2021, arXiv 2103.00020; He et al. (MoCo) 2020, arXiv 1911.05722, equation 1.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.core.kernels.lse_rows import Positives, log_sum_exp_among, log_sum_exp_rows
from isotone.core.similarity import unit
from isotone.errors import ConfigError, ShapeError

Sides = Literal["one", "two"]


def info_nce(
    embeddings: Float[Tensor, "b v d"] | Float[Tensor, "n d"],
    partners: Float[Tensor, "n d"] | None = None,
    *,
    temperature: float | Float[Tensor, "..."] = 0.1,
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
        temperature: above 0; a tensor of one number may be learned, best as the exponential of a parameter, as in CLIP.
        negatives: (m, d) further negatives of every anchor, from a queue or a bank; no gradient is kept from them.
        sides: `one`, or `two` for the mean over anchors and partners in both roles (only with partners).
        in_batch: whether the other samples' partners count as negatives (only with partners).

    Returns:
        A scalar in float32 or wider. Two views of a single sample have nothing to be told from: 0.

    Raises:
        ShapeError: for other shapes, a single view without partners, NaN or infinity, nothing to tell apart.
        ConfigError: for a temperature not above 0, and settings that need partners without them.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> round(info_nce(z, z, temperature=1.0).item(), 6)  # ln(1 + 1 / e)
        0.313262

    Source: arXiv 1807.03748, equation 4; arXiv 2002.05709, equation 1.
    """
    if isinstance(temperature, Tensor):
        temperature = temperature.to(torch.promote_types(temperature.dtype, torch.float32)).reshape(())
    _check_settings(temperature, sides)
    if partners is None:
        return _views(embeddings, temperature, negatives, sides, in_batch)
    a, b, extra = _pairs(embeddings, partners, negatives, in_batch)
    forth = _one_side(a, b, temperature, extra, in_batch)
    return forth if sides == "one" else (forth + _one_side(b, a, temperature, extra, in_batch)) / 2


class InfoNCELoss(nn.Module):
    """`info_nce` as a module for anyone's own training loop.

    Args:
        temperature: see `info_nce`; an `nn.Parameter` is learned with the rest.
        sides: see `info_nce`.
        in_batch: see `info_nce`.

    Raises:
        ConfigError: for a temperature not above 0 and another `sides`, when it is made.

    Example:
        >>> InfoNCELoss(temperature=0.5)(torch.randn(8, 2, 16)).shape
        torch.Size([])
    """

    def __init__(
        self, temperature: float | Float[Tensor, "..."] = 0.1, sides: Sides = "one", in_batch: bool = True
    ) -> None:
        super().__init__()
        _check_settings(temperature, sides)
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
        return info_nce(
            embeddings,
            partners,
            temperature=self.temperature,
            negatives=negatives,
            sides=self.sides,
            in_batch=self.in_batch,
        )


# ----------------------------------------------------------------------------------------------------------------------


def _check_settings(temperature: float | Tensor, sides: str) -> None:
    check.positive("temperature", temperature.item() if isinstance(temperature, Tensor) else temperature)
    check.choice("sides", sides, ("one", "two"))


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
    _, views, d = embeddings.shape
    z = check.embeddings(embeddings.flatten(0, 1), "InfoNCE")  # the views of a sample side by side: no copy
    extra = None if negatives is None else _negatives(negatives, d)
    itself = torch.arange(len(z), device=z.device)
    sample = itself // views
    weight = torch.full((len(z),), 1 / len(z), dtype=torch.promote_types(z.dtype, torch.float32), device=z.device)
    places = _other_views(itself, views)
    if extra is None and not isinstance(temperature, Tensor):
        positives = Positives(sample, sample, places=places)
        total = log_sum_exp_among(z.to(weight.dtype), temperature**-0.5, weight, positives=positives)
        return total.to(weight.dtype)
    x = unit(z, temperature**-0.5)
    rows = x if extra is None else torch.cat([x, unit(extra.to(x), temperature**-0.5)])
    column = torch.cat([sample, sample.new_full((len(rows) - len(x),), -1)])  # the negatives are nobody's positives
    positives = Positives(sample, column, places=places)
    return log_sum_exp_rows(x, rows, weight, own=itself, positives=positives).to(x.dtype)


def _other_views(itself: Tensor, views: int) -> Tensor:
    """Return the rows (n, v - 1) of each row's sample that are not itself."""
    if views == 2:
        return (itself ^ 1)[:, None]  # one small operation for five: on few rows they are what costs
    others = (itself[:views, None] + itself[1:views]) % views  # (v, v - 1) of each view
    return itself.view(-1, views)[:, others].flatten(0, 1)


def _pairs(
    anchors: Tensor, partners: Tensor, negatives: Tensor | None, in_batch: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return unit rows of one type: anchors, partners and further negatives."""
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
    n, m = len(anchors), 0 if extra is None else len(extra)
    if n == 0 or m + (n - 1) * in_batch == 0:
        raise ShapeError(
            f"InfoNCE tells a partner from negatives, got {n} pair{'s' * (n != 1)} with in_batch={in_batch} and {m} "
            "further negatives. Use a larger batch, or pass negatives from a queue."
        )
    kind = torch.promote_types(anchors.dtype, partners.dtype)
    a, b = unit(anchors.to(kind)), unit(partners.to(kind))
    return a, b, None if extra is None else unit(extra).to(b)


def _negatives(negatives: Tensor, width: int) -> Tensor:
    if negatives.dim() != 2 or negatives.shape[1] != width or not negatives.is_floating_point():
        raise ShapeError(
            f"InfoNCE expects float negatives (m, {width}), got {tuple(negatives.shape)} of {negatives.dtype}. "
            "A queue's are queue.candidates().embeddings."
        )
    check.finite(negatives, "InfoNCE", "negatives", "Look at what was put into the queue or bank.")
    return negatives.detach()


def _one_side(a: Tensor, b: Tensor, temperature: float | Tensor, extra: Tensor | None, in_batch: bool) -> Tensor:
    x = a / temperature
    partner = (x * b).sum(1, keepdim=True)  # (n, 1); the one logit for both its roles, or rounding parts them
    candidates = ([b] if in_batch else []) + ([] if extra is None else [extra])
    rows = candidates[0] if len(candidates) == 1 else torch.cat(candidates)
    own = torch.arange(len(x), device=x.device) if in_batch else None
    total = log_sum_exp_rows(x, rows, x.new_full((len(x),), 1 / len(x)), own=own, more=partner)
    return (total - partner.mean(dtype=total.dtype)).to(x.dtype)
