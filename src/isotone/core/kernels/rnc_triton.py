"""RnC for scalar targets and Euclidean distances on a GPU: value and gradient block by block of anchors, in Triton.

With the rows sorted by target, what lies at least as far from an anchor as j is a prefix and a suffix of the row, and
what lies at most as far is the rest. So a row takes three kernels, each of which reads only what those before it wrote:
the distances, and log sums from the far ends to k; with one binary search for each j, on the other side of the anchor,
log Z_ij, and log sums of 1/Z_ij from the near ends to k; the gradient. Ties are decided on the rounded differences
|y_k - y_i|. Where no rounding can make two of them equal, equal targets are all the ties there are on one side.

Log sums are pairs (a term of the sum in float64, the sum over it in float32), so a difference of logits loses nothing
at any scale, and the exponentials are cheap. The Gram product is of float64: near duplicates do not cancel, and torch's
TF32 setting does not reach it. On the GPUs of data centres such products run as fast as those of float32 and those of
the gradient are of float64 too; elsewhere these follow torch's float32 settings.

Needs triton, which CUDA builds of torch bring along. Without it, or with other targets, `contrast` does the same.
"""

import sys
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_ENTRIES = 2**26  # of a block of anchors by n
_MOST_ROWS = 4096  # more do not make the products faster
_CHUNK = 1024  # entries of a row that a program holds at a time
_TILE = 1024  # entries that it holds: short rows are taken several at a time
_FAST_FLOAT64 = ((8, 0), (9, 0), (10, 0))  # A100, H100 and H200, B200


