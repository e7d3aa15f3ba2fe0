"""The still figures of runs that predict numbers, and the training curves of all runs.

Colours stand for runs: the same in every figure and table of the page.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isotone.report.contents import Interval, Run, Side
from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.values import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = object  # Matplotlib is loaded when something is drawn; the names must exist for run-time checks

MOST_POINTS = 800  # in a scatter; each costs about 0.1 kB of page
WORST_GROUPS = 12
FLAT = 1e-9  # a curve that moves by less, relative to its values, is drawn as constant


@dataclass(frozen=True)
class Mark:
    """One line of an interval plot: a name, a score with its interval, and a colour of the page."""

    name: str
    score: Interval
    colour: str


def interval_figure(marks: Sequence[Mark], target: str) -> Picture:
    """Draw the test errors of all predictors of one target as points with their 95 % intervals, on one axis."""

    def told(mark: Mark) -> str:
        value, low, high = (short_number(x) for x in (mark.score.value, mark.score.low, mark.score.high))
        return f"{mark.name}: {value} ({low} to {high})"

    alt = f"Mean absolute test error of {target}, with 95 % intervals. {'; '.join(map(told, marks))}."
    axis = f"mean absolute error ({shortened(target, 40)}), with 95 % interval"
    return intervals(marks, axis, alt, "interval" + target)


def intervals(marks: Sequence[Mark], axis: str, alt: str, salt: str, most: float = math.inf) -> Picture:
    """Draw scores as points with their intervals on one axis that begins at 0.

    Args:
        marks: from top to bottom.
        axis: what the axis says.
        alt: what the figure says, in words.
        salt: see `picture`.
        most: where the axis ends at the latest.
    """
    values = [[mark.score.low, mark.score.value, mark.score.high] for mark in marks]
    height = 0.58 * len(marks) + 0.7

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for y, mark in enumerate(reversed(marks)):
            score, colour = mark.score, COLOUR[mark.colour]
            axes.plot([score.low, score.high], [y, y], color=colour, linewidth=2.5, solid_capstyle="round")
            axes.plot([score.value], [y], "o", color=colour, markersize=7)
            axes.text(0, y + 0.17, shortened(mark.name, 52), transform=axes.get_yaxis_transform(), va="bottom")
        axes.set_ylim(-0.5, len(marks) - 0.25)
        axes.set_xlim(0, min(1.08 * float(np.nanmax(values)) or 1.0, most))
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis)

    return picture(draw, height, alt, salt)


def scatter_figure(side: Side, j: int, shared: Sequence[Side], split: str = "test") -> Picture:
    """Draw prediction against target `j` on the rows of one split, on the axes that all sides `shared` need."""
    name = side.run.data.target_names[j]
    y, p = _pairs(side, j, split)
    everything = np.concatenate([np.concatenate(_pairs(other, j, split)) for other in shared])
    low, high = float(everything.min()), float(everything.max())
    pad = 0.04 * (high - low) or 1.0
    kept = spread(len(y), MOST_POINTS)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        ends = [low - pad, high + pad]
        axes.plot(ends, ends, color=COLOUR["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(y[kept], p[kept], "o", color=COLOUR[side.colour], markersize=4, alpha=0.55, markeredgewidth=0)
        axes.set(xlim=ends, ylim=ends, aspect="equal", adjustable="box")
        axes.set_xlabel(f"target: {shortened(name, 40)}")
        axes.set_ylabel(f"prediction: {shortened(name, 34)}")

    what = "" if len(kept) == len(y) else f" ({len(kept)} of them drawn)"
    alt = (
        f"{side.name}: prediction against target {name} on {len(y)} {split} rows{what}; dashed is a perfect prediction."
    )
    return picture(draw, 5.2, alt, f"scatter{side.colour}{j}{split}")


def bin_figure(sides: Sequence[Side]) -> Picture:
    """Draw the error in each bin of the target, above the number of rows that were trained on in that bin."""
    bins, target = sides[0].run.bins, sides[0].run.data.target_names[0]
    edges = [b.low for b in bins] + [bins[-1].high]
    width = 0.8 / len(sides)

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        for i, side in enumerate(sides):
            x = np.arange(len(bins)) + (i - (len(sides) - 1) / 2) * width
            above.bar(x, [b.mae for b in side.run.bins], width * 0.94, color=COLOUR[side.colour])
        below.bar(np.arange(len(bins)), [b.n_train for b in bins], 0.8, color=COLOUR["neutral"])
        step = 1 if len(edges) <= 8 else 2
        below.set_xticks(np.arange(len(edges))[::step] - 0.5, [short_number(edge) for edge in edges][::step])
        below.set_xlabel(f"target: {shortened(target, 40)}")
        above.set_title("mean absolute error", color=COLOUR["muted"])
        below.set_title("training rows", color=COLOUR["muted"])
        for axes in (above, below):
            axes.grid(visible=False, axis="x")
            axes.tick_params(length=0)

    def told(side: Side) -> str:
        return "; ".join(
            f"{short_number(b.low)} to {short_number(b.high)}: {short_number(b.mae)} on {b.n} rows, {b.n_train} trained"
            for b in side.run.bins
        )

    alt = f"Mean absolute error by bin of {target}. " + " ".join(f"{side.name}: {told(side)}." for side in sides)
    return picture(draw, 4.4, alt, "bins" + "".join(side.colour for side in sides))


def group_figure(sides: Sequence[Side]) -> Picture:
    """Draw the error of the dozen groups that the last side does worst on, with the other side's beside it."""
    worst = sorted(sides[-1].run.groups, key=lambda group: (-np.nan_to_num(group.mae), group.name))[:WORST_GROUPS]
    name = sides[-1].run.data.group_name or "group"

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        rows = np.arange(len(worst))[::-1]
        for side in sides:
            errors = {group.name: group.mae for group in side.run.groups}
            values = [errors.get(group.name, float("nan")) for group in worst]
            axes.plot(values, rows, "o", color=COLOUR[side.colour], markersize=7)
        axes.set_yticks(rows, [f"{shortened(group.name, 22)} ({group.n})" for group in worst])
        axes.set_ylim(-0.6, len(worst) - 0.4)
        axes.set_xlim(left=0)
        axes.tick_params(length=0)
        axes.set_xlabel("mean absolute error")
        axes.set_title(f"{shortened(name, 30)} (test rows)", color=COLOUR["muted"])

    told = "; ".join(f"{group.name}: {short_number(group.mae)} on {group.n} rows" for group in worst)
    return picture(draw, 0.3 * len(worst) + 1.0, f"Mean absolute error by {name}, worst first. {told}.", "groups")


