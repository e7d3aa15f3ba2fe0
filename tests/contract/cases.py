"""Every loss of the family in one form, so that what holds for all is tested for all: `loss(z (b, 2, d), y (b,))`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from unittest.mock import patch

import torch
from torch import Tensor

from isotone import losses
from isotone.core import rows
from isotone.core.kernels import lse_rows, rnc_rows

Takes = Literal["targets", "labels", "nothing"]


@dataclass(frozen=True)
class Case:
    """A loss with one choice of settings.

    Args:
        name: of the case, beginning with the loss' public name.
        loss: of two views (b, 2, d) and y (b,).
        takes: real targets, class labels, or nothing but the views.
        symmetric: whether the views may be swapped.
    """

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    takes: Takes
    symmetric: bool = True


def fixed(rows: int, width: int, like: Tensor) -> Tensor:
    """Return rows that are the same in every call: a queue, or noise."""
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(like)


def _moco(z: Tensor, y: Tensor) -> Tensor:
    return losses.info_nce(z[:, 0], z[:, 1], negatives=fixed(5, z.shape[2], z), in_batch=False, temperature=0.5)


def compiled_rnc(z: Tensor, y: Tensor, cells: int = rnc_rows.CELLS) -> Tensor:
    """Return RnC by the compiled rows, which small batches are not worth, in blocks of so many cells."""
    with patch.object(rnc_rows, "FEWEST_ROWS", 2), patch.object(rnc_rows, "CELLS", cells):
        return losses.rnc(z, y)


def rnc_in_blocks(z: Tensor, y: Tensor, cells: int = 1) -> Tensor:
    """Return RnC by the general form, in blocks of so many cells."""
    with patch.object(rnc_rows, "FEWEST_ROWS", 1_000_000), patch.object(rows, "CELLS", cells):
        return losses.rnc(z, y)


def supcon_in_blocks(z: Tensor, y: Tensor, cells: int = 1) -> Tensor:
    """Return SupCon in blocks of so many cells."""
    with patch.object(lse_rows, "CELLS", cells), patch.object(lse_rows, "CACHED", max(1, cells // 2)):
        return losses.supcon(z, y)


def info_nce_in_blocks(z: Tensor, y: Tensor, cells: int = 1) -> Tensor:
    """Return InfoNCE of views in blocks of so many cells."""
    with patch.object(lse_rows, "CELLS", cells), patch.object(lse_rows, "CACHED", max(1, cells // 2)):
        return losses.info_nce(z)


CASES = [
    Case("rnc", losses.rnc, "targets"),
    Case("rnc, compiled", compiled_rnc, "targets"),
    Case("rnc, blocks", rnc_in_blocks, "targets"),
    Case("rnc, cosine", lambda z, y: losses.rnc(z, y, similarity="cosine", temperature=0.1), "targets"),
    Case("rnc, dot", lambda z, y: losses.rnc(z, y, similarity="dot"), "targets"),
    Case("rnc, three positives", lambda z, y: losses.rnc(z, y, positives=3), "targets"),
    Case("rnc, weights", lambda z, y: losses.rnc(z, y, weights=1 + (y.double() % 3)), "targets"),
    Case("rnc, missing", lambda z, y: losses.rnc(z, y, missing="mask"), "targets"),
    Case("supcon, out", losses.supcon, "labels"),
    Case("supcon, in", lambda z, y: losses.supcon(z, y, form="in"), "labels"),
    Case("supcon, blocks", supcon_in_blocks, "labels"),
    Case("info_nce, views", lambda z, y: losses.info_nce(z), "nothing"),
    Case("info_nce, queue", lambda z, y: losses.info_nce(z, negatives=fixed(5, z.shape[2], z)), "nothing"),
    Case("info_nce, pairs", lambda z, y: losses.info_nce(z[:, 0], z[:, 1]), "nothing", symmetric=False),
    Case("info_nce, two sides", lambda z, y: losses.info_nce(z[:, 0], z[:, 1], sides="two"), "nothing"),
    Case("info_nce, queue alone", _moco, "nothing", symmetric=False),
    Case("triplet, all", losses.triplet, "labels"),
    Case("triplet, soft", lambda z, y: losses.triplet(z, y, margin="soft"), "labels"),
    Case("triplet, hard", lambda z, y: losses.triplet(z, y, mining="hard"), "labels"),
    Case("triplet, semi-hard", lambda z, y: losses.triplet(z, y, mining="semi-hard"), "labels"),
    Case("triplet, active", lambda z, y: losses.triplet(z, y, average="active"), "labels"),
    Case("contrastive", losses.contrastive, "labels"),
    Case("contrastive, chopra", lambda z, y: losses.contrastive(z, y, form="chopra", bound=1e3), "labels"),
    Case("n_pair", lambda z, y: losses.n_pair(z[:, 0], z[:, 1]), "nothing", symmetric=False),
    Case("n_pair, norms", lambda z, y: losses.n_pair(z[:, 0], z[:, 1], norm_weight=0.1), "nothing", symmetric=False),
    Case("lifted", losses.lifted, "labels"),
    Case("lifted, generalised", lambda z, y: losses.lifted(z, y, form="generalised"), "labels"),
    Case(
        "nce", lambda z, y: losses.nce(z[:, 0], z[:, 1], fixed(5, z.shape[2], z), instances=9, z=50.0), "nothing", False
    ),
    Case("pirl_nce", lambda z, y: losses.pirl_nce(z[:, 0], z[:, 1], fixed(5, z.shape[2], z)), "nothing", False),
]


def views(b: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return two unequal views of each of b samples, (b, 2, d)."""
    make = torch.Generator().manual_seed(seed)
    sample = torch.randn(b, 1, d, generator=make, dtype=torch.float64)
    return (sample + 0.5 * torch.randn(b, 2, d, generator=make, dtype=torch.float64)).to(dtype)


def answers(case: Case, b: int, seed: int) -> Tensor:
    """Return (b,) integers with ties for real targets, and classes of about three samples."""
    make = torch.Generator().manual_seed(seed + 1)
    return torch.randint(0, 10 if case.takes == "targets" else max(2, b // 3), (b,), generator=make)
