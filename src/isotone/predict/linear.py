"""Stage 2 of RnC: a linear layer on frozen representations, by SGD, with the best epoch picked on validation.

Published (`kaiwenzha/Rank-N-Contrast:main_linear.py`): SGD on the raw representations from random weights, momentum
0.9, learning rate 0.05, no weight decay, batch 64, 100 epochs, cosine to lr * 0.2³, best epoch by validation MAE.

Kept: all of that but the coordinates, the start and a penalty, because RnC's representations are almost
one-dimensional and what corrects the prediction lies in directions 100 to 10,000 times smaller, where SGD does not
arrive in 100 epochs. So here
1. features are standardised by the training rows, and rotated to their principal axes (variance s² along each);
2. ridge regression is solved for 37 penalties α at once (a formula on those axes) and α is picked by validation MAE;
3. the axes are rescaled by 1 / sqrt(s² + α), where the ridge problem is as round as it can be, and SGD starts from
   the ridge solution (epoch 0) under the same penalty, so that it moves from the ridge fit to the fit of the
   predictor's own loss and neither crawls nor fits noise; an epoch's candidate is the mean of its iterates;
4. the best candidate is folded back into one plain layer on the raw representation.

Measured: test MAE of the L1 fit over that of the better of two exact fits (ridge, and L1 with a ridge penalty, penalty
by validation), on six kinds of synthetic features times three seeds: median 1.00, worst 1.06. The published SGD: on
standardised features 1.06 and 1.17, on raw ones 1.14 and, where features have a large mean, hundreds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.randomness import generator
from isotone.records import Predictor

FLOOR = 0.2**3  # of the learning rate, at the end of the cosine; published
ALPHAS = np.logspace(-9, 3, 37)  # ridge penalties tried, in units of one standardised feature's variance
RARE = 0.05  # of the features' typical std: below, a feature is scaled as if it had this much
NEAR_CONSTANT = 1e-6  # a feature's std below this part of its mean, or of the largest std, is float32 rounding


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A linear layer on raw representations: `out = h @ weight.T + bias`.

    Args:
        weight: (o, d) float32; exactly 0 for near-constant features.
        bias: (o,) float32.
        best_epoch: the epoch kept, counted from 1; 0 = the start, the ridge solution.
        val_scores: validation MAE in standardised units at the start and after each epoch, epochs + 1 numbers;
            NaN where an epoch diverged, which is never kept.
    """

    weight: Float[Tensor, "o d"]
    bias: Float[Tensor, " o"]
    best_epoch: int
    val_scores: tuple[float, ...]


def fit_linear(
    features: Callable[[int], Float[Tensor, "n d"]] | Float[Tensor, "n d"],
    target: Float[Tensor, "n k"],
    val_features: Float[Tensor, "m d"],
    val_target: Float[Tensor, "m k"],
    *,
    predictor: Predictor,
    epochs: int = 100,
    lr: float = 0.05,
    batch_size: int = 64,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    seed: int = 0,
) -> LinearFit:
    """Fit a linear layer on frozen representations and keep the epoch with the lowest validation MAE.

    Computes in float64 on the CPU; 1,000 rows of width 512 take half a second. The defaults are the published ones.

    Args:
        features: (n, d) training representations; or a function from the epoch (1, 2, ...) to that epoch's (n, d),
            where augmented ones are wanted. Epoch 1's give the statistics and the start.
        target: (n, k) standardised training targets.
        val_features: (m, d) validation representations, not augmented.
        val_target: (m, k) standardised validation targets.
        predictor: gives the loss and turns outputs into predictions. One with other than k outputs starts from 0.
        epochs: >= 0; 0 gives the ridge solution.
        lr: first learning rate > 0; falls to 0.008 of it by a cosine without warm-up.
        batch_size: rows a step, >= 1; momentum: from 0 to below 1; seed: of the order of the rows.
        weight_decay: >= 0, on the weights of standardised features, on top of the penalty that validation picked.

    Returns:
        The layer. Collapsed features (all near-constant) give weight 0 and the best constant as bias.

    Raises:
        ShapeError, ConfigError: shapes do not fit, a value is not finite; a setting is out of its range.

    Example:
        >>> from isotone.predict.l1 import L1
        >>> h, val = torch.linspace(-1, 1, 64)[:, None], torch.tensor([[0.5], [0.25]])
        >>> round(fit_linear(h, 3 * h + 1, val, 3 * val + 1, predictor=L1(), epochs=5).weight.item(), 2)
        3.0

    Source: Zha et al. 2023, arXiv 2210.01189, section 5 (two stages).
    """
    _check_settings(epochs, lr, batch_size, weight_decay, momentum)
    h, y = features(1) if callable(features) else features, target
    check_features(h, y, val_features, val_target)
    (h, y), (val_h, val_y) = _wide(h, y), _wide(val_features, val_target)
    basis = _basis(h, y, val_h, val_y, predictor, batch_size, weight_decay)
    first, val_q = basis.coordinates(h), basis.coordinates(val_h)
    weight, velocity = basis.start, torch.zeros_like(basis.start)
    best, scores = weight, [_score(val_q, weight, val_y, predictor)]
    for epoch in range(1, epochs + 1):
        q = basis.coordinates(_redrawn(features(epoch), h)) if callable(features) and epoch > 1 else first
        rate = lr * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * epoch / epochs)) / 2)
        batches = _batches(q, y, batch_size, generator("linear", seed, epoch))
        weight, velocity, mean = _epoch(weight, velocity, batches, basis.penalty, predictor, rate, momentum)
        scores.append(_score(val_q, mean, val_y, predictor))
        best = mean if scores[-1] < np.nanmin(scores[:-1]) else best
    return LinearFit(*basis.fold(best), best_epoch=int(np.nanargmin(scores)), val_scores=tuple(scores))


