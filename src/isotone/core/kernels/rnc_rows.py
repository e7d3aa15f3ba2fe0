"""RnC for scalar targets and Euclidean distances on a CPU: one matrix product, compiled rows, one product back.

With the rows sorted by target, an anchor's candidates leave it in two runs, one to either side; from far to near they
are met by two pointers that walk inwards, from near to far by two that walk outwards. So a row needs no sort: one walk
sums the denominators, one the gradient, ties in one step, and nothing of its work leaves the processor's cache. Sums
are of positive terms; a row whose logits span more than float64 can exponentiate is done in log space.

Needs numba (the extra `fast`). Without it, or with other similarities and targets, `contrast` does the same.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

FEWEST_ROWS = 128  # below, importing the compiler costs more than it saves


def usable(z: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> bool:
    """Return whether `rnc_rows` can take these: scalar targets, enough rows, on a CPU, with numba installed."""
    fits = targets.shape[1] == 1 and len(z) >= FEWEST_ROWS and z.device.type == "cpu"
    return fits and compiled() is not None


def rnc_rows(z: Float[Tensor, "n d"], targets: Float[Tensor, " n"], temperature: float) -> Float[Tensor, ""]:
    """Return RnC with `s_ij = -||z_i - z_j|| / temperature` and `d_ij = |y_i - y_j|`.

    Args:
        z: (n, d) embeddings, any float type.
        targets: (n,) float64.
        temperature: above 0.

    Returns:
        A float64 scalar. Sums are of float64; the gradient's last product is of float32 where z is no wider.

    Source: Zha et al. 2023, arXiv 2210.01189, equations 1-3.
    """
    return _Rows.apply(z, targets, temperature)


@cache
def compiled() -> Callable[..., None] | None:
    """Return the compiled rows, or None where numba is not installed."""
    try:
        import numba
        from numba.extending import register_jitable
    except ImportError:
        return None
    for part in (_logits, _inwards, _outwards, _add_logs):
        register_jitable(part)
    return numba.njit(nogil=True, cache=True, error_model="numpy")(_rows)


# ----------------------------------------------------------------------------------------------------------------------


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, targets: Tensor, temperature: float) -> Tensor:
        kernel = compiled()
        assert kernel is not None, "`usable` was asked before"
        y, order = targets.sort(stable=True)
        x = z.detach()[order].to(torch.float64)
        x -= x.mean(0)  # far from the origin the Gram matrix cancels; moving all rows changes no distance
        gram, n = x @ x.T, len(z)
        narrow = torch.promote_types(z.dtype, torch.float32)
        value, pull = np.empty(n), torch.empty(n, n, dtype=narrow)
        rows = (gram.numpy(), y.numpy(), temperature, value, pull.numpy())
        threads = max(1, min(torch.get_num_threads(), n // 64))
        cuts = np.linspace(0, n, threads + 1).astype(np.int64).tolist()
        with ThreadPoolExecutor(max(1, threads - 1)) as pool:
            others = [pool.submit(kernel, *rows, *cut) for cut in pairwise(cuts[1:])]
            kernel(*rows, 0, cuts[1])
            for other in others:
                other.result()
        ctx.save_for_backward(pull, x.to(narrow), order)
        ctx.dtype = z.dtype
        return torch.tensor(value.sum())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        pull, x, order = ctx.saved_tensors
        w = pull + pull.T  # a row is anchor and candidate
        grad = (w @ x).addcmul_(w.sum(1, keepdim=True), x, value=-1.0).mul_(grads[0])
        return torch.empty_like(grad).index_copy_(0, order, grad).to(ctx.dtype), None, None


def _rows(
    gram: np.ndarray, y: np.ndarray, temperature: float, value: np.ndarray, pull: np.ndarray, start: int, stop: int
) -> None:
    """Write each anchor's share of the loss, and `dL/ds_ik / (temperature * distance_ik)`. Compiled."""
    n = len(y)
    weight = 1.0 / (n * (n - 1))
    s, z, drawn = np.empty(n), np.empty(n), np.empty(n)
    inverse, e = np.empty(n), np.empty(n)
    for i in range(start, stop):
        total, plain = _logits(gram, i, temperature, s, inverse)
        if plain:
            for k in range(n):
                e[k] = math.exp(s[k])
        _inwards(e if plain else s, y, i, z, plain)
        product = 1.0  # one logarithm for many factors
        for k in range(n):
            if k == i:
                continue
            if plain:
                if not 1e-100 < z[k] < 1e100:
                    total += math.log(z[k])
                else:
                    product *= z[k]
                    if not 1e-200 < product < 1e200:
                        total += math.log(product)
                        product = 1.0
                z[k] = 1.0 / z[k]
            else:
                total += z[k]
                z[k] = -z[k]
        value[i] = weight * (total + math.log(product))
        _outwards(z, y, i, drawn, plain)
        for k in range(n):
            share = e[k] * drawn[k] if plain else math.exp(s[k] + drawn[k])
            pull[i, k] = weight * (share - 1.0) * inverse[k] / temperature
        pull[i, i] = 0.0


