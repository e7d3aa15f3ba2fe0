"""Few data: does the gap between methods grow as the training rows become fewer?

The training side alone is cut; validation and test rows stay. The subsamples are nested (a smaller one is part of a
larger one) and never cut through a group. Every size gets the same number of optimiser steps, so that what changes is
the data and not the compute; with `--same passes` every size gets the same passes, and so fewer steps.

Source: Zha et al. 2023, arXiv 2210.01189, figure 5.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from isotone import check
from isotone.errors import ConfigError
from isotone.randomness import numpy_generator
from isotone.records import Dataset
from isotone.report.study import Study, Table, line_figure, write_study
from isotone.settings import Settings
from isotone.studies.derived import write_part
from isotone.studies.errors import Errors, errors_of, joined
from isotone.studies.flags import Flag, numbers, plain
from isotone.studies.grid import Grid
from isotone.studies.robustness import interval_words, unit_of
from isotone.studies.sweep import ARMS, Sweep, test_errors

SHARES = (0.125, 0.25, 0.5, 1.0)
FEWEST = 8  # training rows
FLAGS = {
    "--shares": Flag("shares of the training rows (default: 0.125,0.25,0.5,1)", numbers),
    "--same": Flag("what every size gets as often: steps of the optimiser (default) or passes of each row", plain),
}
PUBLISHED = Table(
    "As published",
    ("IMDB-WIKI, MAE in years", "16k rows", "8k", "4k", "2k"),
    (("L1", "9.78", "10.74", "13.00", "18.60"), ("RnC (L1)", "9.36", "10.23", "11.94", "15.09")),
    "arXiv 2210.01189, figure 5, ResNet-18; one run each, no intervals. The gap grows from 0.42 to 3.51 years.",
)


def few_data(
    table: str | Path,
    *,
    out: str | Path,
    arms: Sequence[str] = ARMS,
    seeds: int = 1,
    shares: Sequence[float] = SHARES,
    same: str = "steps",
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train each arm on shares of the training rows, judge all on the same test rows, write the table and the page.

    Args:
        table: with a target.
        out: folder of the study; runs that are finished are not made again.
        arms: as in `isotone.studies.robustness`.
        seeds: number of seeds, from 0 on; another seed draws other rows.
        shares: of the training rows, above 0, at most 1.
        same: `steps` or `passes`.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.

    Returns:
        Path of the page.

    Raises:
        ConfigError: see `Sweep.of`; shares out of range or of too few rows; DataError: see `isotone.fit`.

    Source: arXiv 2210.01189, figure 5.
    """
    check.choice("same", same, ("steps", "passes"))
    for share in shares:
        if not 0 < share <= 1:
            raise ConfigError(f"`shares` must be above 0 and at most 1, got {share:g}.")
    shares = sorted(set(shares), reverse=True)
    sweep = Sweep.of(table, out, arms, seeds, settings, quiet=quiet)
    cells, sizes = _judged(sweep, shares, same)
    data = sweep.data(0)
    names = {f"{share:g}": _named(sizes[share], share) for share in shares}
    named = {(arm, names[place]): each for (arm, place), each in cells.items()}
    grid = Grid.of([arm.name for arm in sweep.arms], list(names.values()), named, unit_of(data.target_names))
    grid.write(sweep.out / "study.csv", "training rows")
    return write_study(sweep.out / "study.html", _page(grid, data.name, command, seeds, same))


