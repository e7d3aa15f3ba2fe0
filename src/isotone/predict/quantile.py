"""Intervals that are wide where rows are uncertain: two linear quantile heads, moved by split conformal prediction.

The heads estimate the (1 - level) / 2 and (1 + level) / 2 quantiles of each target from frozen representations. Alone
they promise nothing, so both ends are moved by one number, which the validation rows give as they give the constant
form's half width (`isotone.predict.conformal`): the promise is the same, groups included, and the width may differ
from row to row.

Source: Romano, Patterson and Candès 2019, arXiv 1905.03222 (conformalised quantile regression).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import softplus

from isotone.errors import ConfigError
from isotone.predict.conformal import Calibration, Ends, widened
from isotone.predict.l1 import residual
from isotone.predict.penalised import PenalisedFit, fit_penalised
from isotone.predict.scaling import Scaling

ROUND = 0.1  # of the typical error: how far around 0 the pinball loss is rounded, so that L-BFGS can go down it
LEAST = 1e-3  # standard units: an error of 0 still needs a rounding


@dataclass(frozen=True)
class Quantiles:
    """Predict the lower and the upper quantile of one target by two linear outputs.

    Formula: loss = mean over rows and both outputs of share * r + rounding * log(1 + exp(-r / rounding)), where
    r = target - out. For a rounding of 0 that is the pinball loss, max(share * r, (share - 1) * r); it is larger by at
    most rounding * log 2.

    Args:
        level: share of the rows between the two quantiles, above 0 and below 1.
        rounding: > 0, standard units.

    Example:
        >>> Quantiles(0.8, 1e-6).loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0]])).item()  # (0.1 + 0.9) / 2
        0.5

    Source: Koenker and Bassett 1978, doi:10.2307/1913643; Zheng 2011, doi:10.1007/s13042-011-0031-2 (rounded).
    """

    level: float
    rounding: float

    def outputs(self, k: int) -> int:
        """Return 2k: the lower ends, then the upper ones."""
        return 2 * k

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean rounded pinball loss.

        Args:
            out: (n, 2k) lower ends, then upper ones.
            target: (n, k) standardised targets.

        Raises:
            ShapeError: the shapes do not fit, or n = 0.
        """
        r = -residual(out, torch.cat([target, target], dim=-1))
        return (self._shares(out) * r + self.rounding * softplus(-r / self.rounding)).mean()

    def pinball(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean pinball loss, not rounded.

        Args:
            out: (n, 2k) lower ends, then upper ones.
            target: (n, k) standardised targets.

        Raises:
            ShapeError: the shapes do not fit, or n = 0.
        """
        r, share = -residual(out, torch.cat([target, target], dim=-1)), self._shares(out)
        return torch.maximum(share * r, (share - 1) * r).mean()

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the middle between both quantiles."""
        low, high = out.chunk(2, dim=-1)
        return (low + high) / 2

    def _shares(self, out: Tensor) -> Tensor:
        ends = out.new_tensor([(1 - self.level) / 2, (1 + self.level) / 2])
        return ends.repeat_interleave(out.shape[-1] // 2)


@dataclass(frozen=True, eq=False)
class Band:
    """Two linear quantile heads on raw representations, and how far the validation rows say that their ends are off.

    Formula: interval = [low - q, high + q], q the quantile of max(low - target, target - high) over the validation rows
    as in `Calibration`. Where the heads cross, the smaller is low; where q < 0 turns an interval over, its middle is
    both ends.

    Args:
        level: share of new rows that are to lie in their interval; the heads were fitted for it and no other.
        weight: (2k, d) float64, user's units: the lower ends of the k targets, then the upper ones.
        bias: (2k,) float64.
        calibration: of the validation rows.

    Source: arXiv 1905.03222, section 4.
    """

    level: float
    weight: Float[np.ndarray, "o d"]
    bias: Float[np.ndarray, " o"]
    calibration: Calibration

    def ends(self, h: Float[np.ndarray, "n d"]) -> Ends:
        """Return low and high (n, k) of each row's interval, user's units.

        Args:
            h: (n, d) representations.

        Raises:
            ConfigError: too few groups of validation rows can promise the level.
        """
        return widened(_ends(h, self.weight, self.bias), self.calibration.half_width(self.level))

    def check_level(self, level: float) -> None:
        """Refuse another level than the heads were fitted for.

        Args:
            level: that is asked for.

        Raises:
            ConfigError: it is not the heads' own.
        """
        if level != self.level:
            raise ConfigError(
                f"the quantile heads of this run are of {100 * self.level:.3g} %, but --interval is {level:g}. Ask for "
                f"--interval {self.level:g}, or for intervals of one width, of any level: --interval-form constant."
            )


def fit_band(
    features: Float[np.ndarray, "n d"],
    target: Float[np.ndarray, "n k"],
    val_features: Float[np.ndarray, "m d"],
    val_target: Float[np.ndarray, "m k"],
    *,
    level: float,
    spread: Float[np.ndarray, " k"],
    val_group: Shaped[np.ndarray, " m"] | None = None,
) -> Band:
    """Fit both quantile heads of each target on training rows, their penalty and their correction on validation rows.

    Each target has its own penalty, that of the lowest pinball loss on validation, from the ladder of `fit_penalised`.
    10,000 rows of width 512 take about 40 seconds on one core.

    Args:
        features: (n, d) training representations.
        target: (n, k) their targets, user's units.
        val_features: (m, d) validation representations.
        val_target: (m, k) their targets, user's units.
        level: share of new rows that are to lie in their interval, above 0 and below 1.
        spread: (k,) size of a typical error of a prediction, user's units; the loss is rounded over a tenth of it.
        val_group: (m,) name of each validation row's group, or None where every row is its own.

    Raises:
        ShapeError: shapes do not fit, or a value is not finite.

    Example:
        >>> x = np.linspace(0.0, 1.0, 200)[:, None]
        >>> y = x * np.resize([-1.0, -0.5, 0.0, 0.5, 1.0], 200)[:, None]  # wider from left to right
        >>> band = fit_band(x, y, x, y, level=0.8, spread=np.array([0.25]))
        >>> low, high = band.ends(np.array([[0.2], [0.9]]))
        >>> np.round(high - low, 1).ravel().tolist()
        [0.4, 1.8]

    Source: arXiv 1905.03222, algorithm 1.
    """
    scaling = Scaling.of(target)
    h, val_h = (torch.from_numpy(np.asarray(x)) for x in (features, val_features))
    y, val_y = (torch.from_numpy(scaling.standardise(x)) for x in (target, val_target))
    rounding = np.maximum(ROUND * spread / scaling.std, LEAST)
    fits: list[PenalisedFit] = []
    for i, size in enumerate(rounding.tolist()):
        made, one = Quantiles(level, size), slice(i, i + 1)
        fits.append(fit_penalised(h, y[:, one], val_h, val_y[:, one], predictor=made, score=made.pinball))
    unit, centre = np.tile(scaling.std, 2), np.tile(scaling.mean, 2)
    weight = torch.stack([fit.weight for fit in fits], dim=1).flatten(0, 1).double().numpy() * unit[:, None]
    bias = torch.stack([fit.bias for fit in fits], dim=1).flatten().double().numpy() * unit + centre
    calibration = Calibration.outside(val_target, _ends(val_features, weight, bias), val_group)
    return Band(level, weight, bias, calibration)


# ----------------------------------------------------------------------------------------------------------------------


def _ends(h: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Ends:
    """Return the lower and upper quantile (n, k), the smaller first."""
    low, high = np.split(h.astype(np.float64) @ weight.T + bias, 2, axis=1)
    return np.minimum(low, high), np.maximum(low, high)
