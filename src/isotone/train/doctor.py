"""Looks at the representation while it trains: has it collapsed, are its units alive? In plain sentences.

A contrastive loss can fall while the representation becomes useless: all rows at one point, or along a few directions.

Source: Roy and Vetterli 2007, "The effective rank", EUSIPCO; Jing et al. 2022, arXiv 2110.09348 (dimensional collapse).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotone import check
from isotone.errors import ShapeError

Problem = Literal["point", "directions", "dead"]
POINT = 0.01  # of the rows' length: untrained encoders, batch norm in eval mode, were measured at 0.05 and more
FEWEST = 2.0  # directions, and
SHARE = 0.01  # of those that are possible; untrained encoders use half of them
DEAD = 1e-6  # of the typical unit's spread, or of the unit's own mean: what float32's rounding leaves of a constant
MANY_DEAD = 0.5  # of the units; untrained encoders have up to 0.11
_REMEDIES = "Try a lower --lr, a larger --batch-size, --norm group, or a higher --temperature where the method has one."


@dataclass(frozen=True)
class Health:
    """What `diagnose` found.

    Args:
        effective_rank: directions that the rows spread over, 0 to d; 0 where all rows are equal.
        dead_units: share of the units that are the same for all rows, 0 to 1.
        cosine: mean cosine of two different rows, -1 to 1.
        spread: root mean square distance of the rows to their mean, over their root mean square length; 0 to 1.
        problems: `point`, `directions` or `dead`, each with a sentence on what is wrong and what to try.
    """

    effective_rank: float
    dead_units: float
    cosine: float
    spread: float
    problems: Mapping[Problem, str] = field(default_factory=dict[Problem, str])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wrong and what to try; empty where nothing is."""
        return tuple(self.problems.values())

    def numbers(self) -> dict[str, float]:
        """Return the numbers by name, for a log."""
        return {
            "effective_rank": self.effective_rank,
            "dead_units": self.dead_units,
            "cosine": self.cosine,
            "spread": self.spread,
        }


def diagnose(h: Float[Tensor, "n d"], *, ordered: bool = False) -> Health:
    """Return the health of a representation of clean rows.

    `effective rank = exp( -sum_i p_i ln p_i )`, p the singular values of the centred rows, divided by their sum.

    It has collapsed to a point where the spread is below 1 %, to few directions where the effective rank is below 2 or
    1 % of what is possible, min(n - 1, d); too many units are dead where it is more than half of them.

    Args:
        h: (n, d) representations of different rows, in eval mode; a few hundred to 2,000 are enough, since the time
            grows with n d min(n, d).
        ordered: whether the loss itself asks for few directions, which are no fault then: RnC and the baselines on one
            target want a line, SupCon and a classifier one direction fewer than there are classes.

    Raises:
        ShapeError: for fewer than two rows, other shapes, NaN or infinity.

    Example:
        >>> diagnose(torch.eye(5)).effective_rank  # 4 equal directions around the mean
        4.0
        >>> diagnose(torch.ones(5, 3)).sentences[0].partition(" Try")[0]
        'The representation has collapsed to a point: its rows differ by 0.00 % of their length.'

    Source: Roy and Vetterli 2007, definition 1.
    """
    if h.dim() != 2 or h.shape[0] < 2 or h.shape[1] < 1:
        raise ShapeError(f"`diagnose` expects representations (n, d) of two rows or more, got {tuple(h.shape)}.")
    check.finite(h, "`diagnose`", "representations", "The network has diverged: try a lower --lr or --clip 1.")
    x = h.detach().cpu().double()
    x = x / x.abs().amax().clamp_min(torch.finfo(torch.float64).tiny)  # squares neither overflow nor vanish
    mean = x.mean(0)
    std = (x - mean).square().mean(0).sqrt()
    dead = (std <= DEAD * std.square().mean().sqrt()) | (std <= DEAD * mean.abs())
    rows = torch.where(dead, 0.0, x - mean)
    length = float(x.square().sum(1).mean().sqrt())
    spread = float(rows.square().sum(1).mean().sqrt()) / length if length else 0.0
    rank, share = _effective_rank(rows), float(dead.double().mean())
    wrong = _problems(rank, share, spread, n=len(x), d=x.shape[1], ordered=ordered)
    return Health(rank, share, _mean_cosine(x), spread, wrong)


# ----------------------------------------------------------------------------------------------------------------------


def _effective_rank(rows: Float[Tensor, "n d"]) -> float:
    n, d = rows.shape
    squares = torch.linalg.eigvalsh(rows @ rows.T if n < d else rows.T @ rows)
    values = torch.where(squares > 1e-12 * squares.amax(), squares, 0.0).clamp_min(0).sqrt()  # the rest is rounding
    if not bool(values.any()):
        return 0.0
    share = values / values.sum()
    return float(torch.special.entr(share).sum().exp())


def _mean_cosine(x: Float[Tensor, "n d"]) -> float:
    """Return the mean over pairs of different rows; a row of zeros has cosine 0 with all."""
    length = x.norm(dim=1, keepdim=True)
    unit = x / torch.where(length > 0, length, 1.0)
    n = len(x)
    return float((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1)))


def _problems(rank: float, dead: float, spread: float, *, n: int, d: int, ordered: bool) -> dict[Problem, str]:
    if spread < POINT:  # not the cosine: a line through 0, which RnC may make, has cosine 1 and is no point
        found = f"its rows differ by {100 * spread:.2f} % of their length"
        return {"point": f"The representation has collapsed to a point: {found}. {_REMEDIES}"}
    problems: dict[Problem, str] = {}
    most = min(n - 1, d)
    if not ordered and most > FEWEST and rank < max(FEWEST, SHARE * most):
        found = f"its effective rank is {rank:.1f} of {most}"
        problems["directions"] = f"The representation has collapsed to few directions: {found}. {_REMEDIES}"
    if dead > MANY_DEAD:
        found = f"{100 * dead:.0f} % of the {d} units of the representation are the same for every row"
        problems["dead"] = f"{found}. Try a lower --lr, a longer --warmup, or --norm group."
    return problems
