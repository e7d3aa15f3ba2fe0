"""Distances of real targets, (n, k) and (m, k) to (n, m) >= 0: L1, L2, on a circle, between directions; their names.

All compute in float64, whatever the targets' type: float32 would merge close targets and split ties. A missing target
(NaN) makes a distance NaN, which means unknown; `isotone.relations.combine.partial` goes by what a pair shares.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.check import choice, wide_dtype
from isotone.errors import ShapeError
from isotone.relations.columns import ColumnDistance, row_blocks

TargetDistance = Callable[[Float[Tensor, "n k"], Float[Tensor, "m k"]], Float[Tensor, "n m"]]
_NODES = 32


def l1(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
    """Return the sum of absolute differences over the target's dimensions: RnC's choice.

    `d(a, b) = sum_k |a_k - b_k|`

    Args:
        a: (n, k), `b`: (m, k), in one unit; see `weighted` for several.

    Returns:
        (n, m) float64, exact for integers; NaN where either row has a NaN.

    Example:
        >>> l1(torch.tensor([[1.0]]), torch.tensor([[4.0], [-1.0]])).tolist()
        [[3.0, 2.0]]

    Source: Zha et al. 2023, arXiv 2210.01189, section 3.
    """
    return torch.cdist(_wide(a), _wide(b), p=1.0)


def l2(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
    """Return the Euclidean distance over the target's dimensions, without the cancelling Gram trick.

    `d(a, b) = sqrt(sum_k (a_k - b_k)^2)`

    Args:
        a: (n, k), `b`: (m, k), in one unit; see `weighted` for several. Differences up to 1e150.

    Returns:
        (n, m) float64; equal sums of squares of integers give equal distances. NaN where either row has a NaN.

    Example:
        >>> l2(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).item()
        5.0

    Source: the Euclidean norm.
    """
    return torch.cdist(_wide(a), _wide(b), p=2.0, compute_mode="donot_use_mm_for_euclid_dist")


def circular(period: float) -> ColumnDistance:
    """Return the distance on a circle: 350 and 10 degrees are 20 apart when the period is 360.

    `d(a, b) = sum_k min(r_k, period - r_k)` with `r_k = |a_k - b_k| mod period`.

    Args:
        period: length of the circle in the target's unit, such as 360 (degrees), 24 (hours); of every dimension.

    Returns:
        A function of targets (n, k) and (m, k) to (n, m) float64; NaN where either row has a NaN.

    Raises:
        ConfigError: unless the period is a finite number above 0.

    Example:
        >>> circular(360.0)(torch.tensor([[350.0]]), torch.tensor([[10.0]])).item()
        20.0

    Source: Mardia and Jupp, Directional Statistics, Wiley 2000, doi 10.1002/9780470316979.
    """
    return ColumnDistance("l1", period=period)


def angular(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"]) -> Float[Tensor, "n m"]:
    """Return the angle between directions, such as gazes; their lengths do not count.

    `d(a, b) = 2 atan2(|u - v|, |u + v|)` with `u = a / |a|`, `v = b / |b|`: within 2e-15 of the angle at every angle,
    while the arc cosine of the dot product loses all that is below 1e-8. Equal rows give equal angles, bit for bit.

    Args:
        a: (n, k), `b`: (m, k) with k >= 2, of any length above 0. Gaze as pitch and yaw in radians becomes
            `(cos(pitch) sin(yaw), sin(pitch), cos(pitch) cos(yaw))`; the signs a data set gives its axes change no
            angle. A single angle is not a direction: use `circular`.

    Returns:
        (n, m) float64 in radians, from 0 to pi; NaN where either row has a NaN.

    Raises:
        ShapeError: for k = 1, and for rows of zeros, which have no direction.

    Example:
        >>> right, up = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])
        >>> round(angular(right, up).item(), 6)
        1.570796

    Source: W. Kahan, "How Futile are Mindless Assessments of Roundoff in Floating-Point Computation?", 2006,
    "Mangled Angles".
    """
    u, v = _directions(a), _directions(b)
    return torch.cat([_twice_atan(l2(rows, v), l2(rows, -v)) for rows in row_blocks(u, len(v))])


def target_distance(distance: str | TargetDistance) -> TargetDistance:
    """Return the target distance of a name (`l1`, `l2`, `circular:360`, `angular`), or the user's function as it is.

    Args:
        distance: a name; or a function of targets (n, k) and (m, k) to (n, m) >= 0, such as `circular(360)` or what
            `weighted`, `mixed` and `partial` return.

    Raises:
        ConfigError: for an unknown name or a period that is no number above 0.

    Example:
        >>> target_distance("circular:24")(torch.tensor([[23.0]]), torch.tensor([[1.0]])).item()
        2.0
    """
    if callable(distance):
        return distance
    name, _, period = distance.partition(":")
    if name == "circular":
        return circular(_number(period))
    plain: dict[str, TargetDistance] = {"l1": l1, "l2": l2, "angular": angular}
    choice("distance", distance, ("l1", "l2", "circular:360", "angular"))
    return plain[distance]


# ----------------------------------------------------------------------------------------------------------------------


def _wide(x: Tensor) -> Tensor:
    return x.to(wide_dtype(x.device))


def _directions(x: Tensor) -> Tensor:
    """Return the rows at length 1; divided by their largest entry first, so that no square over- or underflows."""
    if x.shape[1] < 2:
        raise ShapeError(
            f"angular compares directions of 2 or more dimensions, got targets {tuple(x.shape)}. "
            "For a single angle use circular:360, or circular:6.283185307179586 for radians."
        )
    largest = _wide(x).abs().amax(1, keepdim=True)
    if bool((largest == 0).any()):
        zero = (largest == 0).flatten().nonzero().flatten().tolist()
        named = ", ".join(map(str, zero[:5])) + (", ..." if len(zero) > 5 else "")
        raise ShapeError(
            f"angular compares directions, but {len(zero)} of {len(x)} rows ({named}) are all zeros and have none. "
            "Drop these rows, or mark them as missing (NaN)."
        )
    x = _wide(x) / largest
    return x / x.square().cumsum(1)[:, -1:].sqrt()  # cumsum adds in one order, whatever the number of rows


def _twice_atan(opposite: Tensor, adjacent: Tensor) -> Tensor:
    """Return `2 atan2(opposite, adjacent)` of numbers >= 0, by operations that IEEE 754 rounds in one way only.

    torch.atan2 rounds the last entries of a tensor, which miss the vector unit, another way than the rest: it would
    split the tie of two views. With `t = small / large` and its nearest node `c = j / 32`,
    `atan t = atan c + atan r`, `r = (t - c) / (1 + t c)`, |r| <= 1/64, where five terms of the series leave 1e-20.
    """
    t = torch.minimum(opposite, adjacent).div_(torch.maximum(opposite, adjacent))
    node = (t * _NODES).round_().nan_to_num_(0.0)
    atan = t.new_tensor([math.atan(j / _NODES) for j in range(_NODES + 1)])[node.long()]
    node /= _NODES
    r = (t - node).div_((t * node).add_(1.0))
    square = r.square()
    series = square / 9
    for odd in (7, 5, 3):
        series = series.sub_(1 / odd).mul_(square).neg_()  # square * (1 / odd - series)
    atan += r.sub_(series.mul_(r))
    return torch.where(opposite > adjacent, math.pi - 2 * atan, 2 * atan)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # `positive` words the error