def _logits(gram: np.ndarray, i: int, temperature: float, s: np.ndarray, inverse: np.ndarray) -> tuple[float, bool]:
    """Write the row's logits less their maximum, and 1 / distance (0 for coincident rows); return minus their sum."""
    n = len(s)
    noise = 64 * 2.220446049250313e-16
    nearest, farthest, total = np.inf, 0.0, 0.0
    for k in range(n):
        lengths = gram[i, i] + gram[k, k]
        squared = lengths - 2.0 * gram[i, k]
        distance = math.sqrt(squared) if squared > noise * lengths or squared != squared else 0.0
        inverse[k] = 1.0 / distance if distance != 0.0 else 0.0
        s[k] = distance / temperature
        if k != i:
            nearest, farthest = min(nearest, s[k]), max(farthest, s[k])
            total += s[k]
    for k in range(n):
        s[k] = nearest - s[k]
    s[i] = 0.0
    return total - (n - 1) * nearest, farthest - nearest < 600.0  # exp(-600) and its inverse are normal numbers


def _inwards(terms: np.ndarray, y: np.ndarray, i: int, z: np.ndarray, plain: bool) -> None:
    """Write the sum (of logs: the log of the sum) over everything at least as far from y[i]; far to near."""
    left, right = 0, len(y) - 1
    total = 0.0 if plain else -np.inf
    while left < i or right > i:
        far = max(y[i] - y[left], y[right] - y[i])
        first, last = left, right
        while left < i and y[i] - y[left] == far:
            total = total + terms[left] if plain else _add_logs(total, terms[left])
            left += 1
        while right > i and y[right] - y[i] == far:
            total = total + terms[right] if plain else _add_logs(total, terms[right])
            right -= 1
        for k in range(first, left):
            z[k] = total
        for k in range(right + 1, last + 1):
            z[k] = total
    z[i] = 1.0


def _outwards(terms: np.ndarray, y: np.ndarray, i: int, drawn: np.ndarray, plain: bool) -> None:
    """Write the sum (of logs: the log of the sum) over everything at most as far from y[i]; near to far."""
    n, left, right = len(y), i - 1, i + 1
    total = 0.0 if plain else -np.inf
    while left >= 0 or right < n:
        near = min(y[i] - y[left] if left >= 0 else np.inf, y[right] - y[i] if right < n else np.inf)
        first, last = left, right
        while left >= 0 and y[i] - y[left] == near:
            total = total + terms[left] if plain else _add_logs(total, terms[left])
            left -= 1
        while right < n and y[right] - y[i] == near:
            total = total + terms[right] if plain else _add_logs(total, terms[right])
            right += 1
        for k in range(left + 1, first + 1):
            drawn[k] = total
        for k in range(last, right):
            drawn[k] = total
    drawn[i] = 0.0


def _add_logs(a: float, b: float) -> float:
    """Return log(exp a + exp b)."""
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))