def check_features(h: Tensor, y: Tensor, val_h: Tensor, val_y: Tensor) -> None:
    """Raise a ShapeError unless features (n, d), (m, d) and targets (n, k), (m, k) fit, none empty, all finite.

    Args:
        h: training representations.
        y: standardised training targets.
        val_h: validation representations.
        val_y: standardised validation targets.
    """
    got = f"{tuple(h.shape)}, {tuple(y.shape)}, {tuple(val_h.shape)}, {tuple(val_y.shape)}"
    fits = all(x.ndim == 2 and x.numel() > 0 for x in (h, y, val_h, val_y))
    if not (fits and len(h) == len(y) and len(val_h) == len(val_y)) or (
        h.shape[1] != val_h.shape[1] or y.shape[1] != val_y.shape[1]
    ):
        raise ShapeError(
            "A head expects features (n, d), target (n, k), val_features (m, d), val_target (m, k), none empty, "
            f"but got {got}.\nFor one target dimension, use target[:, None]."
        )
    for name, x in (("features", h), ("target", y), ("val_features", val_h), ("val_target", val_y)):
        bad = ~torch.isfinite(x).all(dim=1)
        if bad.any():
            raise ShapeError(
                f"A head expects finite values, but {int(bad.sum())} rows of `{name}` hold NaN or infinity, "
                f"the first is row {int(bad.nonzero()[0])}. Leave these rows out, or look for a diverged encoder."
            )


# ----------------------------------------------------------------------------------------------------------------------


def _redrawn(h: Tensor, first: Tensor) -> Tensor:
    """Return an epoch's own features, checked against the first epoch's."""
    if h.shape != first.shape or not bool(torch.isfinite(h).all()):
        raise ShapeError(
            f"Expected finite features {tuple(first.shape)} in every epoch, got {tuple(h.shape)}, or NaN or infinity "
            "among them. Return the same rows in the same order each time."
        )
    return h.to(first)


def _batches(q: Tensor, y: Tensor, size: int, draw: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(q), generator=draw)
    return list(zip(q.index_select(0, order).split(size), y.index_select(0, order).split(size), strict=True))


