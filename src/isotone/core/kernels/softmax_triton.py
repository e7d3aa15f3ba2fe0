"""Equality losses on a GPU: of a block of logits, each anchor's loss and its gradient in one Triton kernel.

One pass over a row finds the log sums over the candidates and over the positives, a second writes the gradient over
the logits. So a loss over blocks of anchors holds one block of logits and nothing of their size besides.

Needs triton, which CUDA builds of torch bring along.
"""

import sys
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, no_type_check

import torch
from jaxtyping import Float, Int
from torch import Tensor

_CHUNK = 1024  # entries of a row that a program holds at a time


def usable(logits: Float[Tensor, "b m"]) -> bool:
    """Return whether `softmax_rows_triton` can take these: float32, on a CUDA GPU, with triton installed.

    On a CPU only where triton was imported for its interpreter, which is for tests.
    """
    if logits.dtype != torch.float32:
        return False
    if logits.device.type == "cuda":
        supported = torch.version.cuda is not None and torch.cuda.get_device_capability(logits.device) >= (8, 0)
        return supported and compiled() is not None
    kernels = compiled() if logits.device.type == "cpu" and "triton" in sys.modules else None
    return kernels is not None and kernels.interpreted


def softmax_rows_triton(
    logits: Float[Tensor, "b m"],
    label: Int[Tensor, " b"],
    other: Int[Tensor, " m"],
    own: Int[Tensor, " b"],
    form: Literal["out", "in"],
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Return each anchor's loss, and write `d loss_i / d logits_ik` over the logits.

    Of anchor i: A = every column but its own, P = those of A that share its label.
    `out`: `mean over p in P of -log( exp s_ip / sum_{a in A} exp s_ia )`;
    `in`: `-log( mean over p in P of exp s_ip / sum_{a in A} exp s_ia )`.

    Args:
        logits: (b, m) float32 similarity / temperature, rows contiguous; overwritten.
        label: (b,) int64, of the anchors.
        other: (m,) int64, of the candidates.
        own: (b,) int64, the column that is the anchor itself; -1: none.
        form: SupCon's, `out` or `in`; with one positive they are one.

    Returns:
        (b,) float32 losses, and (b,) int64 numbers of positives. Without a positive, loss and gradient are 0.

    Source: Khosla et al. 2020, arXiv 2004.11362, equations 2 and 3.
    """
    kernels = compiled()
    assert kernels is not None, "`usable` was asked before"
    assert logits.stride(1) == 1 or logits.shape[1] == 1, "rows must be contiguous: they are written in place"
    b, m = logits.shape
    loss, count = logits.new_empty(b), label.new_empty(b)
    chunk = min(_CHUNK, 1 << (m - 1).bit_length())
    with torch.cuda.device_of(logits):
        kernels.rows[(b,)](logits, label, other, own, loss, count, m, logits.stride(0), IN=form == "in", CHUNK=chunk)
    return loss, count


class Kernels(NamedTuple):
    """The kernel, and whether Triton's interpreter runs it."""

    rows: Any
    interpreted: bool


@cache
def compiled() -> Kernels | None:
    """Return the kernel, or None where triton is not installed."""
    try:
        import triton  # pyright: ignore[reportMissingImports]
        import triton.language  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    here = globals()
    here["tl"] = triton.language
    for part in (_load, _add_each, _add_up):
        here[part.__name__] = triton.jit(part)
    rows = triton.jit(_rows)
    real = isinstance(rows, triton.JITFunction)  # pyright: ignore[reportUnnecessaryIsInstance]
    return Kernels(rows, interpreted=not real)


# ----------------------------------------------------------------------------------------------------------------------
# Triton's language from here on: `compiled` fills in `tl` and compiles these. A log sum is a pair (top, r) for
# top + log r; each lane keeps its own over the chunks, and they are added up once.

tl: Any = SimpleNamespace(constexpr="constexpr")


@no_type_check
def _rows(logits, label, other, own, loss, count, m, stride, IN: tl.constexpr, CHUNK: tl.constexpr):
    """Of one anchor: the loss, the number of positives, the gradient in place of the logits."""
    row = tl.program_id(0)
    logits += row.to(tl.int64) * stride
    mine, self = tl.load(label + row), tl.load(own + row)
    top, r = tl.full((CHUNK,), -3e38, tl.float32), tl.zeros((CHUNK,), tl.float32)
    top_same, r_same = top, r
    total, number = tl.zeros((CHUNK,), tl.float64), tl.zeros((CHUNK,), tl.int32)
    for step in range(0, tl.cdiv(m, CHUNK)):
        s, keep, same = _load(logits, other, mine, self, step * CHUNK + tl.arange(0, CHUNK), m)
        top, r = _add_each(top, r, s, keep)
        if IN:
            top_same, r_same = _add_each(top_same, r_same, s, same)
        total += tl.where(same, s, 0.0).to(tl.float64)
        number += same.to(tl.int32)
    positives = tl.sum(number)
    some = tl.maximum(positives, 1)
    top, r = _add_up(top, r)
    if IN:
        top_same, r_same = _add_up(top_same, r_same)
        value = top.to(tl.float64) - top_same.to(tl.float64) + tl.log(r) - tl.log(r_same) + tl.log(some.to(tl.float32))
    else:
        value = top.to(tl.float64) - tl.sum(total) / some + tl.log(r)
    tl.store(loss + row, tl.where(positives > 0, value, 0.0).to(tl.float32))
    tl.store(count + row, positives.to(tl.int64))
    for step in range(0, tl.cdiv(m, CHUNK)):
        k = step * CHUNK + tl.arange(0, CHUNK)
        s, keep, same = _load(logits, other, mine, self, k, m)
        share = tl.where(keep, tl.exp(tl.where(keep, s - top, 0.0)) * (1.0 / r), 0.0)
        if IN:
            share -= tl.where(same, tl.exp(tl.where(same, s - top_same, 0.0)) * (1.0 / r_same), 0.0)
        else:
            share -= tl.where(same, 1.0 / some, 0.0)
        tl.store(logits + k, tl.where(positives > 0, share, 0.0), mask=k < m)


@no_type_check
def _load(logits, other, mine, self, k, m):
    """Return a chunk's logits, which of them count, which are positives."""
    keep = (k < m) & (k != self)
    same = keep & (tl.load(other + k, mask=keep, other=0) == mine)
    return tl.load(logits + k, mask=keep, other=0.0), keep, same


@no_type_check
def _add_each(top, r, s, keep):
    """Return each lane's log sum with its logit added."""
    gap = s - top
    ratio = tl.exp(-tl.abs(gap))
    greater = keep & (gap > 0.0)
    return tl.where(greater, s, top), tl.where(greater, r * ratio + 1.0, tl.where(keep, r + ratio, r))


@no_type_check
def _add_up(top, r):
    """Return the log sum of all lanes; of none, one of 0 that a logarithm can take."""
    highest = tl.max(top)
    r = tl.sum(r * tl.exp(top - highest))
    return highest, tl.where(r == 0.0, 1.0, r)
