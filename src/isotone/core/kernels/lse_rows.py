"""Log-sum-exp of each row of a matrix product that is never kept: what every softmax loss costs.

Value and gradient come in one pass over blocks of rows: a product for the logits, and two for the gradient (one, where
a block holds all rows and a is b). Only the gradients (n, d) and (m, d) are kept. What is taken off for the positives
is taken off here, logit by logit: two separate products would round the difference of a converged batch away.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from isotone.check import wide_dtype
from isotone.core.kernels import softmax_triton
from isotone.core.similarity import of_length, pull_back_

CELLS = 2**24  # rows x columns in a block
CACHED = 2**18  # of them worked on at a time, so that they stay in a processor's cache


@dataclass(frozen=True)
class Positives:
    """Which columns are a row's positives: those with its label, its own left out.

    Args:
        row: (n,) labels of the rows, whole numbers up to 2^24: they are compared as floats, which is quicker.
        column: (m,) labels of the columns.
        form: what is taken off the row's log-sum-exp: `out`, the mean of its positives' logits; `in`, the logarithm of
            the mean of their exponentials.
        places: (n, p) the positives' columns, where every row has p of them and the form is `out`: quicker than to
            look for equal labels.
    """

    row: Int[Tensor, " n"]
    column: Int[Tensor, " m"]
    form: Literal["out", "in"] = "out"
    places: Int[Tensor, "n p"] | None = None

    def of(self, rows: slice) -> "Positives":
        """Return the positives of some rows."""
        if rows == slice(0, len(self.row)):
            return self
        return replace(self, row=self.row[rows], places=None if self.places is None else self.places[rows])


def log_sum_exp_rows(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
    weight: Float[Tensor, " n"],
    *,
    own: Int[Tensor, " n"] | None = None,
    more: Float[Tensor, "n e"] | None = None,
    positives: Positives | None = None,
) -> Float[Tensor, ""]:
    """Return `sum_i w_i ( log( sum_{k != own_i} exp s_ik + sum_e exp more_ie ) - positive_i )`, `s_ik = a_i . b_k`.

    `positive_i` is the mean of `s_ip` over the row's positives p, or `log mean exp s_ip`; a row that has none adds 0.
    Each row relative to its greatest logit, whatever autocast says. O(n m d) time, memory for one block and the
    gradients. A row of weight 0, or without any logit, adds 0.

    Args:
        a: (n, d) float32 or float64; a and b may be one tensor.
        b: (m, d) in the same type.
        weight: (n,) constant.
        own: (n,) the column that is the row itself and does not count for it.
        more: (n, e) further logits of each row, such as its partner's.
        positives: what is taken off; nothing by default.

    Returns:
        A float64 scalar: the difference to a positive of the caller's own loses no digits.

    Example:
        >>> a = torch.zeros(2, 3)
        >>> log_sum_exp_rows(a, a, torch.ones(2), own=torch.arange(2)).item()  # 2 ln 1
        0.0
        >>> round(log_sum_exp_rows(a, torch.zeros(4, 3), torch.ones(2)).item(), 4)  # 2 ln 4
        2.7726
    """
    return _Rows.apply(a, b, weight, own, more, positives, None)


def log_sum_exp_among(
    x: Float[Tensor, "n d"], length: float, weight: Float[Tensor, " n"], *, positives: Positives
) -> Float[Tensor, ""]:
    """Return `log_sum_exp_rows` of the rows of x against one another, all set to one length first.

    A row does not count for itself. The gradient goes through the length in the same pass, which spares two tensors of
    the size of x: on few rows the pages of new memory cost as much as a matrix product.

    Args:
        x: (n, d) float32 or float64; a row of zeros stays, see `isotone.core.similarity.unit`.
        length: above 0; 1 / sqrt(temperature) makes products of rows cosine / temperature.
        weight: (n,) constant.
        positives: what is taken off.

    Returns:
        A float64 scalar.

    Example:
        >>> views = Positives(torch.tensor([0, 0]), torch.tensor([0, 0]))
        >>> log_sum_exp_among(torch.ones(2, 3), 1.0, torch.ones(2), positives=views).item()  # ln 1 for each
        0.0
    """
    return _Rows.apply(x, x, weight, torch.arange(len(x), device=x.device), None, positives, length)


# ----------------------------------------------------------------------------------------------------------------------


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        b: Tensor,
        weight: Tensor,
        own: Tensor | None,
        more: Tensor | None,
        positives: Positives | None,
        length: float | None,
    ) -> Tensor:
        a, norm = (a, None) if length is None else of_length(a, length)
        b = b if norm is None else a
        # a block of all rows writes to it, others add to it
        grad_a = torch.empty_like(a) if a is b and len(a) * len(b) <= CELLS else torch.zeros_like(a)
        grad_b = grad_a if a is b else torch.zeros_like(b)
        grad_more = a.new_zeros(len(a), 0) if more is None else more.clone()
        total, m = torch.zeros((), dtype=wide_dtype(a.device), device=a.device), max(1, len(b))
        with torch.autocast(a.device.type, enabled=False):
            for rows in _slices(0, len(a), CELLS // m):
                s = a[rows] @ b.T  # (r, m)
                for few in _slices(rows.start, rows.stop, (CACHED if s.device.type == "cpu" else CELLS) // m):
                    total += _descend(
                        s[few.start - rows.start : few.stop - rows.start],
                        grad_more[few],
                        weight[few],
                        None if own is None else own[few],
                        None if positives is None else positives.of(few),
                    )
                if any(ctx.needs_input_grad):
                    _add_gradient(grad_a, grad_b, s, a, b, rows)
        if norm is not None and length is not None and any(ctx.needs_input_grad):
            pull_back_(grad_a, a, norm, length)
        ctx.save_for_backward(grad_a, None if a is b else grad_b, None if more is None else grad_more)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        whole = grads[0].device.type == "cpu" and grads[0].item() == 1.0  # nothing stands behind the loss
        grad_a, grad_b, grad_more = (
            saved if saved is None or whole else saved * grads[0] for saved in ctx.saved_tensors
        )
        return grad_a, grad_b, None, None, grad_more, None, None


def _slices(first: int, last: int, step: int) -> Iterator[slice]:
    for i in range(first, last, max(1, step)):
        yield slice(i, min(last, i + max(1, step)))


def _descend(
    s: Float[Tensor, "r m"],
    more: Float[Tensor, "r e"],
    weight: Float[Tensor, " r"],
    own: Int[Tensor, " r"] | None,
    positives: Positives | None,
) -> Float[Tensor, ""]:
    """Turn the logits of some rows, `s` and `more`, into the gradient of their terms; return the terms' sum."""
    if s.is_cuda and positives is not None and not more.shape[1] and softmax_triton.usable(s):
        return _descend_fused(s, weight, own, positives)
    if own is not None:
        s.scatter_(1, own[:, None], -torch.inf)
    top = _top(s, more)  # (r, 1)
    s.sub_(top)
    off = None  # (r, m) and (r,): the gradient of what is taken off is the one over the other
    places = None if positives is None else positives.places
    if positives is None:
        base = -top[:, 0]  # what is taken off, relative to top
    elif places is not None:
        base = s.gather(1, places).mean(1)
    else:
        same = _same(s, own, positives)  # (r, m)
        count = same.sum(1)
        weight = weight * (count > 0)
        base, off = (_mean if positives.form == "out" else _log_mean)(s, same, count.clamp_min_(1.0))
    mass = s.exp_().sum(1)
    if more.shape[1]:
        mass += more.sub_(top).exp_().sum(1)
    mass.clamp_min_(1.0)  # the greatest adds 1; 0 where nothing is kept
    wide = wide_dtype(s.device)
    value = (weight * (mass.log().to(wide) - base)).sum()
    scale = (weight / mass)[:, None]
    s.mul_(scale)
    more.mul_(scale)
    if off is not None:
        s.addcmul_(off[0], (weight / off[1])[:, None], value=-1.0)
    if places is not None:
        s.scatter_add_(1, places, (weight / -places.shape[1])[:, None].expand(places.shape))
    return value


