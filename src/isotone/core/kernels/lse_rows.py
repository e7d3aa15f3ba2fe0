"""Log-sum-exp of each row of a matrix product that is never kept: what every softmax loss costs.

`sum_i w_i log sum_k exp(a_i . b_k)` and its gradient in one pass over blocks of rows: a product for the logits, and
two for the gradient (one, where a block holds all rows and a is b). Only the gradients (n, d) and (m, d) are kept.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CELLS = 2**24  # rows x columns in a block


@dataclass(frozen=True)
class Kept:
    """Which columns count for a row; everything does where nothing is said.

    Args:
        own: (n,) a column that does not count for the row, such as the row itself.
        row: (n,) labels of the rows, and
        column: (m,) of the columns: only equal ones count.
    """

    own: Int[Tensor, " n"] | None = None
    row: Int[Tensor, " n"] | None = None
    column: Int[Tensor, " m"] | None = None


def log_sum_exp_rows(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
    weight: Float[Tensor, " n"],
    kept: Kept | None = None,
    more: Float[Tensor, "n e"] | None = None,
) -> Float[Tensor, ""]:
    """Return `sum_i w_i log( sum over kept k of exp(a_i . b_k) + sum_e exp(more_ie) )`.

    In the type of `a`, float32 or float64, whatever autocast says; each row relative to its greatest logit. O(n m d)
    time, memory for one block and the gradients. A row with weight 0, or where nothing is kept, adds 0.

    Args:
        a: (n, d) float32 or float64; a and b may be one tensor.
        b: (m, d) in the same type.
        weight: (n,) constant.
        kept: which columns count.
        more: (n, e) further logits of each row, such as those of drawn negatives.

    Example:
        >>> a = torch.zeros(2, 3)
        >>> round(log_sum_exp_rows(a, a, torch.ones(2), Kept(own=torch.arange(2))).item(), 4)  # 2 ln 1
        0.0
        >>> round(log_sum_exp_rows(a, torch.zeros(4, 3), torch.ones(2)).item(), 4)  # 2 ln 4
        2.7726
    """
    return _Rows.apply(a, b, weight, kept or Kept(), more)


# ----------------------------------------------------------------------------------------------------------------------


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, weight: Tensor, kept: Kept, more: Tensor | None) -> Tensor:
        same = a is b
        wanted = any(ctx.needs_input_grad)
        grad_a = torch.zeros_like(a)
        grad_b = grad_a if same else torch.zeros_like(b)
        grad_more = None if more is None else torch.zeros_like(more)
        total, step = a.new_zeros(()), max(1, CELLS // max(1, len(b)))
        with torch.autocast(a.device.type, enabled=False):
            for first in range(0, len(a), step):
                rows = slice(first, first + step)
                p = _logits(a, b, kept, rows)  # (b, m)
                extra = None if more is None else more[rows]
                top, mass = _exponentiate(p, extra)
                total += (weight[rows] * (top + torch.where(mass > 0, mass, 1.0).log())).sum()
                if not wanted:
                    continue
                scale = torch.where(mass > 0, weight[rows] / mass, 0.0)
                p.mul_(scale[:, None])  # the softmax, weighted
                if grad_more is not None and extra is not None:
                    grad_more[rows] = (extra - top[:, None]).exp_().mul_(scale[:, None])
                if same and len(p) == len(a):  # each row is row and column: one product for the two
                    grad_a.addmm_(p + p.T, a)
                else:
                    grad_a[rows].addmm_(p, b)
                    grad_b.addmm_(p.T, a[rows])
        ctx.same, ctx.more = same, more is not None
        if wanted:
            ctx.save_for_backward(grad_a, grad_b, *([] if grad_more is None else [grad_more]))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad_a, grad_b, *rest = (saved * grads[0] for saved in ctx.saved_tensors)
        return grad_a, None if ctx.same else grad_b, None, None, rest[0] if rest else None


def _logits(a: Tensor, b: Tensor, kept: Kept, rows: slice) -> Tensor:
    s = a[rows] @ b.T
    if kept.row is not None and kept.column is not None:
        s.masked_fill_(kept.row[rows, None] != kept.column, -torch.inf)
    if kept.own is not None:
        own = kept.own[rows]
        s[torch.arange(len(s), device=s.device), own] = -torch.inf
    return s


def _exponentiate(s: Tensor, more: Tensor | None) -> tuple[Tensor, Tensor]:
    """Replace the logits by exp(s - top); return each row's top (b,) and the mass above it (b,), more included."""
    top = s.amax(1) if s.shape[1] else s.new_full((len(s),), -torch.inf)
    if more is not None:
        top = torch.maximum(top, more.amax(1))
    top = top.nan_to_num(neginf=0.0, nan=torch.nan)
    mass = s.sub_(top[:, None]).exp_().sum(1)
    return top, mass if more is None else mass + (more - top[:, None]).exp().sum(1)
