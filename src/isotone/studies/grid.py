"""Arms against places: the errors of a study as a table, lines of a figure and sentences, all with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from isotone.evaluate.metrics import Interval
from isotone.evaluate.paired import Resampled
from isotone.report.study import Line
from isotone.studies.errors import Errors, resampled


@dataclass(frozen=True, eq=False)
class Grid:
    """The errors of every arm at every place; the first arm is what the others are held against.

    Args:
        arms: names.
        places: names, from left to right.
        cells: errors by (arm, place).
        unit: of the errors.
        drawn: by place, the arms' errors there resampled together, in the order of the arms.
    """

    arms: tuple[str, ...]
    places: tuple[str, ...]
    cells: Mapping[tuple[str, str], Errors]
    unit: str
    drawn: Mapping[str, Resampled]

    @staticmethod
    def of(arms: Sequence[str], places: Sequence[str], cells: Mapping[tuple[str, str], Errors], unit: str) -> "Grid":
        """Return the grid of these cells, resampled once for all arms at a place: on the groups that it has rows of."""
        drawn = {place: resampled([cells[arm, place] for arm in arms]) for place in places}
        return Grid(tuple(arms), tuple(places), cells, unit, drawn)

    def title(self, arm: str) -> str:
        """Return how a page calls the arm: without the settings that are not needed to tell it from the others."""
        return short_names(self.arms)[arm]

    def told(self) -> tuple[str, ...]:
        """Return a sentence that says what the short names stand for, where any is short."""
        cut = [f"{title} is `{arm}`" for arm, title in short_names(self.arms).items() if title != arm]
        return (f"On this page {', '.join(cut)}.",) if cut else ()

    def error(self, arm: str, place: str) -> Interval:
        """Return the mean error of a cell: the mean over seeds of the mean over rows."""
        return self.drawn[place].interval(self._chosen(arm))[0]

    def gap(self, arm: str, place: str) -> Interval:
        """Return how much lower the arm's error is than the first one's, in the user's unit."""
        return self.drawn[place].interval(self._gap(arm))[0]

    def gain(self, arm: str, place: str) -> Interval:
        """Return the gap in percent of the first arm's error."""
        return self.drawn[place].interval(100 * self._gap(arm), over=self._chosen(self.arms[0]))[0]

    def growth(self, arm: str, start: str, end: str) -> Interval:
        """Return how much larger the gap is at `end` than at `start`, in the user's unit.

        Rows, groups and seeds are paired over the places as over the arms: it is each seed's own growth that counts.
        """
        both = resampled([self.cells[name, place] for place in (end, start) for name in self.arms])
        return both.interval(np.concatenate([self._gap(arm), -self._gap(arm)]))[0]

    def lines(self) -> list[Line]:
        """Return a line of the figure for each arm: each seed's mean, and the interval over all."""
        lines: list[Line] = []
        for arm in self.arms:
            found = [self.error(arm, place) for place in self.places]
            seeds = tuple(tuple(self.by_seed(arm, place).values()) for place in self.places)
            lines.append(Line(self.title(arm), seeds, tuple((x.low, x.high) for x in found)))
        return lines

    def line(self, arms: Sequence[str], name: str) -> Line:
        """Return one line of the figure that runs over the arms, where there is one place."""
        place = self.places[0]
        found = [self.error(arm, place) for arm in arms]
        return Line(
            name,
            tuple(tuple(self.by_seed(arm, place).values()) for arm in arms),
            tuple((x.low, x.high) for x in found),
        )

    def by_seed(self, arm: str, place: str) -> dict[int, float]:
        """Return the mean error under each seed."""
        cell = self.cells[arm, place]
        return {int(seed): float(cell.error[cell.seed == seed].mean()) for seed in np.unique(cell.seed)}

    def columns(self, axis: str) -> tuple[str, ...]:
        """Return the heads of `rows`."""
        first, *others = (self.title(arm) for arm in self.arms)
        return (axis, first, *others, *(head for arm in others for head in (f"{first} less {arm}", "in %")))

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return the page's table, a line a place: each arm's error, and by how much each is below the first."""
        return tuple(
            (
                place,
                *(bounds(self.error(arm, place)) for arm in self.arms),
                *(
                    text
                    for arm in self.arms[1:]
                    for text in (bounds(self.gap(arm, place), sign=True), percent(self.gain(arm, place)))
                ),
            )
            for place in self.places
        )

    def write(self, path: Path, axis: str) -> None:
        """Write each seed's mean error, and for `all` seeds the mean with its interval, as CSV."""
        lines: list[dict[str, object]] = []
        for place in self.places:
            for arm in self.arms:
                n = len(self.cells[arm, place].error)
                start: dict[str, object] = {axis: place, "arm": arm}
                each = self.by_seed(arm, place)
                lines += [{**start, "seed": s, "n": n // len(each), "error": x} for s, x in each.items()]
                found = self.error(arm, place)
                lines.append(
                    {**start, "seed": "all", "n": n, "error": found.value, "low": found.low} | {"high": found.high}
                )
        pd.DataFrame(lines).to_csv(path, index=False)

    def verdict(self, arm: str, place: str, where: str) -> str:
        """Say in words how the arm stands against the first one at a place."""
        return f"{where}: {self.title(arm)} {compared(self.gain(arm, place))} {self.title(self.arms[0])}."

    def growing(self, arm: str, start: str, end: str, way: str) -> str:
        """Say in words whether an arm's error rises less than the first one's from one place to another."""
        found, first, arm = self.growth(arm, start, end), self.title(self.arms[0]), self.title(arm)
        if found.low > 0:
            return f"{way}, {arm} loses less than {first}: {bounds(found)} {self.unit} less."
        if found.high < 0:
            more = Interval(-found.value, -found.high, -found.low)
            return f"{way}, {arm} loses more than {first}: {bounds(more)} {self.unit} more."
        told = f"{bounds(found, sign=True)} {self.unit}"
        return f"{way}, {arm} and {first} lose alike, as far as these data can tell: the gap changes by {told}."

    def _chosen(self, arm: str) -> np.ndarray:
        return np.eye(len(self.arms))[self.arms.index(arm)]

    def _gap(self, arm: str) -> np.ndarray:
        return self._chosen(self.arms[0]) - self._chosen(arm)


def short_names(arms: Sequence[str]) -> dict[str, str]:
    """Return a short name for each arm: of its settings only those that its namesakes do not all share.

    Args:
        arms: such as `rnc lr=0.5 head=mse`; different from each other.

    Example:
        >>> list(short_names(["baseline lr=0.1", "rnc lr=0.5", "rnc lr=0.5 head=mse"]).values())
        ['baseline', 'rnc', 'rnc head=mse']
        >>> list(short_names(["cosine 0.1", "fine-tuned"]).values())
        ['cosine 0.1', 'fine-tuned']
    """
    split = {arm: ([w for w in arm.split() if "=" not in w], [w for w in arm.split() if "=" in w]) for arm in arms}
    short: dict[str, str] = {}
    for arm, (name, settings) in split.items():
        alike = [set(other) for called, other in split.values() if called == name]
        shared = set[str]() if len(alike) == 1 else set[str].intersection(*alike)
        kept = [] if len(alike) == 1 else [word for word in settings if word not in shared]
        short[arm] = " ".join(name + kept)
    return short


def compared(gain: Interval) -> str:
    """Say a gain in percent as words that stand before the name of what was compared with.

    Example:
        >>> compared(Interval(7.4, 5.0, 9.0))
        'has 7.4 % less error (5.0 to 9.0 %) than'
    """
    low, high = share(gain.low), share(gain.high)
    if gain.low > 0:
        return f"has {share(gain.value)} % less error ({low} to {high} %) than"
    if gain.high < 0:
        return f"has {share(-gain.value)} % more error ({share(-gain.high)} to {share(-gain.low)} %) than"
    return f"shows no difference that these data can tell ({share(gain.value)} % less error, {low} to {high} %) from"


def percent(found: Interval) -> str:
    """Return a gain in percent with its interval as text.

    Example:
        >>> percent(Interval(-3.21, -12.7, 4.0))
        '-3.2 (-13 to +4.0)'
    """
    value, low, high = (share(x, sign=True) for x in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})" if np.isfinite(found.low) else value


def share(x: float, *, sign: bool = False) -> str:
    """Return a number of percent: one decimal below 10, none above.

    Example:
        >>> share(3.14159), share(31.4, sign=True)
        ('3.1', '+31')
    """
    if not np.isfinite(x):
        return "-"
    plain = f"{x:.1f}" if abs(x) < 9.95 else f"{x:.0f}"
    return f"+{plain}" if sign and x > 0 else plain


def bounds(found: Interval, *, sign: bool = False) -> str:
    """Return a value with its interval as text; without an interval the value alone.

    Example:
        >>> bounds(Interval(2.0, 1.5, 2.5), sign=True)
        '+2 (+1.5 to +2.5)'
    """
    if not np.isfinite(found.low):
        return number(found.value, sign=sign)
    return f"{number(found.value, sign=sign)} ({number(found.low, sign=sign)} to {number(found.high, sign=sign)})"


def number(x: float, *, sign: bool = False) -> str:
    """Return three digits that count, never in powers of ten.

    Example:
        >>> number(1234.5), number(0.01234), number(2.0, sign=True), number(float("nan"))
        ('1234', '0.0123', '+2', '-')
    """
    if not np.isfinite(x):
        return "-"
    plain = f"{x:.0f}" if abs(x) >= 1000 else f"{float(f'{x:.3g}'):.6f}".rstrip("0").rstrip(".")
    return f"+{plain}" if sign and x > 0 else plain
