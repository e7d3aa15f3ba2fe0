"""RnC for scalar targets and Euclidean distances on a GPU: value and gradient block by block of anchors, in Triton.

With the rows sorted by target, what lies at least as far from an anchor as j is a prefix and a suffix of the row, and
what lies at most as far is the rest. So a row takes three kernels, each of which only reads what those before it wrote:
distances and log sums from the far ends to k; with two binary searches for each j, log Z_ij and the log sums of 1/Z_ij
from the near ends to k; with two more, the gradient. Ties are decided on the rounded differences |y_k - y_i| themselves.

Log sums are pairs (greatest term in float64, the sum over exp(greatest) in float32), so a difference of logits loses
nothing at any scale, and the exponentials are cheap. The matrix products are of float64: near duplicates do not cancel,
no TF32 setting reaches them, and on the GPUs of data centres (A100, H100) they run as fast as those of float32; on
others they are slow, as `contrast` is there.

Needs triton, which CUDA builds of torch bring along. Without it, or with other targets, `contrast` does the same.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_ENTRIES = 2**26  # of a block of rows: half a gigabyte in each of its three buffers
_MOST_ROWS = 4096  # more do not make the products faster
_CHUNK = 1024  # entries of a row that one program holds at a time


def usable(z: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> bool:
    """Return whether `rnc_triton` can take these: scalar targets, no float64, on a CUDA GPU, with triton installed.

    On a CPU only where triton was imported for its interpreter, which is for tests.
    """
    if targets.shape[1] != 1 or z.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return False
    if z.device.type == "cuda":
        return torch.version.cuda is not None and torch.cuda.get_device_capability(z.device) >= (8, 0) and _has_triton()
    kernels = compiled() if z.device.type == "cpu" and _has_triton() else None
    return kernels is not None and kernels.interpreted


def rnc_triton(z: Float[Tensor, "n d"], targets: Float[Tensor, " n"], temperature: float) -> Float[Tensor, ""]:
    """Return RnC with `s_ij = -||z_i - z_j|| / temperature` and `d_ij = |y_i - y_j|`.

    Adds three blocks of anchors by n in float64 (1.6 GB at most up to n = 65,536) and two (n, d) in float64 to the
    memory, of which the gradient, (n, d) in float32, is kept for the backward pass.

    Args:
        z: (n, d) embeddings: float32, float16 or bfloat16.
        targets: (n,) float64.
        temperature: above 0.

    Returns:
        A float64 scalar on the device of z. Exponentials and their sums are of float32, all else of float64.

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
    for part in (_add, _log_add, _carry_on, _ends, _far_side, _near_side, _pull_side):
        here[part.__name__] = triton.jit(part)
    jit = triton.jit(do_not_specialize=["first", "steps"])
    kernels = [jit(kernel) for kernel in (_far_to_near, _near_to_far, _pull)]
    return Kernels(*kernels, interpreted=not isinstance(kernels[0], triton.JITFunction))


# ----------------------------------------------------------------------------------------------------------------------


