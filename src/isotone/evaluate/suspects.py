"""Rows whose target disagrees with their neighbours in the representation: where to look for wrong targets first.

In a representation that is ordered by the target, rows near each other have near targets, and a wrong one stands out.
The encoder has seen the wrong targets too and has learnt some of them by heart; three things work against that:
neighbours are sought among other groups only, they vote by their median, and a row is embedded as the mean of its clean
view and several augmented ones, whose accidents cancel. A disagreement counts for less where the neighbours disagree
among themselves: dividing by their spread matters more than any of these.

Measured on HC18, 5 % of 999 targets replaced by another row's at least one standard deviation away, RnC, one run: see
`docs/suspects.md`.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from isotone.data.views import Views
from isotone.errors import ConfigError, ShapeError
from isotone.predict import task_of
from isotone.records import Dataset
from isotone.train.forward import forward

NEIGHBOURS = 20
SHOWN = 5  # of them are kept for people to look at
FEWEST = 3  # a median of fewer says nothing
SIGMA = 1.4826  # a median absolute deviation times this is the standard deviation, where errors are normal
BLOCK = 2**20  # pairs compared at once: a matrix of 8 MiB
FLOOR = 1e-3  # of the targets' standard deviation: what a spread is at least
FAR_EPOCH = 1_000_000_000  # keys of the augmented views: none that training has used

Rows = Literal["train", "all"]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Rows of a data set, the most suspicious first.

    Args:
        index: (m,) rows of the data set.
        said: (m, k) what the neighbours say of each target: their median, user's units.
        score: (m,) the disagreement in units of what is usual there, the largest over the targets; 3 is rare.
        near: (m, 5) the nearest rows of other groups, the nearest first; fewer columns where there are fewer rows.
    """

    index: Int[np.ndarray, " m"]
    said: Float[np.ndarray, "m k"]
    score: Float[np.ndarray, " m"]
    near: Int[np.ndarray, "m s"]


def averaged(
    encoder: nn.Module, dataset: Dataset, views: Views, *, device: torch.device, count: int = 8
) -> Float[np.ndarray, "n d"]:
    """Return each row's representation, the mean of its clean view and `count` augmented ones.

    Args:
        encoder: (b, ...) to (b, d); left as it was.
        dataset: of the rows.
        views: makes the views, as in training.
        device: where the encoder computes; it goes back to where it was.
        count: augmented views, >= 0.
    """
    rows = np.arange(len(dataset.split))
    place = next((p.device for p in encoder.parameters()), device)
    encoder.to(device)
    try:
        total = forward(encoder, dataset, rows, views, device=device)
        for one in range(count):
            total = total + forward(encoder, dataset, rows, views, device=device, epoch=FAR_EPOCH + one)
    finally:
        encoder.to(place)
    return (total / (1 + count)).numpy()


def suspects(
    dataset: Dataset, h: Float[np.ndarray, "n d"], *, rows: Rows = "train", neighbours: int = NEIGHBOURS
) -> Suspects:
    """Return rows ranked by how far their target is from those of their nearest training rows of other groups.

    Formula: said = median of the neighbours' targets; score = |y - said| / (s + t), where s = 1.4826 median
    |y_neighbour - said| is the spread of the neighbours, and t = 1.4826 times the median of |y - said| over all rows is
    what is usual.

    Args:
        dataset: numbers, with its split; rows without a target are left out.
        h: (n, d) finite representations of all rows.
        rows: `train` ranks the training rows, each by the others; `all` ranks validation and test rows too, by the
            training rows.
        neighbours: >= 3; fewer where there are fewer rows.

    Raises:
        ConfigError: the run predicts no numbers; too few neighbours.
        ShapeError: a representation is not finite.

    Example: see `tests/evaluate/test_suspects.py`.
    """
    if task_of(dataset) != "numbers":
        raise ConfigError(
            "suspects are rows whose number disagrees with their neighbours', but these data have no target of numbers."
            " Use a run with --target."
        )
    if not np.isfinite(h).all():
        raise ShapeError("Suspects expect finite representations. Look for a diverged encoder.")
    bank = dataset.labelled("train")
    asked = (
        bank if rows == "train" else np.sort(np.concatenate([dataset.labelled(x) for x in ("train", "val", "test")]))
    )
    found = _nearest(h, asked, bank, _units(dataset), neighbours)  # (m, neighbours)
    y, voted = dataset.target[asked], dataset.target[found]  # (m, k), (m, neighbours, k)
    said = np.median(voted, axis=1)
    spread = SIGMA * np.median(np.abs(voted - said[:, None]), axis=1)
    gap = np.abs(y - said)
    usual = np.maximum(SIGMA * np.median(gap, axis=0), _floor(dataset.target[bank]))
    score = (gap / (spread + usual)).max(axis=1)
    order = np.argsort(-score, kind="stable")
    return Suspects(asked[order], said[order], score[order], found[order, :SHOWN])


def first(found: Suspects, count: int) -> Suspects:
    """Return the `count` most suspicious rows."""
    return replace(
        found, index=found.index[:count], said=found.said[:count], score=found.score[:count], near=found.near[:count]
    )


# ----------------------------------------------------------------------------------------------------------------------


def _units(dataset: Dataset) -> Int[np.ndarray, " n"]:
    """Return a number for each row's group; rows stand for themselves where there are no groups."""
    if dataset.group is None:
        return np.arange(len(dataset.split))
    return np.unique(dataset.group, return_inverse=True)[1].reshape(-1)


def _floor(y: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    std = y.std(axis=0)
    return FLOOR * np.where(std > 0, std, 1.0)


def _nearest(
    h: Float[np.ndarray, "n d"],
    asked: Int[np.ndarray, " m"],
    bank: Int[np.ndarray, " b"],
    unit: Int[np.ndarray, " n"],
    neighbours: int,
) -> Int[np.ndarray, "m s"]:
    """Return the nearest rows of the bank that are of another group, the nearest first."""
    others = len(bank) - int(np.bincount(unit[bank]).max(initial=0))  # that the row with the fewest still has
    wanted = min(neighbours, others)
    if wanted < FEWEST:
        raise ConfigError(
            f"suspects need at least {FEWEST} training rows of other groups for each row, but the largest group leaves "
            f"{others}. Give more groups, or a finer --group."
        )
    x = h.astype(np.float64) - h[bank].mean(axis=0, dtype=np.float64)  # a large mean would cost the distances' digits
    square = np.square(x).sum(axis=1)
    size = max(1, BLOCK // len(bank))
    parts: list[np.ndarray] = []
    for begin in range(0, len(asked), size):
        rows = asked[begin : begin + size]
        distance = square[rows, None] + square[None, bank] - 2 * x[rows] @ x[bank].T
        distance[unit[rows, None] == unit[None, bank]] = np.inf
        parts.append(bank[np.argsort(distance, axis=1, kind="stable")[:, :wanted]])
    return np.concatenate(parts)
