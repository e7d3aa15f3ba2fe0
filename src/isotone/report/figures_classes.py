"""The still figures of runs that tell classes apart: what is taken for what, and how well each class is recognised.

Long lists are cut to what deserves a look: the classes and groups that do worst; the page says that they were cut.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from isotone.report.contents import ClassGroup, ClassRow, Side
from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.figures import Mark, fixed, intervals
from isotone.report.values import shortened, squeezed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = object  # Matplotlib is loaded when something is drawn; the names must exist for run-time checks

MOST_CELLS = 30  # classes a side of the confusion
MOST_CLASSES = 24  # with a bar each
WORST_GROUPS = 12
MOST_NAMED = 5  # pairs of classes that are named
_MOST_NUMBERED = 16  # classes a side with which a count fits its cell
_MOST_SHARED = 8  # and its share below it
_DARKEST = 0.55  # opacity at which a number on it can still be read, on light and on dark


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent, with a true minus sign.

    Example:
        >>> percent(0.5), percent(0.12345, 2), percent(float("nan"))
        ('50.0 %', '12.35 %', 'n/a')
    """
    return f"{fixed(100 * share, digits)} %" if np.isfinite(share) else "n/a"


def accuracy_figure(marks: Sequence[Mark], split: str) -> Picture:
    """Draw the accuracy of all predictors as points with their 95 % intervals, on one axis.

    Args:
        marks: scores in per cent.
        split: the side of the split, in words.
    """

    def told(mark: Mark) -> str:
        value, low, high = (fixed(x, 1) for x in (mark.score.value, mark.score.low, mark.score.high))
        return f"{mark.name}: {value} % ({low} to {high})"

    alt = f"Accuracy on {split} rows, with 95 % intervals. {'; '.join(map(told, marks))}."
    return intervals(marks, "accuracy in %, with 95 % interval", alt, "accuracy", most=101.0)


def shown_classes(confusion: Int[np.ndarray, "c c"]) -> Int[np.ndarray, " m"]:
    """Return the classes that a confusion is drawn for: all, or the 30 with the most mistakes, in their order.

    Example:
        >>> shown_classes(np.array([[5, 1], [0, 3]])).tolist()
        [0, 1]
    """
    wrong = confusion.sum(0) + confusion.sum(1) - 2 * confusion.diagonal()
    worst = np.argsort(-wrong, kind="stable")[:MOST_CELLS]
    return np.sort(worst)


