"""Unseen targets: how well does a method predict inside a range of targets that it was never shown?

Rows whose target lies in a range are taken out of the training and validation side; the test rows stay. The zero-shot
error is that of the test rows inside the range, beside the error of those outside.

Source: Zha et al. 2023, arXiv 2210.01189, section 5.5 and table 5; ranges by quantiles as in interpolation and
extrapolation of Puetz et al. 2026.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from isotone.errors import ConfigError
from isotone.evaluate.angles import constants
from isotone.records import Dataset
from isotone.report.study import Study, Table, line_figure, write_study
from isotone.studies.derived import write_part
from isotone.studies.errors import Errors, absolute_errors, errors_of, joined
from isotone.studies.few_data import FEWEST
from isotone.studies.flags import Flag, words
from isotone.studies.grid import Grid, bounds, number
from isotone.studies.robustness import interval_words
from isotone.studies.sweep import ARMS, Sweep, run_errors, slug

CONSTANTS = ("median", "mean")
RANGES = ("40:60%", "80:100%", "15:25%+45:55%+75:85%")
FLAGS = {
    "--remove": Flag(
        "ranges to leave out, each by itself: 40:60% of the training targets by rank, or 20:35 in their unit; "
        "several at once with + (default: 40:60%,80:100%,15:25%+45:55%+75:85%)",
        words,
    )
}


@dataclass(frozen=True)
class Range:
    """Targets that are left out.

    Args:
        name: as the user wrote it.
        holes: (low, high) of each, in percent of the ranked training targets or in their unit.
        ranked: whether they are in percent.
    """

    name: str
    holes: tuple[tuple[float, float], ...]
    ranked: bool

    @staticmethod
    def read(text: str) -> "Range":
        """Return the range that the text names.

        Raises:
            ConfigError: text that is no range.

        Example:
            >>> Range.read("40:60%").holes, Range.read("1:2+5:6").ranked
            (((40.0, 60.0),), False)
        """
        parts = [part.strip() for part in text.split("+")]
        ranked = {part.endswith("%") for part in parts}
        try:
            pairs = [tuple(float(x) for x in part.rstrip("%").split(":")) for part in parts]
        except ValueError:
            pairs = []
        if len(ranked) != 1 or not pairs or any(len(pair) != 2 or pair[0] >= pair[1] for pair in pairs):
            raise ConfigError(f"`remove` must be ranges such as 40:60% or 20:35, several at once with +, got {text!r}.")
        return Range(text, tuple((pair[0], pair[1]) for pair in pairs), ranked == {True})

    def inside(self, target: Float[np.ndarray, " n"], train: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
        """Return whether each target lies in a hole; the ends count, so that ties with them leave too.

        Args:
            target: of all rows.
            train: of the training rows, which the percent are of.
        """
        ends = [
            (float(a), float(b))
            for a, b in (np.percentile(train, pair) if self.ranked else pair for pair in self.holes)
        ]
        if self.ranked:  # the ends of the range reach over what the other sides hold
            ends = [
                (-np.inf if low == 0 else a, np.inf if high == 100 else b)
                for (a, b), (low, high) in zip(ends, self.holes, strict=True)
            ]
        return np.any([(target >= a) & (target <= b) for a, b in ends], axis=0)


def unseen(
    table: str | Path,
    *,
    out: str | Path,
    arms: Sequence[str] = ARMS,
    seeds: int = 1,
    remove: Sequence[str] = RANGES,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train each arm without ranges of the target, judge it inside and outside, write `study.csv` and `study.html`.

    Args:
        table: with one target.
        out: folder of the study; runs that are finished are not made again.
        arms: as in `isotone.studies.robustness`.
        seeds: number of seeds, from 0 on.
        remove: ranges as `Range.read` takes them.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.

    Returns:
        Path of the page.

    Raises:
        ConfigError: see `Sweep.of`; several targets, ranges that leave too few rows; DataError: see `isotone.fit`.

    Source: arXiv 2210.01189, table 5.
    """
    ranges = [Range.read(text) for text in remove]
    sweep = Sweep.of(table, out, arms, seeds, settings, quiet=quiet)
    if len(sweep.resolved(sweep.arms[0]).data.target) != 1:
        raise ConfigError("the study leaves out ranges of one target. Name one column: --target.")
    data, cells = sweep.data(0), _judged(sweep, ranges)
    names = [arm.name for arm in sweep.arms]
    inside, outside = (Grid.of(names, list(remove), side, data.target_names[0]) for side in cells)
    inside.write(sweep.out / "study.csv", "removed")
    outside.write(sweep.out / "outside.csv", "removed")
    beside = Grid.of([*CONSTANTS, *names], list(remove), cells[0], data.target_names[0])
    beside.write(sweep.out / "constants.csv", "removed")
    return write_study(sweep.out / "study.html", _page(inside, outside, beside, data.name, command, seeds))


# ----------------------------------------------------------------------------------------------------------------------


