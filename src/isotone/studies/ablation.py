"""One setting of a method at several values, and other methods beside it: what the ablation studies share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotone.report.study import Study, Table, line_figure, write_study
from isotone.studies.grid import Grid, bounds
from isotone.studies.robustness import interval_words, unit_of
from isotone.studies.sweep import Arm, Sweep


@dataclass(frozen=True)
class Ablation:
    """What is varied, and what the page says of it.

    Args:
        title: of the page.
        question: of the page.
        axis: what the values are.
        published: the paper's figures.
        sets: settings that the study sets, and the flag that says how.
        notes: further sentences of what is held equal, or left out.
    """

    title: str
    question: str
    axis: str
    published: Table
    sets: Mapping[str, str]
    notes: tuple[str, ...] = ()


def ablate(
    about: Ablation,
    values: Mapping[str, Mapping[str, Any]],
    table: str | Path,
    *,
    out: str | Path,
    method: str,
    seeds: int,
    command: str,
    quiet: bool,
    settings: Mapping[str, Any],
    others: Mapping[str, str] | None = None,
) -> Path:
    """Train a method at each value, judge all on the same test rows, write `study.csv` and `study.html`.

    Args:
        about: the study.
        values: by name, what each changes; the last one is what the others are held against.
        table: with a target.
        out: folder of the study; runs that are finished are not made again.
        method: an arm, such as `rnc` or `rnc lr=0.5`.
        seeds: number of seeds, from 0 on.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.
        others: by name, arms of other methods to stand among the values, before them.

    Raises:
        ConfigError: see `Sweep.of`, and values that the method does not take; DataError: see `isotone.fit`.
    """
    others = others or {}
    sweep = Sweep.of(table, out, [method, *others.values()], seeds, settings, quiet=quiet, sets=about.sets)
    arm, *rest = sweep.arms
    arms = {**dict(zip(others, rest, strict=True)), **dict.fromkeys(values, arm)}
    for name, one in arms.items():  # refused before anything is trained
        sweep.resolved(Arm(one.name, one.method, {**one.settings, **values.get(name, {})}))
    reference = list(arms)[-1]
    names = [reference, *(name for name in arms if name != reference)]
    cells = {(name, "test"): sweep.errors(arms[name], f"{about.axis} {name}", **values.get(name, {})) for name in names}
    data = sweep.data(0)
    grid = Grid.of(names, ["test"], cells, unit_of(data.target_names))
    grid.write(sweep.out / "study.csv", "rows")
    return write_study(sweep.out / "study.html", _page(about, grid, list(arms), data.name, method, command, seeds))


# ----------------------------------------------------------------------------------------------------------------------


def _page(
    about: Ablation, grid: Grid, values: Sequence[str], name: str, method: str, command: str, seeds: int
) -> Study:
    best = min(values, key=lambda value: grid.error(value, "test").value)
    reference = grid.arms[0]
    answer = [f"The error is least at {about.axis} {best}: {bounds(grid.error(best, 'test'))} {grid.unit}."]
    answer += [grid.verdict(value, "test", f"{about.axis} {value}") for value in grid.arms[1:]]
    rows = [
        (
            value,
            bounds(grid.error(value, "test")),
            "" if value == reference else bounds(grid.gap(value, "test"), sign=True),
        )
        for value in values
    ]
    line = grid.line(values, method)
    return Study(
        title=about.title,
        question=about.question,
        answer=tuple(answer),
        columns=(about.axis, f"test error ({grid.unit})", f"less than at {reference}"),
        rows=tuple(rows),
        command=command,
        figure=line_figure(values, [line], axis=about.axis, value=f"test error ({grid.unit})"),
        data=name,
        tables=(about.published,),
        held=(
            "The same rows, split, passes, encoder and head at every value; nothing else is tuned again.",
            "The test error is shown for every value; to choose one for use, choose by the validation error.",
            *about.notes,
            interval_words(seeds),
        ),
    )