def mistakes(side: Side) -> list[tuple[str, str, int, int]]:
    """Return the pairs of classes confused most often: the true one, what it is taken for, how often, of how many."""
    classes = side.run.classes
    if classes is None or classes.confusion is None:
        return []
    table = classes.confusion
    wrong = table - np.diag(table.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_NAMED]
    pairs = [(int(i) // len(table), int(i) % len(table)) for i in order]
    return [
        (classes.names[i], classes.names[j], int(wrong[i, j]), int(table[i].sum())) for i, j in pairs if wrong[i, j]
    ]


def confusion_figure(side: Side) -> Picture | None:
    """Draw how many test rows of each class were predicted as each: numbers are counts, shade is the share of the row.

    Returns:
        the figure, or None where nothing was tested.
    """
    classes = side.run.classes
    if classes is None or classes.confusion is None:
        return None
    kept = shown_classes(classes.confusion)
    table = classes.confusion[np.ix_(kept, kept)]
    share = table / np.maximum(classes.confusion.sum(1)[kept, None], 1)
    names = [squeezed(classes.names[i], 16) for i in kept]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        _cells(axes, table, share, COLOUR[side.colour])
        axes.set(xlim=(-0.5, len(kept) - 0.5), ylim=(len(kept) - 0.5, -0.5), aspect="equal")
        upright = max(map(len, names)) * len(kept) <= 40
        size = 12 if len(kept) <= 12 else 9 if len(kept) <= 20 else 7
        axes.set_xticks(np.arange(len(kept)), names, fontsize=size)
        for label in [] if upright else axes.get_xticklabels():
            label.set(rotation=55, ha="right", rotation_mode="anchor")
        axes.set_yticks(np.arange(len(kept)), names, fontsize=size)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")

    told = "; ".join(f"{true} taken for {guess} {k} times of {n}" for true, guess, k, n in mistakes(side))
    cut = "" if len(kept) == len(classes.names) else f", the {len(kept)} with the most mistakes of {len(classes.names)}"
    alt = f"{side.name}: predicted against true classes{cut}. {'Most often: ' + told if told else 'No mistakes'}."
    return picture(draw, 5.4, alt, "confusion" + side.colour)


def recall_figure(sides: Sequence[Side]) -> Picture | None:
    """Draw the share of each class that was recognised, worst first, beside the number of rows trained on.

    Returns:
        the figure, or None where nothing was tested.
    """
    given = [(side, {row.name: row for row in _rows(side)}) for side in sides if _rows(side)]
    if not given:
        return None
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    worst = worst_classes(given[-1][0])
    width = 0.78 / len(given)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        y = np.arange(len(worst))
        if isinstance(layout := figure.get_layout_engine(), ConstrainedLayoutEngine):
            layout.set(wspace=0.1)  # between the last tick on the left and the first on the right
        for i, (side, rows) in enumerate(given):
            values = [100 * rows[row.name].recall if row.name in rows else float("nan") for row in worst]
            left.barh(y + (i - (len(given) - 1) / 2) * width, values, width * 0.92, color=COLOUR[side.colour])
        right.barh(y, [row.n_train for row in worst], 0.78, color=COLOUR["neutral"])
        left.set_yticks(y, [f"{squeezed(row.name, 18)} ({row.n})" for row in worst])
        left.set(xlim=(0, 100), ylim=(len(worst) - 0.4, -0.6))
        left.set_title("recall in %", color=COLOUR["muted"])
        right.set_title("training rows", color=COLOUR["muted"], loc="right")  # may reach out to the left
        right.xaxis.get_major_locator().set_params(nbins=2, integer=True)
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
            axes.tick_params(length=0)

    told = "; ".join(f"{row.name}: {percent(row.recall)} of {row.n}, {row.n_train} trained on" for row in worst)
    return picture(draw, 0.3 * len(worst) + 0.8, f"Recall by class, worst first. {told}.", "recall")


def worst_classes(side: Side) -> list[ClassRow]:
    """Return the classes that are drawn: all, or the two dozen recognised least; those without test rows last."""
    return sorted(_rows(side), key=lambda row: (not np.isfinite(row.recall), row.recall, row.name))[:MOST_CLASSES]


def class_group_figure(sides: Sequence[Side]) -> Picture | None:
    """Draw the accuracy of the dozen groups that the last side does worst on, with the other side's beside it.

    Returns:
        the figure, or None where the last run has no groups.
    """
    worst = sorted(_groups(sides[-1]), key=lambda group: (group.accuracy, group.name))[:WORST_GROUPS]
    if not worst:
        return None
    name = sides[-1].run.data.group_name or "group"

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        y = np.arange(len(worst))
        for side in sides:
            found = {group.name: 100 * group.accuracy for group in _groups(side)}
            axes.plot([found.get(g.name, float("nan")) for g in worst], y, "o", color=COLOUR[side.colour], markersize=7)
        axes.set_yticks(y, [f"{shortened(group.name, 22)} ({group.n})" for group in worst])
        axes.set(xlim=(-2, 102), ylim=(len(worst) - 0.4, -0.6))
        axes.tick_params(length=0)
        axes.set_xlabel("accuracy in %")
        axes.set_title(f"{shortened(name, 30)} (test rows)", color=COLOUR["muted"])

    told = "; ".join(f"{group.name}: {percent(group.accuracy)} of {group.n} rows" for group in worst)
    return picture(draw, 0.3 * len(worst) + 1.0, f"Accuracy by {name}, worst first. {told}.", "groups")


# ----------------------------------------------------------------------------------------------------------------------


def _rows(side: Side) -> tuple[ClassRow, ...]:
    return side.run.classes.rows if side.run.classes else ()


def _groups(side: Side) -> tuple[ClassGroup, ...]:
    return side.run.classes.groups if side.run.classes else ()


def _cells(axes: Axes, table: np.ndarray, share: np.ndarray, colour: str) -> None:
    """Shade the cells that hold rows; numbers stand in them where they fit."""
    from matplotlib.patches import Rectangle

    c = len(table)
    numbered, shared = c <= _MOST_NUMBERED, c <= _MOST_SHARED
    darkest = _DARKEST if numbered else 1.0
    size = 12 if c <= _MOST_SHARED else 10 if c <= 12 else 8
    for i, j in np.argwhere(table > 0).tolist():
        shade = darkest * (0.06 + 0.94 * float(share[i, j]))
        axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=colour, alpha=shade, linewidth=0))
        if numbered:
            said = f"{table[i, j]:,}" + (f"\n{100 * share[i, j]:.0f} %" if shared else "")
            axes.text(j, i, said, ha="center", va="center", fontsize=size)
    edge = [-0.5, c - 0.5]
    axes.plot([edge[0], edge[1], edge[1], edge[0], edge[0]], [edge[0], edge[0], edge[1], edge[1], edge[0]],
              color=COLOUR["line"], linewidth=1, clip_on=False)  # fmt: skip
