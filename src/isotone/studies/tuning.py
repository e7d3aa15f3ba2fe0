"""The tuning budget, the same for every arm: a grid of learning rates and weight decays, tried on seed 0.

Chosen by the error on the validation rows of seed 0, never by its test rows. But where each seed draws its own split,
test rows of the later seeds were training or validation rows of seed 0: the choice has seen them, for every arm alike.
With a column of splits all seeds share their test rows, and it has seen none. The grid, each error and the choice are
kept and shown.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from isotone import check
from isotone.errors import ConfigError
from isotone.settings import Settings
from isotone.train.schedule import nominal_lr

FACTORS = (1 / 3, 1.0, 3.0)  # times the arm's default learning rate
UPWARDS = (1, 3, 10)  # for MSE end to end, whose default is the safe one: HC18 wants 0.15
Tune = Literal["lr", "none"]


@dataclass(frozen=True)
class Try:
    """One point of the grid; None leaves the setting as it is."""

    lr: float | None = None
    weight_decay: float | None = None

    @property
    def settings(self) -> dict[str, float]:
        """Settings of `isotone fit` that it changes."""
        given = {"lr": self.lr, "weight_decay": self.weight_decay}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def name(self) -> str:
        """For folders: `lr0.2-wd0.001`; empty where nothing is changed."""
        short = {"lr": "lr", "weight_decay": "wd"}
        return "-".join(f"{short[name]}{value:g}" for name, value in self.settings.items())

    @property
    def title(self) -> str:
        """For people: `lr 0.2, weight decay 0.001`."""
        told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in self.settings.items())
        return told or "defaults"


@dataclass(frozen=True)
class Tuned:
    """What was tried for one run, and what was taken.

    Args:
        name: of what is trained, for people.
        tries: the grid.
        errors: of each, on the validation rows of seed 0; infinite where training diverged.
        lost: those that failed on another seed, and how.
    """

    name: str
    tries: tuple[Try, ...]
    errors: tuple[float, ...]
    lost: Mapping[Try, str] = field(default_factory=dict[Try, str])

    @property
    def diverged(self) -> str:
        """What to say where every try diverged; empty where one did not."""
        if any(math.isfinite(error) for error in self.errors):
            return ""
        titles = "; ".join(one.title for one in self.tries)
        return f"{self.name} diverged with every setting tried ({titles}). Try lower --lrs."

    @property
    def chosen(self) -> Try:
        """The try of the least error, of equals the first; one that is lost only where all are.

        Raises:
            ConfigError: every try diverged.
        """
        if self.diverged:
            raise ConfigError(self.diverged)
        order = sorted(range(len(self.tries)), key=lambda i: (self.tries[i] in self.lost, self.errors[i]))
        return next(self.tries[i] for i in order if math.isfinite(self.errors[i]))

    @property
    def told(self) -> str:
        """The grid and the choice in a line."""
        if self.diverged:
            return f"{self.diverged} It is left out."
        if len(self.tries) == 1:
            return f"{self.name}: {self.chosen.title}, nothing tuned."
        edge = " The choice is at the edge of the learning rates tried; a wider grid may do better."
        return f"{self.name}: {self.tried}.{edge if self.at_edge else ''}"

    @property
    def tried(self) -> str:
        """Each setting and its error; which was taken."""
        if len(self.tries) == 1:
            return "nothing"
        found = [
            f"{one.title}: {'diverged' if math.isinf(error) else f'{error:.4g}'}"
            + (f" ({self.lost[one]})" if one in self.lost else "")
            + (" (taken)" if not self.diverged and one == self.chosen else "")
            for one, error in zip(self.tries, self.errors, strict=True)
        ]
        return "; ".join(found)

    @property
    def at_edge(self) -> bool:
        """Whether the rate taken is the lowest or the highest of several."""
        rates = sorted({one.lr for one in self.tries if one.lr is not None})
        return len(rates) > 1 and self.chosen.lr in (rates[0], rates[-1])


def grid(settings: Settings, *, tune: Tune, lrs: Sequence[float], weight_decays: Sequence[float]) -> tuple[Try, ...]:
    """Return what is tried for one run.

    Args:
        settings: of the run.
        tune: `lr` tries a third, one and three times the arm's own learning rate (MSE's default: one,
            three and ten); `none` tries nothing.
        lrs: learning rates to try in place of those.
        weight_decays: to try with each learning rate; none leaves the setting as it is.

    Raises:
        ConfigError: values out of range; a grid together with `none`.

    Example:
        >>> from isotone.settings import resolve
        >>> [one.name for one in grid(resolve("rnc", {}), tune="lr", lrs=(), weight_decays=())]
        ['lr0.17', 'lr0.5', 'lr1.5']
    """
    check.choice("tune", tune, ("lr", "none"))
    if tune == "none" and (lrs or weight_decays):
        raise ConfigError("--tune none tries nothing, but a grid is given. Leave out one of the two.")
    for rate in lrs:
        check.positive("lrs", rate)
    for decay in weight_decays:
        check.between("weight_decays", decay, 0, 1)
    rates: list[float | None] = list(dict.fromkeys(lrs))
    if not rates:
        own = nominal_lr(settings.method, settings.train)
        rates = [None] if tune == "none" else [float(f"{own * factor:.2g}") for factor in _factors(settings)]
    decays: list[float | None] = list(dict.fromkeys(weight_decays)) or [None]
    return tuple(Try(rate, decay) for rate in rates for decay in decays)


def validation_error(metrics: dict[str, Any], spread: dict[str, float], role: str = "model") -> float:
    """Return a run's error on its validation rows: MAE in standard deviations, mean over the targets; or 1 - accuracy.

    Args:
        metrics: of the run.
        spread: standard deviation of each target, so that several can be averaged; empty for classes.
        role: `model`, or `constant` for the median of the training rows (classes: the most frequent one).

    Example:
        >>> row = {"split": "val", "role": "model", "target": "age", "mae": {"value": 3.0}}
        >>> validation_error({"rows": [row]}, {"age": 2.0})
        1.5
    """
    rows = [row for row in metrics["rows"] if row["split"] == "val" and row["role"] == role]
    if "accuracy" in rows[0]:
        return 1 - float(rows[0]["accuracy"]["value"])
    first = {row["target"]: row for row in reversed(rows)}  # the median stands before the mean
    return sum(float(row["mae"]["value"]) / (spread[name] or 1.0) for name, row in first.items()) / len(first)


# ----------------------------------------------------------------------------------------------------------------------


def _factors(settings: Settings) -> tuple[float, ...]:
    own = settings.train.lr or settings.train.optimizer == "adamw"
    return UPWARDS if settings.method.head == "mse" and not own else FACTORS