def curve_figure(side: Side) -> Picture:
    """Draw loss, validation score and learning rate over the epochs of one run; what was not logged is left out."""
    log = side.run.log
    panels = {"training loss": [e.loss for e in log], "validation score, lower is better": [e.score for e in log]}
    panels["learning rate"] = [e.lr for e in log]
    return _curves(side, panels, "curves")


def watch_figure(side: Side) -> Picture | None:
    """Draw what else was measured now and then in training: how well neighbours agree, how healthy the representation.

    Returns:
        the figure, or None where nothing was.
    """
    log = side.run.log
    names = dict.fromkeys(name for e in log for name in e.watch)
    panels = {watched(name, side.run): [e.watch.get(name, math.nan) for e in log] for name in names}
    return _curves(side, panels, "watch") if panels else None


def watched(name: str, run: Run) -> str:
    """Return what a number that was watched in training is, in words."""
    probe = {"classes": "accuracy", "numbers": "1 is perfect, 0 as good as a constant"}.get(run.task, "score")
    words = {
        "knn": f"nearest neighbours, {probe}",
        "effective_rank": f"effective rank, of {run.points.h.shape[1]:,} dimensions",
        "dead_units": "dead units, share of all",
        "cosine": "mean cosine of two rows",
        "spread": "spread of the rows, share of their length",
    }
    return words.get(name, shortened(name.replace("_", " "), 50))


def spread(n: int, most: int) -> np.ndarray:
    """Return at most `most` of n places, evenly spread, the same every time.

    Example:
        >>> spread(3, 5).tolist(), spread(9, 3).tolist()
        ([0, 1, 2], [0, 4, 8])
    """
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int))


def short_number(value: float | None) -> str:
    """Format a number for ticks, tooltips and alternative texts: three figures and a true minus sign.

    Example:
        >>> short_number(0.12345), short_number(1234.0)
        ('0.123', '1,234')
    """
    if value is None or not np.isfinite(value):
        return "n/a"
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def decimals(size: float) -> int:
    """Return the decimals with which numbers of this size show three figures, so that a whole column can share them.

    Example:
        >>> decimals(34.6), decimals(0.012), decimals(5200.0)
        (1, 4, 0)
    """
    return min(max(2 - int(np.floor(np.log10(size))), 0), 9) if size > 0 and np.isfinite(size) else 0


def fixed(value: float, digits: int) -> str:
    """Format a number with so many decimals, a true minus sign, and no sign on what rounds to zero.

    Example:
        >>> fixed(1234.56, 1), fixed(-0.01, 1), fixed(float("nan"), 1)
        ('1,234.6', '0.0', 'n/a')
    """
    return f"{value:z,.{digits}f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "n/a"


# ----------------------------------------------------------------------------------------------------------------------


def _pairs(side: Side, j: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    points = side.run.points
    rows = np.array([s == split for s in points.split]) & np.isfinite(points.prediction[:, j])
    return points.target[rows, j], points.prediction[rows, j]


def _curves(side: Side, panels: Mapping[str, Sequence[float]], salt: str) -> Picture:
    log = side.run.log
    drawn = {title: np.array(values) for title, values in panels.items() if np.isfinite(values).any()}
    epochs = np.array([e.epoch for e in log])

    def draw(figure: Figure) -> None:
        all_axes = np.atleast_1d(figure.subplots(len(drawn), 1, sharex=True))
        for axes, (title, values) in zip(all_axes, drawn.items(), strict=True):
            there = np.isfinite(values)
            axes.plot(
                epochs[there],
                values[there],
                color=COLOUR[side.colour],
                linewidth=1.6,
                marker="o",
                markersize=0 if there.sum() > 1 else 5,
            )
            axes.set_title(title, color=COLOUR["muted"])
            axes.tick_params(length=0)
            if salt == "watch":
                _level(axes, values[there])
        all_axes[-1].xaxis.get_major_locator().set_params(integer=True)
        all_axes[-1].set_xlabel("epoch")

    told = "; ".join(
        f"{title} from {short_number(_ends(v)[0])} to {short_number(_ends(v)[1])}" for title, v in drawn.items()
    )
    return picture(draw, 1.4 * len(drawn) + 0.5, f"{side.name}: {len(log)} epochs; {told}.", salt + side.colour)


def _level(axes: Axes, values: np.ndarray) -> None:
    """Draw a constant as one: ticks would show rounding errors else, or a share below 0."""
    if not values.any():
        axes.set_ylim(-0.05, 1)
    elif np.ptp(values) <= FLAT * np.abs(values).max():
        axes.set_ylim(*np.sort(values[0] * np.array([0.9, 1.1])))


def _ends(values: np.ndarray) -> tuple[float, float]:
    there = values[np.isfinite(values)]
    return float(there[0]), float(there[-1])
