"""The prediction intervals of a run: read from its metrics, and put into words and numbers for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from isotone.report.contents import Coverage, GroupCoverage, Intervals, Side
from isotone.report.figures import decimals, fixed
from isotone.report.figures_classes import percent
from isotone.report.values import count, interval, number, rows, text

MOST_GROUPS = 12  # the least covered ones are shown


@dataclass(frozen=True)
class IntervalLine:
    """A line of the table of intervals: texts only."""

    run: str
    colour: str
    target: str
    form: str
    asked: str
    covered: str
    bounds: str
    width: str


def read_intervals(metrics: Mapping[str, object]) -> Intervals | None:
    """Return what `metrics.json` says of the intervals, or None where none were asked for."""
    raw = metrics.get("intervals")
    if not raw:
        return None
    given = cast(Mapping[str, object], raw)
    return Intervals(
        level=number(given["level"]),
        form=text(given.get("form", "constant")),  # runs from before there were two forms
        rows=count(given["calibrated_on"]),
        units=count(given["calibrated_on_groups"]),
        targets=tuple(
            Coverage(text(row["target"]), number(row["width"]), count(row["n"]), interval(row["coverage"]))
            for row in rows(given["rows"])
        ),
        groups=tuple(
            GroupCoverage(text(row["group"]), count(row["n"]), number(row["coverage"]), number(row.get("width")))
            for row in rows(given.get("by_group"))
        ),
    )


def interval_lines(sides: Sequence[Side]) -> list[IntervalLine]:
    """Return a line for each run and target that has intervals."""
    lines: list[IntervalLine] = []
    for side in sides:
        found = side.run.intervals
        if found is None:
            continue
        for one in found.targets:
            low, high = one.share.low, one.share.high
            bounds = f"{percent(low, 1)} to {percent(high, 1)}" if low == low else "n/a"
            width = _width(side, one.target, one.width)
            share, level = percent(one.share.value, 1), f"{100 * found.level:g} %"
            lines.append(IntervalLine(side.name, side.colour, one.target, found.form, level, share, bounds, width))
    return lines


def made_of(side: Side) -> str:
    """Return what a run's intervals were made of, in words."""
    found, name = side.run.intervals, side.run.data.group_name
    if found is None:
        return ""
    whose = "" if name is None else f" of {found.units:,} groups ({name}), each counted as one"
    return f"{found.rows:,} validation rows{whose}"


def covered_groups(side: Side) -> list[tuple[str, str, str, str]]:
    """Return the least covered groups of a run: name, share, mean width and rows."""
    found = side.run.intervals
    if found is None:
        return []
    first = found.targets[0].target if found.targets else ""
    return [
        (group.name, percent(group.share, 0), _width(side, first, group.width), f"{group.n:,}")
        for group in found.groups[:MOST_GROUPS]
    ]


# ----------------------------------------------------------------------------------------------------------------------


def _width(side: Side, target: str, width: float) -> str:
    return fixed(width, decimals(side.run.data.statistics.get(target, {}).get("std", float("nan"))))
