"""Targets are trained in standard units and reported in the user's; statistics come from the training rows alone.

So do the bins of predictors that ask which bin a target is in.

Unscaled targets are a known cause of training that does not converge (`self-attention-cv#9`), and statistics of
validation or test rows would leak.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotone.errors import CheckpointError, ShapeError
from isotone.records import Bins

Array = TypeVar("Array", np.ndarray, Tensor)
BINS = 50  # of each target


@dataclass(frozen=True, eq=False)
class Scaling:
    """The shift and scale between the user's units and standard units.

    Formula: z = (y - mean) / std for each target dimension; std divides by n.

    On a circle the cosines and sines of the targets are what is scaled, (n, 2k): no jump is left to be learned.

    Args:
        mean: (k,) float64, user's units; k = 0 where there are no targets to scale. On a circle (2k,).
        std: as `mean`, > 0; 1 for a constant dimension.
        bins: from the smallest to the largest training target, in standard units; None where they are not known.
        period: length of the circle in the user's unit, or None.

    Raises:
        ShapeError: `mean` and `std` are not finite (k,) arrays with std > 0.

    Example:
        >>> scaling = Scaling.of(np.array([[10.0], [30.0]]))
        >>> scaling.standardise(np.array([[30.0]])).tolist(), scaling.restore(np.array([[-1.0]])).tolist()
        ([[1.0]], [[10.0]])
    """

    mean: Float[np.ndarray, " k"]
    std: Float[np.ndarray, " k"]
    bins: Bins | None = None
    period: float | None = None

    def __post_init__(self) -> None:
        fits = self.mean.ndim == 1 and self.mean.shape == self.std.shape
        if not (fits and np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ShapeError(
                "Scaling expects finite mean and std of one shape (k,) with std > 0, "
                f"but got mean {self.mean.tolist()} and std {self.std.tolist()}. Make it with Scaling.of(train_target)."
            )

    @classmethod
    def of(cls, train_target: Float[np.ndarray, "n k"], *, bins: int = BINS, period: float | None = None) -> "Scaling":
        """Return the scaling of the training targets, and their bins.

        Args:
            train_target: (n, k), user's units, n >= 1; safe up to 1e307, because squares are taken after scaling.
                k may be 0.
            bins: of each target, from the smallest to the largest.
            period: length of the circle that the targets lie on, or None.

        Returns:
            The scaling; a constant dimension gets its value as mean, exactly, and std 1.

        Raises:
            ShapeError: the targets are not (n, k) with n >= 1, or hold NaN or infinity.
        """
        y = np.asarray(train_target, dtype=np.float64)
        if y.ndim != 2 or not len(y) or not np.isfinite(y).all():
            raise ShapeError(
                "Scaling expects finite training targets (n, k) with n >= 1, "
                f"but got shape {y.shape} with {int((~np.isfinite(y)).sum())} NaN or infinite values. "
                "Run `isotone check` on the table."
            )
        y = y if period is None else _points(y, period)
        constant = y.min(axis=0) == y.max(axis=0)
        mean = np.where(constant, y[0], y.mean(axis=0))  # a rounded mean would leave a std of 1e-17
        centred = y - mean
        span = np.abs(centred).max(axis=0)
        span[span == 0] = 1.0
        std = span * np.sqrt(np.square(centred / span).mean(axis=0))
        std = np.where(constant | (std == 0), 1.0, std)
        low, high = (tuple(((end - mean) / std).tolist()) for end in (y.min(axis=0), y.max(axis=0)))
        return cls(mean=mean, std=std, bins=Bins(low, high, bins), period=period)

    def standardise(self, y: Array) -> Array:
        """Return targets in standard units, on a circle (n, 2k).

        Args:
            y: (n, k) array or tensor, user's units.

        Returns:
            (n, k) float64 of the same kind and, for a tensor, on the same device; float64 keeps the digits of
            targets such as time stamps (1.7e9) until the mean is gone.

        Raises:
            ShapeError: `y` is not (n, k) with this scaling's k.
        """
        y = y if self.period is None else _points(y, self.period)
        self._check(y)
        if isinstance(y, Tensor):
            return (y.double() - torch.from_numpy(self.mean).to(y.device)) / torch.from_numpy(self.std).to(y.device)
        return (y.astype(np.float64) - self.mean) / self.std

    def restore(self, z: Array) -> Array:
        """Return standardised values in the user's units; the inverse of `standardise`. On a circle from 0 to `period`.

        Args:
            z: (n, k) array or tensor, standard units.

        Returns:
            (n, k) float64 of the same kind and, for a tensor, on the same device.

        Raises:
            ShapeError: `z` is not (n, k) with this scaling's k.
        """
        self._check(z)
        if isinstance(z, Tensor):
            y = z.double() * torch.from_numpy(self.std).to(z.device) + torch.from_numpy(self.mean).to(z.device)
        else:
            y = z.astype(np.float64) * self.std + self.mean
        return y if self.period is None else _places(y, self.period)

    def to_json(self) -> dict[str, Any]:
        """Return `mean` and `std`, k numbers each, and `bins` and `period` where there are; JSON keeps every digit."""
        bins = {} if self.bins is None else {"bins": asdict(self.bins)}
        circle = {} if self.period is None else {"period": [self.period]}
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), **bins, **circle}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Scaling":
        """Return the scaling that `to_json` wrote.

        Args:
            saved: the mapping with `mean` and `std`, and `bins` where they are known.

        Returns:
            The scaling, bit for bit.

        Raises:
            CheckpointError: the mapping is not what `to_json` writes.
        """
        try:
            mean, std = (np.array(saved[name], dtype=np.float64) for name in ("mean", "std"))
            bins = _bins(saved.get("bins"), len(mean))
            period = float(saved["period"][0]) if "period" in saved else None
            return cls(mean=mean, std=std, bins=bins, period=period)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                'The saved target scaling must be {"mean": [...], "std": [...]} with k finite numbers each and '
                f"std > 0, and bins like them, but got {saved!r}.\n"
                "The file was changed or cut off: restore it, or train again."
            ) from error

    def _check(self, y: np.ndarray | Tensor) -> None:
        if y.ndim != 2 or y.shape[1] != len(self.mean):
            raise ShapeError(
                f"This scaling expects values of shape (n, {len(self.mean)}), but got {tuple(y.shape)}. "
                "For one target dimension, use y[:, None]."
            )


# ----------------------------------------------------------------------------------------------------------------------


def _bins(saved: Mapping[str, Any] | None, k: int) -> Bins | None:
    """Return the saved bins; models from before there were bins have none."""
    if saved is None:
        return None
    low, high = (tuple(float(x) for x in saved[name]) for name in ("low", "high"))
    bins = Bins(low, high, int(saved["count"]))
    if not (len(low) == len(high) == k and np.isfinite([*low, *high]).all() and bins.count >= 1):
        raise ValueError("these are no bins")
    return bins


def _points(y: Array, period: float) -> Array:
    """Return places on a circle (n, k) as cosines and sines (n, 2k)."""
    turn = y * (2 * math.pi / period)
    if isinstance(turn, Tensor):
        return torch.cat([turn.double().cos(), turn.double().sin()], dim=-1)
    return np.concatenate([np.cos(turn), np.sin(turn)], axis=-1)


def _places(points: Array, period: float) -> Array:
    """Return cosines and sines (n, 2k), of any length, as places from 0 to below `period`."""
    k = points.shape[1] // 2
    if isinstance(points, Tensor):
        place = torch.remainder(torch.atan2(points[:, k:], points[:, :k]) * (period / (2 * math.pi)), period)
        return torch.where(place >= period, 0.0, place)  # a tiny negative angle rounds to a whole turn
    place = np.mod(np.arctan2(points[:, k:], points[:, :k]) * (period / (2 * math.pi)), period)
    return np.where(place >= period, 0.0, place)
