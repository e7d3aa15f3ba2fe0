"""One anchor's row of RnC for scalar targets, compiled: logits, denominators from far to near, gradient back.

With the batch sorted by target, equal targets stand together: a group. An anchor's groups leave it in two runs, one to
either side; from far to near they are met by two pointers that walk inwards, from near to far by two that walk
outwards. So a row needs no sort, ties are one step, and its work stays in the processor's cache. Sums are of positive
terms in float64; a row whose logits span more than float64 can exponentiate is summed in log space.

Imports numba, so it is imported by `rnc_rows` only where that is installed. The walks take both sides' terms times 0 or
1 instead of branching: which side is farther is a coin toss, and a processor that guesses wrong loses more.
"""

# numba's functions have no types that pyright could read, and its intrinsics take arguments that they do not use
# pyright: reportMissingParameterType=false, reportGeneralTypeIssues=false, reportCallIssue=false
# ruff: noqa: ARG001, ARG005

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

NEAR = np.float32(0.05)  # of the squared lengths: below, a squared distance from the Gram matrix has lost its digits
NOISE = 64 * 2.220446049250313e-16  # of the squared lengths, in float64: below, rows coincide
WIDEST = 600.0  # exp(-600), its inverse and sums of them are normal float64 numbers
PIECE = 8  # anchors that a thread draws at a time
# Cody and Waite's two-part ln 2 and the minimax polynomial of Cephes' expf: 1e-7 for arguments in [-87, 0]
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
C0, C1, C2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
C3, C4, C5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
HALF, ONE, ZERO = np.float32(0.5), np.float32(1.0), np.float32(0.0)
FAST = {"contract", "nsz", "reassoc"}  # sums may be taken in any order; NaN and infinity keep their meaning


@cache
def kernel(dtype: torch.dtype) -> Any:
    """Return the compiled rows for float32 or float64, a kernel for `team.run`; the first time takes some seconds."""
    rows = _rows32 if dtype == torch.float32 else _rows64
    signature = types.void(types.CPointer(types.int64))
    try:
        return cfunc(signature, cache=True, error_model="numpy")(rows)
    except RuntimeError:  # there is no folder where the compiled code could be kept
        return cfunc(signature, error_model="numpy")(rows)


# ----------------------------------------------------------------------------------------------------------------------


def _rows32(given):
    """Do the anchors [first, last) of float32 rows; see `_arguments` for what is given."""
    n, u, first, last, settings, gram, x, lengths, values, start, group, value = _arguments(given, np.float32)
    s, inverse, e = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    bits = np.empty(n, np.int32)
    sums, z, padded, drawn = np.empty(u), np.empty(u), np.empty(u + 2), np.empty(u + 2)
    padded[0], padded[u + 1] = -np.inf, np.inf
    padded[1 : u + 1] = values
    while True:
        begin = first + _draw(given, PIECE)
        if begin >= last:
            return
        for i in range(begin, min(begin + PIECE, last)):
            row = gram[i - first]
            total = _logits32(row, x, lengths, i, np.float32(1.0 / settings[0]), s, inverse)
            _exponentials32(s, e, bits)
            e[i] = ZERO
            own = group[i]
            _group_sums(e, start, sums)
            _inwards(sums, values, own, z)
            value[i] = total + _logs_and_shares(z, start, own)
            _outwards(z, padded, own, drawn)
            scale = np.float32(settings[1])
            for k in range(n):
                row[k] = scale * np.float32(e[k] * drawn[group[k] + 1] - 1.0) * inverse[k]
            row[i] = ZERO


def _rows64(given):
    """Do the anchors [first, last) of float64 rows, at any scale."""
    n, u, first, last, settings, gram, _, lengths, values, start, group, value = _arguments(given, np.float64)
    s, inverse, e = np.empty(n), np.empty(n), np.empty(n)
    sums, z, padded, drawn = np.empty(u), np.empty(u), np.empty(u + 2), np.empty(u + 2)
    padded[0], padded[u + 1] = -np.inf, np.inf
    padded[1 : u + 1] = values
    while True:
        begin = first + _draw(given, PIECE)
        if begin >= last:
            return
        for i in range(begin, min(begin + PIECE, last)):
            row, own = gram[i - first], group[i]
            total, plain = _logits64(row, lengths, i, 1.0 / settings[0], s, inverse)
            if plain:
                for k in range(n):
                    e[k] = math.exp(s[k])
                e[i] = 0.0
                _group_sums(e, start, sums)
                _inwards(sums, values, own, z)
                value[i] = total + _logs_and_shares(z, start, own)
                _outwards(z, padded, own, drawn)
            else:
                _group_log_sums(s, start, i, sums)
                _inwards_in_logs(sums, values, own, z)
                value[i] = total + _shares_in_logs(z, start, own)
                _outwards_in_logs(z, padded, own, drawn)
            for k in range(n):
                share = e[k] * drawn[group[k] + 1] if plain else math.exp(s[k] + drawn[group[k] + 1])
                row[k] = settings[1] * (share - 1.0) * inverse[k]
            row[i] = 0.0