def nested(data: Dataset, share: float, seed: int) -> Int[np.ndarray, " m"]:
    """Return a share of the training rows, ascending: whole groups, and a smaller share is part of a larger one.

    Args:
        data: with its split.
        share: above 0, at most 1.
        seed: another seed draws other rows.

    Raises:
        ConfigError: fewer than 8 rows.
    """
    train = data.rows("train")
    unit = np.arange(len(train)) if data.group is None else np.unique(data.group[train], return_inverse=True)[1]
    order = numpy_generator("few-data", seed).permutation(int(unit.max()) + 1)
    size = np.cumsum(np.bincount(unit)[order])
    wanted = share * len(train)
    taken = order[: 1 + int(np.argmin(np.abs(size - wanted)))]  # the whole groups that come nearest to it
    rows = train[np.isin(unit, taken)]
    if len(rows) < FEWEST:
        raise ConfigError(
            f"a share of {share:g} leaves {len(rows)} of {len(train)} training rows; {FEWEST} are needed. "
            "Name larger ones: --shares 0.25,0.5,1."
        )
    return rows


# ----------------------------------------------------------------------------------------------------------------------


def _judged(
    sweep: Sweep, shares: Sequence[float], same: str
) -> tuple[dict[tuple[str, str], Errors], dict[float, list[int]]]:
    """Return the errors by (arm, share), and for each share the training rows under each seed."""
    parts: dict[tuple[str, str], list[Errors]] = {}
    sizes: dict[float, list[int]] = {share: [] for share in shares}
    for seed in range(sweep.seeds):
        data = sweep.data(seed)
        for share in shares:
            train = nested(data, share, seed)
            sizes[share].append(len(train))
            place = f"train{share:g}"
            part = write_part(
                sweep.out / "tables" / f"seed{seed}-{place}",
                sweep.table, data, sweep.resolved(sweep.arms[0]).data, train.tolist(), data.rows("val").tolist(),
            )  # fmt: skip
            for arm in sweep.arms:
                passes = _passes(sweep.resolved(arm), len(data.rows("train")), len(train), same)
                run = sweep.run(arm, seed, place, part.path, **part.settings, passes=passes)
                own = sweep.data_of(run, part.path)
                rows = own.labelled("test")
                error = errors_of(own, rows, test_errors(run, own), seed=seed, lines=part.lines)
                parts.setdefault((arm.name, f"{share:g}"), []).append(error)
    return {key: joined(each) for key, each in parts.items()}, sizes


def _passes(settings: Settings, full: int, part: int, same: str) -> int:
    """Return the passes that give a part as many optimiser steps as the whole training side has."""
    passes, batch = settings.train.passes, settings.train.batch_size
    if same == "passes":
        return passes
    steps = [n // min(batch, n) for n in (full, part)]  # of one epoch
    return max(1, round(passes * steps[0] / steps[1]))


def _named(sizes: Sequence[int], share: float) -> str:
    rows = f"{round(float(np.mean(sizes)))} rows"
    return rows if share == 1 else f"{rows} ({100 * share:g} %)"


def _page(grid: Grid, name: str, command: str, seeds: int, same: str) -> Study:
    most, fewest = grid.places[0], grid.places[-1]
    answer: list[str] = []
    for arm in grid.arms[1:]:
        answer.append(grid.growing(arm, most, fewest, f"From {most} to {fewest}"))
        answer += [grid.verdict(arm, place, place) for place in grid.places]
    compute = {
        "steps": "Every size gets as many optimiser steps as the whole training side, so its rows are seen more often.",
        "passes": "Every size gets the same passes of each row, so fewer rows get fewer optimiser steps.",
    }
    return Study(
        title="Few data",
        question="Each method is trained on fewer and fewer rows, and judged on the same test rows. Does the gap grow?",
        answer=tuple(answer) or (f"{grid.arms[0]} alone was judged.",),
        columns=grid.columns("training rows"),
        rows=grid.rows(),
        command=command,
        figure=line_figure(
            [place.split(" (")[0] for place in grid.places], grid.lines(), axis="training side",
            value=f"test error ({grid.unit})",
        ),
        data=name,
        tables=(PUBLISHED,),
        held=(
            "The same validation and test rows for every size; subsamples are nested and hold whole groups.",
            compute[same],
            interval_words(seeds),
        ),
    )  # fmt: skip
