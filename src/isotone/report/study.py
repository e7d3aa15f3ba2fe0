"""The page of a study: what was asked, the answer in words, a figure and a table, offline in one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.writing import write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = object

LINES = ("#d65f01", "#0172b3", "#1a1b1c", "#8a8b8c")  # of the page's variables; a marker each for those who see no hue
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Line:
    """One line of a study's figure: a name, for each x the values of all seeds, and an interval where there is one."""

    name: str
    values: tuple[tuple[float, ...], ...]
    intervals: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Table:
    """A further table of the page: its title, columns, rows as text, and a note below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Study:
    """What the page of a study says.

    Args:
        title: what was studied.
        question: in a sentence or two.
        answer: in words, with its numbers.
        columns: names of the table's columns.
        rows: of the table, as text.
        command: that makes it again.
        figure: the picture, or None.
        data: what it was studied on.
        tables: further tables.
        held: what was the same for all, a sentence each.
    """

    title: str
    question: str
    answer: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    command: str
    figure: Picture | None = None
    data: str = ""
    tables: tuple[Table, ...] = ()
    held: tuple[str, ...] = ()


def line_figure(x: Sequence[str], lines: Sequence[Line], *, axis: str, value: str, joined: bool = True) -> Picture:
    """Draw lines over named places, the mean of the seeds as a line and each seed as a dot.

    Args:
        x: names of the places, from left to right.
        lines: at most four.
        axis: what x is.
        value: what y is.
        joined: whether the places are steps of one thing; else each stands alone, with a bar for its interval.
    """
    told = [f"{line.name}: " + ", ".join(f"{_mean(seeds):.3g}" for seeds in line.values) for line in lines]
    alt = f"{value} against {axis} ({', '.join(x)}). {'; '.join(told)}."

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (line, colour, marker) in enumerate(zip(lines, LINES, MARKERS, strict=False)):
            aside = 0.0 if joined else 0.16 * (number - (len(lines) - 1) / 2)
            places = [place + aside for place in range(len(x))]
            means = [_mean(seeds) for seeds in line.values]
            axes.plot(places, means, marker if not joined else "-", color=colour, label=line.name)
            if line.intervals and joined:
                low, high = zip(*line.intervals, strict=True)
                axes.fill_between(places, low, high, color=colour, alpha=0.16, linewidth=0)
            elif line.intervals:
                for place, (low, high) in zip(places, line.intervals, strict=True):
                    axes.plot([place, place], [low, high], color=colour, linewidth=2)
            for place, seeds in zip(places, line.values, strict=True):
                small = 4 if joined else 3
                axes.plot([place] * len(seeds), seeds, marker, color=colour, markersize=small, linestyle="none")
        axes.set_xticks(range(len(x)), list(x))
        if not joined:
            axes.set_xlim(-0.6, len(x) - 0.4)
        axes.set_xlabel(axis)
        axes.set_ylabel(value)
        axes.legend(frameon=False, labelcolor=COLOUR["ink"])

    return picture(draw, 3.6, alt, "study" + value)


def write_study(path: Path, study: Study) -> Path:
    """Write the page, whole or not at all, and return its path.

    Raises:
        CheckpointError: the disk does not take it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("isotone.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    css = resources.files("isotone.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    text = environment.get_template("study.html.j2").render(
        study=study,
        css=Markup(css),  # noqa: S704 - our own file
        svg=lambda drawn: Markup(drawn.svg),  # noqa: S704 - Matplotlib has escaped its texts
    )
    write_page(path, text)
    return path


# ----------------------------------------------------------------------------------------------------------------------


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