@intrinsic
def _pointer(context, address):
    return types.voidptr(types.int64), lambda c, b, s, a: b.inttoptr(a[0], c.get_value_type(s.return_type))


@intrinsic
def _draw(context, counter, step):
    """Add `step` to the counter that all threads share and return what it was."""
    signature = types.int64(types.CPointer(types.int64), types.int64)
    return signature, lambda c, b, s, a: b.atomic_rmw("add", a[0], a[1], "monotonic")


@njit(error_model="numpy")
def _arguments(given, dtype):
    """Return the sizes (rows, groups, first and last anchor) and the arrays behind the addresses.

    settings: temperature, 1 / (n (n - 1) temperature). gram: (last - first, n) products of rows, to be replaced by
    dL/ds / (temperature distance). x: (n, d) rows. lengths: (n,) squared. values, start: (u,), (u + 1,) the groups'
    targets, ascending, and first rows. group: (n,) of each row. value: (n,) to be filled with each anchor's terms.
    """
    a = carray(given, (14,))
    n, d, u, first, last = a[1], a[2], a[3], a[4], a[5]
    settings = carray(_pointer(a[6]), (2,), np.float64)
    gram = carray(_pointer(a[7]), (last - first, n), dtype)
    x = carray(_pointer(a[8]), (n, d), dtype)
    lengths = carray(_pointer(a[9]), (n,), dtype)
    values = carray(_pointer(a[10]), (u,), np.float64)
    start = carray(_pointer(a[11]), (u + 1,), np.int64)
    group = carray(_pointer(a[12]), (n,), np.int64)
    value = carray(_pointer(a[13]), (n,), np.float64)
    return n, u, first, last, settings, gram, x, lengths, values, start, group, value


@njit(error_model="numpy", fastmath=FAST)
def _logits32(gram, x, lengths, i, inverse_temperature, s, inverse):
    """Write the row's logits less their maximum, and 1 / distance (0 for coincident rows); return minus their sum."""
    n, own, near = len(s), lengths[i], 0
    for k in range(n):
        both = own + lengths[k]
        squared = both - np.float32(2.0) * gram[k]
        near += squared < NEAR * both
        s[k] = squared
    if near > 1:  # others than the row itself
        for k in range(n):
            if s[k] < NEAR * (own + lengths[k]):
                s[k] = _squared(x, i, k)
    s[i] = np.float32(np.inf)
    closest, total = np.float32(np.inf), 0.0
    for k in range(n):
        distance = math.sqrt(s[k])
        inverse[k] = ONE / distance
        s[k] = distance * inverse_temperature
    for k in range(n):
        closest = min(closest, s[k])
        inverse[k] = inverse[k] if s[k] > ZERO else ZERO
    s[i] = closest
    for k in range(n):
        s[k] = closest - s[k]
    for k in range(n):
        total -= s[k]
    return total


@njit(error_model="numpy", fastmath=FAST)
def _squared(x, i, k):
    total = np.float32(0.0)
    for j in range(x.shape[1]):
        difference = x[i, j] - x[k, j]
        total += difference * difference
    return total


@njit(error_model="numpy")
def _logits64(gram, lengths, i, inverse_temperature, s, inverse):
    """The same in float64; also return whether the row's logits can be exponentiated."""
    n = len(s)
    closest, farthest, total = np.inf, 0.0, 0.0
    for k in range(n):
        both = lengths[i] + lengths[k]
        squared = both - 2.0 * gram[k]
        distance = math.sqrt(squared) if squared > NOISE * both or squared != squared else 0.0
        inverse[k] = 1.0 / distance if distance != 0.0 else 0.0
        s[k] = distance * inverse_temperature
        if k != i:
            closest, farthest = min(closest, s[k]), max(farthest, s[k])
            total += s[k]
    for k in range(n):
        s[k] = closest - s[k]
    s[i] = 0.0
    return total - (n - 1) * closest, farthest - closest < WIDEST


@njit(error_model="numpy", fastmath={"contract", "nsz"})
def _exponentials32(s, e, bits):
    """Write exp(s) for s in [-87, 0], four or eight at a time: 2^whole times a polynomial of the rest."""
    for k in range(len(s)):
        whole = math.floor(s[k] * LOG2_E + HALF)
        rest = s[k] - whole * LN2_HIGH - whole * LN2_LOW
        p = ((((C0 * rest + C1) * rest + C2) * rest + C3) * rest + C4) * rest + C5
        e[k] = p * (rest * rest) + rest + ONE
        bits[k] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    power = bits.view(np.float32)
    for k in range(len(s)):
        e[k] = e[k] * power[k]