def _descend_fused(
    s: Float[Tensor, "r m"], weight: Float[Tensor, " r"], own: Int[Tensor, " r"] | None, positives: Positives
) -> Float[Tensor, ""]:
    """Do what `_descend` does in one kernel of a GPU, for rows without further logits."""
    itself = torch.full((len(s),), -1, device=s.device) if own is None else own
    loss, _ = softmax_triton.softmax_rows_triton(s, positives.row, positives.column, itself, positives.form)
    s.mul_(weight[:, None])
    wide = wide_dtype(s.device)
    return (loss.to(wide) * weight.to(wide)).sum()


def _top(*parts: Float[Tensor, "r _"]) -> Float[Tensor, "r 1"]:
    """Return each row's greatest logit, 0 where there is none."""
    tops = [x.amax(1, keepdim=True) for x in parts if x.shape[1]] or [parts[0].new_zeros(len(parts[0]), 1)]
    top = tops[0] if len(tops) == 1 else torch.cat(tops, 1).amax(1, keepdim=True)
    return top.masked_fill_(top == -torch.inf, 0.0)


def _same(s: Float[Tensor, "r m"], own: Int[Tensor, " r"] | None, positives: Positives) -> Float[Tensor, "r m"]:
    """Return 1 at each row's positives, else 0, as floats: to make, to count and to multiply them is quickest so."""
    row, column = positives.row.to(s.dtype), positives.column.to(s.dtype)
    same = torch.eq(row[:, None], column, out=torch.empty_like(s))
    return same if own is None else same.scatter_(1, own[:, None], 0.0)


def _mean(s: Tensor, same: Float[Tensor, "r m"], count: Float[Tensor, " r"]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the mean of each row's logits at `same` (r,), and its gradient as (r, m) over (r,)."""
    # nansum: the row's own is -inf times 0; any other NaN is in the row's mass too
    return (s * same).nansum(1) / count, (same, count)


def _log_mean(
    s: Tensor, same: Float[Tensor, "r m"], count: Float[Tensor, " r"]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the logarithm of the mean exponential of each row's logits at `same` (r,); the rest as in `_mean`."""
    inside = s.masked_fill(same == 0.0, -torch.inf)
    top = _top(inside)
    mass = inside.sub_(top).exp_().sum(1).clamp_min_(1.0)
    return top[:, 0] + (mass / count).log(), (inside, mass)


def _add_gradient(grad_a: Tensor, grad_b: Tensor, p: Tensor, a: Tensor, b: Tensor, rows: slice) -> None:
    """Add to grad_a (n, d) and grad_b (m, d) what a block's gradient of logits (r, m) does to its rows and columns."""
    if grad_a is grad_b and len(p) == len(a):  # each row is row and column: one product for the two, and no other block
        torch.mm(p + p.T, a, out=grad_a)
        return
    grad_a[rows].addmm_(p, b)
    grad_b.addmm_(p.T, a[rows])