def usable(z: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> bool:
    """Return whether `rnc_triton` can take these: scalar targets, no float64, on a CUDA GPU, with triton installed.

    On a CPU only where triton was imported for its interpreter, which is for tests.
    """
    if targets.shape[1] != 1 or z.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return False
    if z.device.type == "cuda":
        supported = torch.version.cuda is not None and torch.cuda.get_device_capability(z.device) >= (8, 0)
        return supported and compiled() is not None
    kernels = compiled() if z.device.type == "cpu" and "triton" in sys.modules else None
    return kernels is not None and kernels.interpreted


def rnc_triton(z: Float[Tensor, "n d"], targets: Float[Tensor, " n"], temperature: float) -> Float[Tensor, ""]:
    """Return RnC with `s_ij = -||z_i - z_j|| / temperature` and `d_ij = |y_i - y_j|`.

    Adds to the memory 28 bytes (32 without fast float64) for each entry of a block of anchors by n, 1.9 GB at most, and
    24 n d bytes; of that the gradient, (n, d) in float32, is kept for the backward pass.

    Args:
        z: (n, d) embeddings: float32, float16 or bfloat16.
        targets: (n,) float64.
        temperature: above 0.

    Returns:
        A float64 scalar on the device of z. Exponentials and sums of exponentials are of float32.

    Source: Zha et al. 2023, arXiv 2210.01189, equations 1-3.
    """
    return _Blocks.apply(z, targets, temperature)


class Kernels(NamedTuple):
    """The three kernels of a block of rows, and whether Triton's interpreter runs them."""

    far_to_near: Any
    near_to_far: Any
    pull: Any
    interpreted: bool


@cache
def compiled() -> Kernels | None:
    """Return the kernels, or None where triton is not installed."""
    try:
        import triton  # pyright: ignore[reportMissingImports]
        import triton.language  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    here = globals()
    here["tl"] = triton.language
    for part in (_add, _log_add, _carry_on, _find, _at_least, _at_most, _rows, _far_side, _near_side, _pull_side):
        here[part.__name__] = triton.jit(part)
    jit = triton.jit(do_not_specialize=["first", "count", "step"])
    kernels = [jit(kernel) for kernel in (_far_to_near, _near_to_far, _pull)]
    real = isinstance(kernels[0], triton.JITFunction)  # pyright: ignore[reportUnnecessaryIsInstance]
    return Kernels(*kernels, interpreted=not real)


# ----------------------------------------------------------------------------------------------------------------------


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, targets: Tensor, temperature: float) -> Tensor:
        y, order = targets.sort(stable=True)
        n = len(y)
        x = z.detach()[order].to(torch.float64)
        x -= x.mean(0)  # far from the origin the Gram matrix cancels; moving all rows changes no distance
        x /= temperature
        with torch.cuda.device_of(z), torch.autocast(z.device.type, enabled=False):
            value, grad = _value_and_gradient(x, y)
        grad *= 1.0 / (n * (n - 1) * temperature)
        ctx.save_for_backward(torch.empty_like(grad, dtype=torch.float32).index_copy_(0, order, grad.float()))
        ctx.dtype = z.dtype
        return value / (n * (n - 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (ctx.saved_tensors[0] * grads[0]).to(ctx.dtype), None, None


def _value_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return `sum_ij log Z_ij - s_ij` and its gradient for rows sorted by target and divided by the temperature."""
    kernels = compiled()
    assert kernels is not None, "`usable` was asked before"
    n = len(x)
    rows = max(1, min(n, _MOST_ROWS, _ENTRIES // n))
    chunk = min(_CHUNK, 1 << (n - 1).bit_length())
    tile = {"ROWS": max(1, _TILE // chunk), "CHUNK": chunk}
    lengths, line = x.square().sum(1), _line(y)
    buffers, opposite = x.new_empty(3, rows, n), y.new_empty(rows, n, dtype=torch.int32)
    value, drawn = x.new_empty(n), x.new_empty(n)
    products = x.to(_product_type(x.device))
    grad, total = torch.zeros_like(products), x.new_zeros(n)
    for first in range(0, n, rows):
        own = slice(first, min(first + rows, n))
        place = (n, first, own.stop - first)
        gram, far, near = buffers[:, : place[2]]
        grid = (-(-place[2] // tile["ROWS"]),)
        torch.mm(x[own], x.T, out=gram)
        kernels.far_to_near[grid](gram, far, lengths, value, *place, **tile)
        kernels.near_to_far[grid](far, near, opposite, value, *line, *place, **tile)
        kernels.pull[grid](gram, near, opposite, drawn, *line, *place, **tile)
        total[own] += drawn[own]
        total += gram.sum(0)
        pull = gram.to(products.dtype)
        grad[own].addmm_(pull, products)  # a row is anchor
        grad.addmm_(pull.T, products[own])  # and candidate
    return value.sum(), grad.addcmul_(total[:, None].to(grad.dtype), products, value=-1.0)


def _product_type(device: torch.device) -> torch.dtype:
    """Return the type of the gradient's products."""
    slow = device.type == "cuda" and torch.cuda.get_device_capability(device) not in _FAST_FLOAT64
    return torch.float32 if slow else torch.float64


def _line(y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Return the sorted targets with infinity behind them, so that a search needs no bounds; where each one's equals
    begin and end; whether rounding might make other differences equal as well; the first step of a search.
    """
    n = len(y)
    step = 1 << (n.bit_length() - 1)
    gaps = y.diff()
    smallest = torch.where(gaps > 0, gaps, torch.inf).amin()
    crowded = (smallest <= (y[-1] - y[0]) * 2.0**-50).int()
    begin, end = (torch.searchsorted(y, y, out_int32=True, right=right) for right in (False, True))
    return torch.cat([y, y.new_full((2 * step,), torch.inf)]), begin, end, crowded, step


# ----------------------------------------------------------------------------------------------------------------------
# Triton's language from here on: `compiled` fills in `tl` and compiles these. A log sum is a pair (m, r) for
# m + log r; the empty one is (-1e300, 1), which adds nothing to any other, and no difference is infinity less infinity.

tl: Any = SimpleNamespace(constexpr="constexpr")


@no_type_check
def _far_to_near(gram, far, lengths, value, n, first, count, ROWS: tl.constexpr, CHUNK: tl.constexpr):
    """Of each anchor: the distances, in place of the Gram row; at k the log sum of -distance from k's far end to k."""
    i, live, base, low, high = _rows(n, first, count, ROWS)
    own = tl.load(lengths + i)
    total = tl.zeros((ROWS, CHUNK), tl.float64)
    m, r = tl.full((ROWS, 1), -1e300, tl.float64), tl.full((ROWS, 1), 1.0, tl.float32)
    for step in range(0, tl.cdiv(high, CHUNK)):
        k = step * CHUNK + tl.arange(0, CHUNK)[None, :]
        m, r, total = _far_side(gram + base, far + base, lengths, own, k, live & (k < i), m, r, total, False)
    m, r = tl.full((ROWS, 1), -1e300, tl.float64), tl.full((ROWS, 1), 1.0, tl.float32)
    last = tl.cdiv(n, CHUNK) - 1
    for step in range(0, last + 1 - (low + 1) // CHUNK):
        k = (last - step) * CHUNK + tl.arange(0, CHUNK)[None, :]
        keep = live & (k > i) & (k < n)
        m, r, total = _far_side(gram + base, far + base, lengths, own, k, keep, m, r, total, True)
    tl.store(value + i, tl.sum(total, 1, keep_dims=True), mask=live)


@no_type_check
def _far_side(gram, far, lengths, own, k, keep, m, r, total, RIGHT: tl.constexpr):
    """Of one chunk to one side of the anchors; return the log sum up to it and the sum of distances."""
    sides = own + tl.load(lengths + k, mask=keep, other=0.0)
    squared = sides - 2.0 * tl.load(gram + k, mask=keep, other=0.0)
    same = squared <= 1.4210854715202004e-14 * sides  # 64 times float64's rounding; NaN goes through
    distance = tl.where(same, 0.0, tl.sqrt(tl.where(same, 1.0, squared)))
    tl.store(gram + k, distance, mask=keep)
    sums, m, r = _carry_on(-distance, keep, m, r, RIGHT)
    tl.store(far + k, sums, mask=keep)
    return m, r, total + tl.where(keep, distance, 0.0)


@no_type_check
def _near_to_far(
    far, near, opposite, value, y, begin, end, crowded, step, n, first, count, ROWS: tl.constexpr, CHUNK: tl.constexpr
):
    """Of each anchor: at k the log sum of 1/Z from k's near end to k; adds all log Z to the value.

    Leaves in `opposite` where the search on the other side ended.
    """
    i, live, base, low, high = _rows(n, first, count, ROWS)
    own, tied = tl.load(y + i), tl.load(crowded)
    total = tl.zeros((ROWS, CHUNK), tl.float64)
    m, r = tl.full((ROWS, 1), -1e300, tl.float64), tl.full((ROWS, 1), 1.0, tl.float32)
    chunks = tl.cdiv(high, CHUNK)
    for turn in range(0, chunks):
        k = (chunks - 1 - turn) * CHUNK + tl.arange(0, CHUNK)[None, :]
        keep = live & (k < i)
        before, after = _at_least(y, begin, end, tied, step, own, i, k, keep, opposite + base, True)
        m, r, total = _near_side(far + base, near + base, before, after, n, k, keep, m, r, total, True)
    m, r = tl.full((ROWS, 1), -1e300, tl.float64), tl.full((ROWS, 1), 1.0, tl.float32)
    for turn in range((low + 1) // CHUNK, tl.cdiv(n, CHUNK)):
        k = turn * CHUNK + tl.arange(0, CHUNK)[None, :]
        keep = live & (k > i) & (k < n)
        before, after = _at_least(y, begin, end, tied, step, own, i, k, keep, opposite + base, False)
        m, r, total = _near_side(far + base, near + base, before, after, n, k, keep, m, r, total, False)
    distances = tl.load(value + i, mask=live, other=0.0)
    tl.store(value + i, distances + tl.sum(total, 1, keep_dims=True), mask=live)


@no_type_check
def _near_side(far, near, before, after, n, k, keep, m, r, total, LEFT: tl.constexpr):
    """Of one chunk to one side of the anchors; return the log sum up to it and the sum of log Z."""
    left = tl.load(far + before - 1, mask=keep & (before > 0), other=-1e300)
    right = tl.load(far + after, mask=keep & (after < n), other=-1e300)
    log_z = tl.where(keep, _log_add(left, right), 0.0)
    sums, m, r = _carry_on(-log_z, keep, m, r, LEFT)
    tl.store(near + k, sums, mask=keep)
    return m, r, total + log_z


@no_type_check
def _pull(
    gram, near, opposite, drawn, y, begin, end, crowded, step, n, first, count, ROWS: tl.constexpr, CHUNK: tl.constexpr
):
    """Of each anchor: `dL/ds_ik / distance_ik` in place of the distances, 0 for itself, and the sum of all."""
    i, live, base, low, high = _rows(n, first, count, ROWS)
    own, tied = tl.load(y + i), tl.load(crowded)
    total = tl.zeros((ROWS, CHUNK), tl.float64)
    for turn in range(0, tl.cdiv(high, CHUNK)):
        k = turn * CHUNK + tl.arange(0, CHUNK)[None, :]
        keep = live & (k < i)
        before, after = _at_most(y, begin, end, tied, step, own, i, n, k, keep, opposite + base, True)
        total += _pull_side(gram + base, near + base, before, after, i, k, keep)
    for turn in range((low + 1) // CHUNK, tl.cdiv(n, CHUNK)):
        k = turn * CHUNK + tl.arange(0, CHUNK)[None, :]
        keep = live & (k > i) & (k < n)
        before, after = _at_most(y, begin, end, tied, step, own, i, n, k, keep, opposite + base, False)
        total += _pull_side(gram + base, near + base, before, after, i, k, keep)
    tl.store(gram + base + i, tl.zeros((ROWS, 1), tl.float64), mask=live)
    tl.store(drawn + i, tl.sum(total, 1, keep_dims=True), mask=live)


@no_type_check
def _pull_side(gram, near, before, after, i, k, keep):
    """Of one chunk to one side of the anchors."""
    left = tl.load(near + before, mask=keep & (before < i), other=-1e300)
    right = tl.load(near + after - 1, mask=keep & (after > i + 1), other=-1e300)
    distance = tl.load(gram + k, mask=keep, other=0.0)
    share = _log_add(left, right) - distance
    share = tl.exp(tl.where(share < -200.0, -200.0, share).to(tl.float32)).to(tl.float64)
    same = distance == 0.0  # coincident rows do not pull
    pull = tl.where(same, 0.0, (share - 1.0) / tl.where(same, 1.0, distance))
    tl.store(gram + k, pull, mask=keep)
    return pull


@no_type_check
def _rows(n, first, count, ROWS: tl.constexpr):
    """Return this program's anchors, which are not past the end, where their rows begin, the first and the last."""
    start = tl.program_id(0) * ROWS
    row = start + tl.arange(0, ROWS)[:, None]
    live = row < count
    row = tl.minimum(row, count - 1)
    return first + row, live, row.to(tl.int64) * n, first + start, first + tl.minimum(start + ROWS, count) - 1


@no_type_check
def _at_least(y, begin, end, tied, step, own, i, k, keep, opposite, LEFT: tl.constexpr):
    """Return where the rows at least as far from i as k, to one side of it, end before i and begin after it."""
    reach = tl.abs(own - tl.load(y + k, mask=keep, other=0.0))
    if LEFT:
        before = tl.minimum(tl.load(end + k, mask=keep, other=0), i)
        after = _find(y, step, own, i + 1, reach, True, False)
        if tied:
            before = tl.minimum(_find(y, step, own, i * 0, reach, False, False), i)
        tl.store(opposite + k, after, mask=keep)
    else:
        before = tl.minimum(_find(y, step, own, i * 0, reach, False, False), i)
        after = tl.maximum(tl.load(begin + k, mask=keep, other=0), i + 1)
        if tied:
            after = _find(y, step, own, i + 1, reach, True, False)
        tl.store(opposite + k, before, mask=keep)
    return before, after


@no_type_check
def _at_most(y, begin, end, tied, step, own, i, n, k, keep, opposite, LEFT: tl.constexpr):
    """Return where the rows at most as far from i as k, to one side of it, begin before i and end after it."""
    reach = tl.abs(own - tl.load(y + k, mask=keep, other=0.0))
    found = tl.load(opposite + k, mask=keep, other=0)
    if LEFT:
        equal = keep & (tl.load(y + found, mask=keep, other=0.0) - own == reach)
        before = tl.load(begin + k, mask=keep, other=0)
        after = tl.load(end + found, mask=equal, other=0)
        after = tl.where(equal, after, found)
    else:
        equal = keep & (found > 0)
        equal = equal & (own - tl.load(y + found - 1, mask=equal, other=0.0) == reach)
        before = tl.load(begin + found - 1, mask=equal, other=0)
        before = tl.where(equal, before, found)
        after = tl.load(end + k, mask=keep, other=0)
    if tied:
        before = tl.minimum(_find(y, step, own, i * 0, reach, False, True), i)
        after = tl.minimum(_find(y, step, own, i + 1, reach, True, True), n)
    return before, after


@no_type_check
def _find(y, step, own, start, reach, RIGHT: tl.constexpr, WITHIN: tl.constexpr):
    """Return the first place from `start` on whose row is not nearer than `reach`; WITHIN: which is farther.

    To the left, where distances fall: the first whose row is nearer; WITHIN: which is not farther.
    """
    place = start + tl.zeros_like(reach).to(tl.int32)
    while step > 0:
        there = tl.load(y + place + (step - 1))
        if RIGHT:
            apart = there - own
            passed = apart <= reach if WITHIN else apart < reach
        else:
            apart = own - there
            passed = apart > reach if WITHIN else apart >= reach
        place = tl.where(passed, place + step, place)
        step = step // 2
    return place


@no_type_check
def _carry_on(terms, keep, m, r, REVERSE: tl.constexpr):
    """Return the running log sums of a chunk of terms, begun with (m, r), and the last of them as a pair."""
    kept = tl.where(keep, terms, -1e300)
    top = tl.max(kept, 1, keep_dims=True)
    if tl.max(top - tl.min(tl.where(keep, terms, 1e300), 1, keep_dims=True)) < 32.0:
        sums = top + tl.zeros_like(kept)
        counts = tl.where(keep, tl.exp((tl.where(keep, terms, top) - top).to(tl.float32)), 0.0)
        counts = tl.cumsum(counts, 1, reverse=REVERSE)
    else:
        sums, counts = tl.associative_scan((kept, tl.full(kept.shape, 1.0, tl.float32)), 1, _add, reverse=REVERSE)
    sums, counts = _add(m, r, sums, counts)
    last = tl.arange(0, kept.shape[1])[None, :] == (0 if REVERSE else kept.shape[1] - 1)
    m = tl.sum(tl.where(last, sums, 0.0), 1, keep_dims=True)
    r = tl.sum(tl.where(last, counts, 0.0), 1, keep_dims=True)
    return sums + tl.log(tl.where(keep, counts, 1.0)).to(tl.float64), m, r


@no_type_check
def _add(m, r, other_m, other_r):
    """Return the sum of two log sums."""
    gap = m - other_m
    size = -tl.abs(gap)
    ratio = tl.exp(tl.where(size < -200.0, -200.0, size).to(tl.float32))
    greater = gap > 0.0
    return tl.where(greater, m, other_m), tl.where(greater, r + other_r * ratio, other_r + r * ratio)


@no_type_check
def _log_add(a, b):
    """Return log(exp a + exp b), both float64."""
    size = -tl.abs(a - b)
    ratio = tl.exp(tl.where(size < -200.0, -200.0, size).to(tl.float32))
    return tl.where(a > b, a, b) + tl.log(1.0 + ratio).to(tl.float64)