@njit(error_model="numpy")
def _group_sums(e, start, sums):
    if len(sums) == len(e):
        sums[:] = e
        return
    for g in range(len(sums)):
        total = 0.0
        for k in range(start[g], start[g + 1]):
            total += e[k]
        sums[g] = total


@njit(error_model="numpy")
def _inwards(sums, values, own, z):
    """Write for each group the sum over everything at least as far from the anchor's target; far to near.

    Both pointers write; the one that was not farther writes again when its turn comes.
    """
    y, left, right, total = values[own], np.uint64(0), np.uint64(len(values) - 1), 0.0
    while left < right:
        a, b = y - values[left], values[right] - y
        lefter, righter = np.uint64(a >= b), np.uint64(b >= a)
        total += sums[left] * lefter + sums[right] * righter
        z[left], z[right] = total, total
        left, right = left + lefter, right - righter
    z[own] = total + sums[own]


@njit(error_model="numpy")
def _logs_and_shares(z, start, own):
    """Return the sum over rows of log Z, and put each group's `rows / Z` in the place of its Z."""
    total, product = 0.0, 1.0  # one logarithm for many factors
    for g in range(len(z)):
        rows = start[g + 1] - start[g] - (g == own)
        if rows == 0:
            z[g] = 1.0
        elif rows > 2 or not 1e-50 < z[g] < 1e50:
            total += rows * math.log(z[g])
        else:
            product *= z[g] if rows == 1 else z[g] * z[g]
            if not 1e-100 < product < 1e100:
                total += math.log(product)
                product = 1.0
    for g in range(len(z)):
        z[g] = (start[g + 1] - start[g] - (g == own)) / z[g]
    return total + math.log(product)


@njit(error_model="numpy")
def _outwards(shares, padded, own, drawn):
    """Write for each group the sum over everything at most as far; near to far. `padded` and `drawn` begin at -1."""
    y, total = padded[own + 1], shares[own]
    drawn[own + 1] = total
    left, right = np.uint64(own), np.uint64(own + 2)
    last = np.uint64(len(shares) - 1)
    a, b = y - padded[left], padded[right] - y
    while min(a, b) < np.inf:
        lefter, righter = np.uint64(a <= b), np.uint64(b <= a)
        # beyond the ends stand infinities, which are never the nearer; their share is any number, times 0
        total += shares[max(left, np.uint64(1)) - np.uint64(1)] * lefter
        total += shares[min(right - np.uint64(1), last)] * righter
        drawn[left], drawn[right] = total, total
        left, right = left - lefter, right + righter
        a, b = y - padded[left], padded[right] - y


@njit(error_model="numpy")
def _add_logs(a, b):
    """Return log(exp a + exp b)."""
    high, low = max(a, b), min(a, b)
    return high if low == -np.inf else high + math.log1p(math.exp(low - high))


@njit(error_model="numpy")
def _group_log_sums(s, start, i, sums):
    for g in range(len(sums)):
        total = -np.inf
        for k in range(start[g], start[g + 1]):
            if k != i:
                total = _add_logs(total, s[k])
        sums[g] = total


@njit(error_model="numpy")
def _inwards_in_logs(sums, values, own, z):
    y, left, right, total = values[own], 0, len(values) - 1, -np.inf
    while left < right:
        a, b = y - values[left], values[right] - y
        if a >= b:
            total = _add_logs(total, sums[left])
        if b >= a:
            total = _add_logs(total, sums[right])
        z[left], z[right] = total, total
        left, right = left + (a >= b), right - (b >= a)
    z[own] = _add_logs(total, sums[own])


@njit(error_model="numpy")
def _shares_in_logs(z, start, own):
    total = 0.0
    for g in range(len(z)):
        rows = start[g + 1] - start[g] - (g == own)
        total += rows * z[g] if rows else 0.0
        z[g] = math.log(rows) - z[g] if rows else -np.inf
    return total


@njit(error_model="numpy")
def _outwards_in_logs(shares, padded, own, drawn):
    y, total, left, right = padded[own + 1], shares[own], own, own + 2
    drawn[own + 1] = total
    a, b = y - padded[left], padded[right] - y
    while min(a, b) < np.inf:
        if a <= b:
            total = _add_logs(total, shares[left - 1])
        if b <= a:
            total = _add_logs(total, shares[right - 1])
        drawn[left], drawn[right] = total, total
        left, right = left - (a <= b), right + (b <= a)
        a, b = y - padded[left], padded[right] - y
