"""The one place that words input errors for tensors and settings: what was expected, what came, what to do."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from isotone.errors import ConfigError, ShapeError, nearest


def embeddings(z: Float[Tensor, "n d"] | Float[Tensor, "b v d"], owner: str) -> Float[Tensor, "n d"]:
    """Return embeddings as rows (n, d), the v views of a (b, v, d) batch as v blocks of b rows.

    Args:
        z: (n, d), or (b, v, d) with v views of b samples; any float type.
        owner: name of the loss, for the message.

    Raises:
        ShapeError: for another number of dimensions, no float type, fewer than two rows, NaN or infinity.
    """
    if z.dim() not in (2, 3):
        raise ShapeError(f"{owner} expects embeddings (n, d) or (b, v, d), got {tuple(z.shape)}. {_flatten_hint(z)}")
    if not z.is_floating_point():
        raise ShapeError(f"{owner} expects float embeddings, got {z.dtype}. Use embeddings.float().")
    rows = z.transpose(0, 1).reshape(-1, z.shape[-1]) if z.dim() == 3 else z
    if rows.shape[0] < 2:
        raise ShapeError(
            f"{owner} compares samples and needs at least 2 rows, got {rows.shape[0]}. Use a larger batch, or drop the "
            "last incomplete one."
        )
    finite(rows, owner, "embeddings", "The network has diverged or its input is damaged: look at the loss before.")
    return rows


def targets(
    y: Shaped[Tensor, "b *l"], rows: int, views: int, owner: str, *, missing: bool = False
) -> Float[Tensor, "n k"]:
    """Return targets as (n, k) float64, repeated for each view.

    Args:
        y: (b,) or (b, k), any real type; integers are exact ages or counts.
        rows: rows of the embeddings, b * views.
        views: blocks of rows that share the targets.
        owner: name of the loss, for the message.
        missing: whether NaN is a missing target rather than an error.

    Raises:
        ShapeError: for another shape or length, bool or complex type, infinity, and NaN unless it may be missing.
    """
    b = rows // views
    if y.dim() not in (1, 2) or y.shape[0] != b or y.shape[-1] == 0:
        raise ShapeError(
            f"{owner} expects targets ({b},) or ({b}, k), one for each sample, got {tuple(y.shape)}. "
            "Views of one sample share its target: pass embeddings (b, v, d) with targets (b,)."
        )
    if y.is_complex() or y.dtype == torch.bool:
        raise ShapeError(f"{owner} orders samples by real targets, got {y.dtype}. Use SupCon for classes.")
    wide = y.reshape(b, -1).to(wide_dtype(y.device))
    known = wide.nan_to_num(nan=0.0, posinf=float("inf"), neginf=float("-inf")) if missing else wide
    finite(known, owner, "targets", "Drop these rows, or fill in the missing targets.")
    return wide.repeat(views, 1)


def weights(w: Float[Tensor, " b"], rows: int, views: int, owner: str) -> Float[Tensor, " n"]:
    """Return sample weights as (n,) float64, repeated for each view.

    Args:
        w: (b,) at least 0, one of them above 0.
        rows: rows of the embeddings, b * views.
        views: blocks of rows that share the weights.
        owner: name of the loss, for the message.

    Raises:
        ShapeError: for another shape, negative weights, NaN or infinity, and nothing but zeros.
    """
    b = rows // views
    if w.shape != (b,):
        raise ShapeError(
            f"{owner} expects weights ({b},), got {tuple(w.shape)}. Give one for each sample; its views share it."
        )
    if bool((w < 0).any()) or not bool((w != 0).any()):
        raise ShapeError(
            f"{owner} expects weights of at least 0, some above 0, got {float(w.min()):g} to {float(w.max()):g}. "
            "Give 0 to a sample that should only be compared with."
        )
    finite(w, owner, "weights", "Give 0 to a sample that should only be compared with.")
    return w.to(wide_dtype(w.device)).repeat(views)


def labels(y: Shaped[Tensor, " b"], rows: int, views: int, owner: str) -> Int[Tensor, " n"]:
    """Return class labels as (n,) int64, repeated for each view.

    Args:
        y: (b,) integers or bools; any numbering.
        rows: rows of the embeddings, b * views.
        views: blocks of rows that share the labels.
        owner: name of the loss, for the message.

    Raises:
        ShapeError: for another shape or length, and for float labels, which equality would tear apart silently.
    """
    b = rows // views
    if y.is_floating_point() or y.is_complex():
        raise ShapeError(
            f"{owner} asks whether labels are equal and expects integers, got {y.dtype}. "
            "Use RnC for real targets; for classes pass labels.long()."
        )
    if y.shape != (b,):
        raise ShapeError(
            f"{owner} expects labels ({b},), one for each sample, got {tuple(y.shape)}. "
            "Views of one sample share its label: pass embeddings (b, v, d) with labels (b,)."
        )
    return y.long() if views == 1 else y.long().repeat(views)


def finite(x: Tensor, owner: str, what: str, fix: str) -> None:
    """Raise a ShapeError that names the first rows where `x` is NaN or infinite."""
    # a finite sum proves it in one pass; one that overflows needs the look at each entry
    if (x.is_floating_point() and math.isfinite(x.sum().item())) or bool(torch.isfinite(x).all()):
        return
    bad = (~torch.isfinite(x)).reshape(x.shape[0], -1).any(1).nonzero().flatten().tolist()
    named = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
    raise ShapeError(
        f"{owner} expects finite {what}, got NaN or infinity in {len(bad)} of {x.shape[0]} rows ({named}). {fix}"
    )


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the widest float type of the device: float64, or float32 where there is none (Apple's mps)."""
    return torch.float32 if device.type == "mps" else torch.float64


def positive(name: str, value: float | int) -> None:
    """Raise a ConfigError unless the setting `name` is a finite number above 0."""
    if not 0 < value < float("inf"):
        raise ConfigError(f"`{name}` must be a finite number above 0, got {value}.")


def between(name: str, value: float | int, low: float | int, high: float | int) -> None:
    """Raise a ConfigError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ConfigError(f"`{name}` must be between {low:,.15g} and {high:,.15g}, got {value:g}.")


def choice(name: str, value: str, options: Iterable[str]) -> None:
    """Raise a ConfigError with the nearest name unless `value` is one of the options."""
    options = list(options)
    if value not in options:
        raise ConfigError(f"`{name}` has no {value!r}; there are {', '.join(options)}.{nearest(value, options)}")


# ----------------------------------------------------------------------------------------------------------------------


def _flatten_hint(z: Tensor) -> str:
    return "Add the width: embeddings[:, None]." if z.dim() == 1 else "Pool or flatten to one vector a sample."
