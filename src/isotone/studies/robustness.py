"""Robustness: does the gap between methods grow as the test images are corrupted?

Each arm is trained once a seed on clean images; its errors on the test images are measured under 19 corruptions at five
severities, the same pixels for every arm.

Source: Zha et al. 2023, arXiv 2210.01189, figure 4; corruptions of Hendrycks and Dietterich 2019, arXiv 1903.12261.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isotone.data.corrupt import CORRUPTIONS, REFERENCE, SEVERITIES
from isotone.report.study import Study, Table, line_figure, write_study
from isotone.studies.corrupted import Corrupted, check_corruptible, corrupted_errors
from isotone.studies.errors import Errors, errors_of, joined
from isotone.studies.flags import Flag, words
from isotone.studies.grid import Grid
from isotone.studies.sweep import ARMS, Sweep

FLAGS = {"--corruptions": Flag("names of corruptions (default: all 19)", words)}
PUBLISHED = Table(
    "As published",
    ("AgeDB, MAE in years", "0", "1", "2", "3", "4"),
    (("L1", "6.63", "7.47", "8.60", "9.86", "11.75"), ("RnC (L1)", "6.14", "6.85", "7.78", "8.78", "9.60")),
    "arXiv 2210.01189, figure 4, ResNet-18; one run each, no intervals. The gap grows from 0.49 to 2.15 years.",
)


def robustness(
    table: str | Path,
    *,
    out: str | Path,
    arms: Sequence[str] = ARMS,
    seeds: int = 1,
    corruptions: Sequence[str] = CORRUPTIONS,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train each arm on clean images, judge it on corrupted ones, write `study.csv` and `study.html`.

    Args:
        table: with images and a target.
        out: folder of the study; runs that are finished are not made again.
        arms: methods, each with settings of its own: `rnc lr=0.5`; the first is what the others are held against.
        seeds: number of seeds, from 0 on.
        corruptions: names.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.

    Returns:
        Path of the page.

    Raises:
        ConfigError: see `Sweep.of` and `isotone.data.corrupt.corrupt`; DataError: see `isotone.fit`.

    Source: arXiv 2210.01189, figure 4.
    """
    sweep = Sweep.of(table, out, arms, seeds, settings, quiet=quiet)
    parts: dict[tuple[str, str], list[Errors]] = {}
    name = unit = ""
    for seed in range(seeds):
        data = sweep.data(seed)
        check_corruptible(data, corruptions)
        runs = [sweep.run(arm, seed) for arm in sweep.arms]
        name, unit, rows = data.name, unit_of(data.target_names), data.labelled("test")
        found = corrupted_errors(runs, data, corruptions, stream=None if quiet else sys.stderr)
        for arm, one in zip(sweep.arms, found, strict=True):
            for place, error in _places(one, corruptions).items():
                parts.setdefault((arm.name, place), []).append(errors_of(data, rows, error, seed=seed))
    cells = {key: joined(each) for key, each in parts.items()}
    names = [arm.name for arm in sweep.arms]
    grid = Grid.of(names, ["0", *map(str, SEVERITIES)], cells, unit)
    each = Grid.of(names, list(corruptions), cells, unit)
    grid.write(sweep.out / "study.csv", "severity")
    each.write(sweep.out / "corruptions.csv", "corruption")
    return write_study(sweep.out / "study.html", _page(grid, each, name, command, seeds))


def unit_of(targets: Sequence[str]) -> str:
    """Return what errors are counted in: the target's own unit, or for several targets their standard deviations."""
    return targets[0] if len(targets) == 1 else "standard deviations"


# ----------------------------------------------------------------------------------------------------------------------


def _places(found: Corrupted, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return each row's error at every severity, the mean of the corruptions, and under each of them."""
    chosen = [CORRUPTIONS.index(name) for name in names]
    by_severity = {str(s): found.error[chosen, j].mean(axis=0) for j, s in enumerate(SEVERITIES)}
    return {"0": found.clean, **by_severity} | {
        name: found.error[CORRUPTIONS.index(name)].mean(axis=0) for name in names
    }


def _page(grid: Grid, each: Grid, name: str, command: str, seeds: int) -> Study:
    last = grid.places[-1]
    answer: list[str] = []
    for arm in grid.arms[1:]:
        answer.append(grid.growing(arm, "0", last, "From clean images to severity 5"))
        answer.append(grid.verdict(arm, "0", "Clean images"))
        answer.append(grid.verdict(arm, last, "Severity 5"))
    return Study(
        title="Robustness",
        question=(
            f"Each method is trained on clean images and judged on corrupted ones: {len(each.places)} corruptions at "
            "five severities, the same pixels for all. Does the gap between them grow with the damage?"
        ),
        answer=tuple(answer) or (f"{grid.title(grid.arms[0])} alone was judged.",),
        columns=grid.columns("severity"),
        rows=grid.rows(),
        command=command,
        figure=line_figure(grid.places, grid.lines(), axis="severity (0: clean)", value=f"test error ({grid.unit})"),
        data=name,
        tables=(Table("By corruption, mean of the severities", each.columns("corruption"), each.rows()), PUBLISHED),
        held=(
            f"Severity 1 to 5 is the mean of {len(each.places)} corruptions; each seed ({seeds}) trains once.",
            "A corrupted image depends on its row, the corruption and the severity alone. It is drawn on the stored "
            f"image, a smaller one enlarged to about {REFERENCE} pixels first and averaged back, since the published "
            "strengths are made for that size.",
            interval_words(seeds),
            *grid.told(),
        ),
    )


def interval_words(seeds: int) -> str:
    """Say what the intervals of a study hold."""
    if seeds == 1:
        return "Intervals (95 %) are over the test rows (their groups, where there are groups), of one seed alone."
    return f"Intervals (95 %) are over the test rows (their groups, where there are groups) and the {seeds} seeds."