@cache
def _has_triton() -> bool:
    return compiled() is not None


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
    lengths = x.square().sum(1)
    buffers = x.new_empty(3, rows, n)
    value, drawn = x.new_empty(n), x.new_empty(n)
    grad, total = torch.zeros_like(x), x.new_zeros(n)
    chunk = min(_CHUNK, 1 << (n - 1).bit_length())
    settings = {"CHUNK": chunk, "num_warps": max(1, min(4, chunk // 128))}
    for first in range(0, n, rows):
        own = slice(first, min(first + rows, n))
        count = own.stop - first
        gram, far, near = buffers[:, :count]
        torch.mm(x[own], x.T, out=gram)
        kernels.far_to_near[(count,)](gram, far, lengths, value, n, first, **settings)
        kernels.near_to_far[(count,)](far, near, y, value, n, first, n.bit_length(), **settings)
        kernels.pull[(count,)](gram, near, y, drawn, n, first, n.bit_length(), **settings)
        grad[own].addmm_(gram, x)  # a row is anchor
        grad.addmm_(gram.T, x[own])  # and candidate
        total[own] += drawn[own]
        total += gram.sum(0)
    return value.sum(), grad.addcmul_(total[:, None], x, value=-1.0)


# ----------------------------------------------------------------------------------------------------------------------
# Triton's language from here on: `compiled` fills in `tl` and compiles these. A log sum is a pair (m, r) for
# m + log r; the empty one is (-1e300, 0), so that no difference is infinity less infinity.

tl: Any = SimpleNamespace(constexpr="constexpr")


@no_type_check
def _far_to_near(gram, far, lengths, value, n, first, CHUNK: tl.constexpr):
    """Of one anchor: the distances, in place of the Gram row; at k the log sum of -distance from k's far end to k."""
    i = first + tl.program_id(0)
    gram += tl.program_id(0).to(tl.int64) * n
    far += tl.program_id(0).to(tl.int64) * n
    lane = tl.arange(0, CHUNK)
    own = tl.load(lengths + i)
    total = tl.zeros((CHUNK,), tl.float64)
    m, r = tl.full((), -1e300, tl.float64), tl.full((), 0.0, tl.float32)
    for step in range(0, tl.cdiv(i, CHUNK)):
        k = step * CHUNK + lane
        m, r, total = _far_side(gram, far, lengths, own, k, k < i, m, r, total, False, CHUNK)
    m, r = tl.full((), -1e300, tl.float64), tl.full((), 0.0, tl.float32)
    last = tl.cdiv(n, CHUNK) - 1
    for step in range(0, last + 1 - (i + 1) // CHUNK):
        k = (last - step) * CHUNK + lane
        m, r, total = _far_side(gram, far, lengths, own, k, (k > i) & (k < n), m, r, total, True, CHUNK)
    tl.store(value + i, tl.sum(total))


@no_type_check
def _far_side(gram, far, lengths, own, k, keep, m, r, total, RIGHT: tl.constexpr, CHUNK: tl.constexpr):
    """Of one chunk to one side of the anchor; return the log sum up to it and the sum of distances."""
    sides = own + tl.load(lengths + k, mask=keep, other=0.0)
    squared = sides - 2.0 * tl.load(gram + k, mask=keep, other=0.0)
    same = squared <= 1.4210854715202004e-14 * sides  # 64 times float64's rounding; NaN goes through
    distance = tl.where(same, 0.0, tl.sqrt(tl.where(same, 1.0, squared)))
    tl.store(gram + k, distance, mask=keep)
    chunk_m, chunk_r = tl.where(keep, -distance, -1e300), tl.where(keep, 1.0, 0.0)
    chunk_m, chunk_r, m, r = _carry_on(chunk_m, chunk_r, m, r, RIGHT, CHUNK)
    tl.store(far + k, chunk_m + tl.log(chunk_r).to(tl.float64), mask=keep)
    return m, r, total + tl.where(keep, distance, 0.0)


@no_type_check
def _near_to_far(far, near, y, value, n, first, steps, CHUNK: tl.constexpr):
    """Of one anchor: at k the log sum of 1/Z from k's near end to k; adds all log Z to the value."""
    i = first + tl.program_id(0)
    far += tl.program_id(0).to(tl.int64) * n
    near += tl.program_id(0).to(tl.int64) * n
    lane = tl.arange(0, CHUNK)
    total = tl.zeros((CHUNK,), tl.float64)
    m, r = tl.full((), -1e300, tl.float64), tl.full((), 0.0, tl.float32)
    count = tl.cdiv(i, CHUNK)
    for step in range(0, count):
        k = (count - 1 - step) * CHUNK + lane
        m, r, total = _near_side(far, near, y, i, n, k, k < i, m, r, total, steps, True, CHUNK)
    m, r = tl.full((), -1e300, tl.float64), tl.full((), 0.0, tl.float32)
    for step in range((i + 1) // CHUNK, tl.cdiv(n, CHUNK)):
        k = step * CHUNK + lane
        m, r, total = _near_side(far, near, y, i, n, k, (k > i) & (k < n), m, r, total, steps, False, CHUNK)
    tl.store(value + i, tl.load(value + i) + tl.sum(total))


@no_type_check
def _near_side(far, near, y, i, n, k, keep, m, r, total, steps, LEFT: tl.constexpr, CHUNK: tl.constexpr):
    """Of one chunk to one side of the anchor; return the log sum up to it and the sum of log Z."""
    before, after = _ends(y, i, n, k, keep, steps, False, CHUNK)
    left = tl.load(far + before - 1, mask=keep & (before > 0), other=-1e300)
    right = tl.load(far + after, mask=keep & (after < n), other=-1e300)
    log_z = tl.where(keep, _log_add(left, right), 0.0)
    chunk_m, chunk_r = tl.where(keep, -log_z, -1e300), tl.where(keep, 1.0, 0.0)
    chunk_m, chunk_r, m, r = _carry_on(chunk_m, chunk_r, m, r, LEFT, CHUNK)
    tl.store(near + k, chunk_m + tl.log(chunk_r).to(tl.float64), mask=keep)
    return m, r, total + log_z


@no_type_check
def _pull(gram, near, y, drawn, n, first, steps, CHUNK: tl.constexpr):
    """Of one anchor: `dL/ds_ik / distance_ik` in place of the distances, and its sum."""
    i = first + tl.program_id(0)
    gram += tl.program_id(0).to(tl.int64) * n
    near += tl.program_id(0).to(tl.int64) * n
    total = tl.zeros((CHUNK,), tl.float64)
    for step in range(0, tl.cdiv(n, CHUNK)):
        total = _pull_side(gram, near, y, i, n, step * CHUNK + tl.arange(0, CHUNK), total, steps, CHUNK)
    tl.store(drawn + i, tl.sum(total))


@no_type_check
def _pull_side(gram, near, y, i, n, k, total, steps, CHUNK: tl.constexpr):
    """Of one chunk; return the sum up to it."""
    keep = (k != i) & (k < n)
    before, after = _ends(y, i, n, k, keep, steps, True, CHUNK)
    left = tl.load(near + before, mask=keep & (before < i), other=-1e300)
    right = tl.load(near + after - 1, mask=keep & (after > i + 1), other=-1e300)
    distance = tl.load(gram + k, mask=keep, other=0.0)
    share = _log_add(left, right) - distance
    share = tl.exp(tl.where(share < -200.0, -200.0, share).to(tl.float32)).to(tl.float64)
    some = keep & (distance != 0.0)  # coincident rows do not pull
    pull = tl.where(some, (share - 1.0) / tl.where(some, distance, 1.0), 0.0)
    tl.store(gram + k, pull, mask=k < n)
    return total + pull


@no_type_check
def _ends(y, i, n, k, keep, steps, WITHIN: tl.constexpr, CHUNK: tl.constexpr):
    """Return where the rows at least as far from i as k end before i and begin after it.

    WITHIN: where those at most as far begin before i and end after it.
    """
    own = tl.load(y + i)
    reach = tl.abs(own - tl.load(y + k, mask=keep, other=0.0))
    low, low_after = tl.zeros((CHUNK,), tl.int32), tl.zeros((CHUNK,), tl.int32) + i + 1
    high, high_after = low + i, tl.zeros((CHUNK,), tl.int32) + n
    for _ in range(0, steps):
        middle, middle_after = (low + high) // 2, (low_after + high_after) // 2
        open_, open_after = low < high, low_after < high_after
        apart = own - tl.load(y + middle, mask=open_, other=0.0)
        apart_after = tl.load(y + middle_after, mask=open_after, other=0.0) - own
        if WITHIN:
            found, found_after = apart <= reach, apart_after > reach
        else:
            found, found_after = apart < reach, apart_after >= reach
        high, low = tl.where(open_ & found, middle, high), tl.where(found, low, tl.where(open_, middle + 1, low))
        high_after = tl.where(open_after & found_after, middle_after, high_after)
        low_after = tl.where(found_after, low_after, tl.where(open_after, middle_after + 1, low_after))
    return low, low_after


@no_type_check
def _carry_on(chunk_m, chunk_r, m, r, REVERSE: tl.constexpr, CHUNK: tl.constexpr):
    """Return a chunk's running log sums, begun with (m, r), and the last of them."""
    chunk_m, chunk_r = tl.associative_scan((chunk_m, chunk_r), 0, _add, reverse=REVERSE)
    chunk_m, chunk_r = _add(m, r, chunk_m, chunk_r)
    last = tl.arange(0, CHUNK) == (0 if REVERSE else CHUNK - 1)
    return chunk_m, chunk_r, tl.sum(tl.where(last, chunk_m, 0.0)), tl.sum(tl.where(last, chunk_r, 0.0))


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