def _judged(sweep: Sweep, ranges: Sequence[Range]) -> list[dict[tuple[str, str], Errors]]:
    """Return the errors by (arm or constant, range) of the test rows inside the range, and of those outside."""
    inside: dict[tuple[str, str], list[Errors]] = {}
    outside: dict[tuple[str, str], list[Errors]] = {}
    for seed in range(sweep.seeds):
        data = sweep.data(seed)
        for one in ranges:
            hole = _hole(data, one)
            left = [rows[~hole[rows]] for rows in (data.rows("train"), data.rows("val"))]
            place = f"without {one.name}"
            path = sweep.out / "tables" / f"seed{seed}-{slug(place)}"
            reading = sweep.resolved(sweep.arms[0]).data
            part = write_part(path, sweep.table, data, reading, left[0].tolist(), left[1].tolist())
            for name, error in _constants(data, hole).items():
                inside.setdefault((name, one.name), []).append(errors_of(data, _held(data, hole), error, seed=seed))
            for arm in sweep.arms:
                run = sweep.run(arm, seed, place, part.path, **part.settings)
                own = sweep.data_of(run, part.path)
                rows = own.labelled("test")
                error, held = run_errors(run, own), hole[data.labelled("test")]
                for chosen, kept in ((held, inside), (~held, outside)):
                    cell = errors_of(own, rows[chosen], error[chosen], seed=seed, lines=part.lines)
                    kept.setdefault((arm.name, one.name), []).append(cell)
    return [{key: joined(each) for key, each in cells.items()} for cells in (inside, outside)]


def _held(data: Dataset, hole: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " t"]:
    """Return the test rows inside the range."""
    rows = data.labelled("test")
    return rows[hole[rows]]


def _constants(data: Dataset, hole: Bool[np.ndarray, " n"]) -> dict[str, Float[np.ndarray, " t"]]:
    """Return the errors inside the range of answering with the median and the mean of the training targets outside."""
    train, rows = data.labelled("train"), _held(data, hole)
    found = constants(data.target[train[~hole[train]]], data.geometry)
    return {name: absolute_errors(data, rows, np.broadcast_to(found[name], (len(rows), 1))) for name in CONSTANTS}


def _hole(data: Dataset, one: Range) -> Bool[np.ndarray, " n"]:
    """Return whether each row's target is left out, where enough rows are left and some are to be judged."""
    target = data.target[:, 0]
    hole = one.inside(target, target[data.labelled("train")])
    left = [int((~hole[data.rows(side)]).sum()) for side in ("train", "val")]
    judged = [int((hole[data.labelled("test")] == side).sum()) for side in (True, False)]
    if min(left) < FEWEST or min(judged) < 2:
        raise ConfigError(
            f"without {one.name} there are {left[0]} training and {left[1]} validation rows, and {judged[0]} test rows "
            f"inside and {judged[1]} outside; {FEWEST}, {FEWEST}, 2 and 2 are needed. Choose another range: --remove."
        )
    return hole


def _told(beside: Grid, place: str) -> str:
    """Say which arms are better inside the range than the better constant: a middle range is easy to guess."""
    error = {name: beside.error(name, place).value for name in beside.arms}
    best = min(CONSTANTS, key=error.__getitem__)
    below = [beside.title(arm) for arm in beside.arms if error[arm] < error[best]]
    told = f"below that in the mean: {', '.join(below)}" if below else "no arm is below that in the mean"
    constant = f"Answering {place} with the {best} of the targets shown has an error of"
    return f"{constant} {number(error[best])} {beside.unit}: {told}."


def _page(inside: Grid, outside: Grid, beside: Grid, name: str, command: str, seeds: int) -> Study:
    answer = [inside.verdict(arm, place, f"Never shown {place}") for arm in inside.arms[1:] for place in inside.places]
    better = sum(inside.gap(arm, place).low > 0 for arm in inside.arms[1:] for place in inside.places)
    worse = sum(inside.gap(arm, place).high < 0 for arm in inside.arms[1:] for place in inside.places)
    of, (first, *others) = len(answer), map(inside.title, inside.arms)
    lead = (
        f"Inside ranges that were never shown, {' and '.join(others)} has less error than {first} in "
        f"{better} of {of} cases, more in {worse}, and the rest these data cannot tell."
    )
    if of > 1:
        answer.insert(0, lead)
    answer += [_told(beside, place) for place in inside.places]
    return Study(
        title="Unseen targets",
        question=(
            "Ranges of the target are left out of training and validation. How large is the error of test rows inside "
            "them, which the method has never been shown?"
        ),
        answer=tuple(answer) or (f"{inside.title(inside.arms[0])} alone was judged.",),
        columns=inside.columns("left out, error inside"),
        rows=inside.rows(),
        command=command,
        figure=line_figure(
            inside.places,
            inside.lines(),
            axis="left out of training",
            value=f"error inside ({inside.unit})",
            joined=False,
        ),
        data=name,
        tables=(
            Table(
                "Inside, beside the median and the mean of the targets shown",
                ("left out, error inside", *map(beside.title, beside.arms)),
                tuple((place, *(bounds(beside.error(arm, place)) for arm in beside.arms)) for place in beside.places),
                "Who answers near the middle is near a middle range without having learned anything.",
            ),
            Table("Outside the range, which was shown", outside.columns("left out, error outside"), outside.rows()),
        ),
        held=(
            "Percent are ranks of the training targets. Rows in a range leave training and validation; test rows stay.",
            "40:60% asks for interpolation, 80:100% for extrapolation, which no method can be expected to do well.",
            "The same passes for all; the paper's figures (its table 5) are better zero-shot errors of RnC than of L1.",
            interval_words(seeds),
            *inside.told(),
        ),
    )