@dataclass(frozen=True, eq=False)
class _Basis:
    """The coordinates q = [(h - mean) @ projection, constant] that SGD works in, its start and its penalty there."""

    mean: Tensor  # (d,)
    projection: Tensor  # (d, r), columns scaled so that ridge is round and a nominal step is stable
    constant: float  # the bias's coordinate, scaled as the others are
    start: Tensor  # (r + 1, o)
    penalty: Tensor  # (r + 1, 1), 0 for the bias

    def coordinates(self, h: Tensor) -> Tensor:
        q = (h - self.mean) @ self.projection
        return torch.cat([q, q.new_full((len(q), 1), self.constant)], dim=1)

    def fold(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.projection @ weight[:-1]  # (d, o)
        return raw.T.float().contiguous(), (weight[-1] * self.constant - self.mean @ raw).float()


def _basis(
    h: Tensor, y: Tensor, val_h: Tensor, val_y: Tensor, predictor: Predictor, batch_size: int, weight_decay: float
) -> _Basis:
    mean, std = h.mean(dim=0), h.std(dim=0, correction=0)
    dead = (std <= NEAR_CONSTANT * mean.abs()) | (std <= NEAR_CONSTANT * std.max())
    # a unit that is all but dead in training may wake on a new row: its std is no measure, so it is not blown up
    steady = (std.square() + (RARE * std.square().mean().sqrt()).square()).sqrt()
    scale = torch.where(dead, 0.0, 1 / steady)[:, None]  # (d, 1)
    x = (h - mean) * scale.T
    variance, axes = _principal(x)
    centre = y.mean(dim=0)
    moment = axes.T @ (x.T @ (y - centre)) / len(x)  # (r, k); ridge = moment / (variance + alpha)
    alpha = _pick_alpha((val_h - mean) * scale.T @ axes, val_y - centre, variance, moment)
    curvature = _curvature(x @ axes @ (moment / (variance + alpha)[:, None]) + centre, y, predictor)
    alpha += weight_decay / curvature
    used = variance > 1e-3 * alpha  # the rest is shrunk a thousandfold: only cost
    variance, axes, moment = variance[used], axes[:, used], moment[used]
    # SGD with batches of B rows is stable for a curvature * |q|² of about B
    freedom = max(1.0, float((variance / (variance + alpha)).sum()) / batch_size)
    stretch = 1 / (curvature * freedom * (variance + alpha)).sqrt()  # (r,)
    constant = curvature**-0.5
    start = torch.cat([moment / ((variance + alpha) * stretch)[:, None], centre[None] / constant])
    if predictor.outputs(y.shape[1]) != y.shape[1]:
        start = start.new_zeros(len(start), predictor.outputs(y.shape[1]))
    penalty = torch.cat([curvature * alpha * stretch.square(), stretch.new_zeros(1)])[:, None]
    return _Basis(mean=mean, projection=scale * axes * stretch, constant=constant, start=start, penalty=penalty)


def _principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances (r,) and axes (d, r) of centred rows, from the smaller of the two Gram matrices."""
    n, d = x.shape
    if d <= n:
        square, axes = torch.linalg.eigh(x.T @ x)
    else:
        square, left = torch.linalg.eigh(x @ x.T)
        axes = x.T @ left / square.clamp_min(torch.finfo(x.dtype).tiny).sqrt()
    keep = square > 1e-13 * square.max()  # below: rounding of the Gram matrix
    return square[keep] / n, axes[:, keep]


def _pick_alpha(val_x: Tensor, val_y: Tensor, variance: Tensor, moment: Tensor) -> float:
    """Return the penalty whose ridge solution has the lowest validation MAE."""
    errors = [float((val_x @ (moment / (variance + a)[:, None]) - val_y).abs().mean()) for a in ALPHAS]
    return float(ALPHAS[int(np.argmin(errors))])


def _curvature(out: Tensor, y: Tensor, predictor: Predictor) -> float:
    """Return the loss's slope against the residual: 2 for MSE, 1 / (size of a residual) for L1.

    It puts the squared error's α and a step's length into the units of the predictor's loss.
    """
    residual = out - y
    if predictor.outputs(y.shape[1]) != y.shape[1] or not residual.any():
        return 1.0
    slope = _gradient(out, y, predictor) * len(out)
    return max(float((slope * residual).sum() / residual.square().sum()), 1e-6)


def _gradient(out: Tensor, y: Tensor, predictor: Predictor) -> Tensor:
    out = out.detach().requires_grad_()
    return torch.autograd.grad(predictor.loss(out, y), out)[0]


def _epoch(
    weight: Tensor,
    velocity: Tensor,
    batches: list[tuple[Tensor, Tensor]],
    penalty: Tensor,
    predictor: Predictor,
    rate: float,
    momentum: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weight and velocity after the epoch, and the mean of the weights after each of its steps."""
    total = torch.zeros_like(weight)
    for q, y in batches:
        gradient = q.T @ _gradient(q @ weight, y, predictor) + penalty * weight
        velocity = momentum * velocity + gradient
        weight = weight - rate * velocity
        total += weight
    return weight, velocity, total / len(batches)


def _score(q: Tensor, weight: Tensor, y: Tensor, predictor: Predictor) -> float:
    return float((predictor.decode(q @ weight) - y).abs().mean())


def _wide(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.detach().to("cpu", torch.float64) for tensor in tensors)


def _check_settings(epochs: int, lr: float, batch_size: int, weight_decay: float, momentum: float) -> None:
    ranges = (
        ("epochs", epochs, epochs >= 0, ">= 0"),
        ("lr", lr, 0 < lr < math.inf, "> 0"),
        ("batch_size", batch_size, batch_size >= 1, ">= 1"),
        ("weight_decay", weight_decay, 0 <= weight_decay < math.inf, ">= 0"),
        ("momentum", momentum, 0 <= momentum < 1, ">= 0 and < 1"),
    )
    for name, value, fits, expected in ranges:
        if not fits:
            raise ConfigError(f"A linear fit expects {name} {expected}, but got {value}. Change `{name}`.")
