"""Few data: does the gap between methods grow as the training rows become fewer?

The training side alone is cut; validation and test rows stay. The subsamples are nested (a smaller one is part of a
larger one) and never cut through a group. Batches are as large at every size and for every arm: no larger than the
smallest part, so that the learning rate, which grows with the batch, is the same. Every size gets the same number of
optimiser steps, so that what changes is the data and not the compute; with `--same passes` every size gets the same
passes, and so fewer steps.

Source: Zha et al. 2023, arXiv 2210.01189, figure 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from isotone.studies.derived import Part, write_part
from isotone.studies.errors import Errors, errors_of, joined
from isotone.studies.flags import Flag, numbers, plain
from isotone.studies.grid import Grid, number
from isotone.studies.robustness import interval_words, unit_of
from isotone.studies.sweep import ARMS, Sweep, run_errors
from isotone.train.loop import training_rows

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


@dataclass(frozen=True, eq=False)
class Size:
    """One size of the training side under one seed.

    Args:
        part: of the table.
        train: its training rows.
        used: by arm, on how many of them it trains: a method that needs labels leaves out those that have none.
        whole: by arm, on how many it would train of the whole training side.
    """

    part: Part
    train: int
    used: Mapping[str, int]
    whole: Mapping[str, int]


@dataclass(frozen=True)
class Length:
    """How long an arm trains on a part.

    Args:
        batch_size: of every part.
        passes: of each row of this one.
        steps: of the optimiser.
    """

    batch_size: int
    passes: int
    steps: int


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
        same: `steps` or `passes`; a batch is as large at every size either way.
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
    sizes = {(seed, share): each for seed in range(seeds) for share, each in _sizes(sweep, shares, seed).items()}
    runs = {arm.name: _lengths(sweep.resolved(arm), arm.name, sizes, same) for arm in sweep.arms}
    cells, data = _judged(sweep, sizes, runs), sweep.data(0)
    names = {f"{x:g}": _named([each.train for (_, share), each in sizes.items() if share == x], x) for x in shares}
    named = {(arm, names[place]): each for (arm, place), each in cells.items()}
    grid = Grid.of([arm.name for arm in sweep.arms], list(names.values()), named, unit_of(data.target_names))
    grid.write(sweep.out / "study.csv", "training rows")
    return write_study(sweep.out / "study.html", _page(grid, data.name, command, seeds, same, runs))


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
            "Name a larger share, or more rows."
        )
    return rows


# ----------------------------------------------------------------------------------------------------------------------


def _sizes(sweep: Sweep, shares: Sequence[float], seed: int) -> dict[float, Size]:
    """Return the parts under a seed, written."""
    data, found = sweep.data(seed), dict[float, Size]()
    for share in shares:
        train = nested(data, share, seed)
        part = write_part(
            sweep.out / "tables" / f"seed{seed}-train{share:g}",
            sweep.table, data, sweep.resolved(sweep.arms[0]).data, train.tolist(), data.rows("val").tolist(),
        )  # fmt: skip
        every = {arm.name: training_rows(sweep.resolved(arm).method, data) for arm in sweep.arms}
        used = {name: int(np.isin(rows, train).sum()) for name, rows in every.items()}
        found[share] = Size(part, len(train), used, {name: len(rows) for name, rows in every.items()})
    return found


def _lengths(
    settings: Settings, arm: str, sizes: Mapping[tuple[int, float], Size], same: str
) -> dict[tuple[int, float], Length]:
    """Return for each part how long an arm trains: with `steps` as near as whole passes come to those of all rows."""
    views, whole = settings.method.views, max(1, settings.train.passes // settings.method.views)  # epochs
    fewest = min(rows for each in sizes.values() for rows in each.used.values())
    batch = max(2, min(settings.train.batch_size, fewest))
    found: dict[tuple[int, float], Length] = {}
    for key, each in sizes.items():
        steps, most = (max(1, rows[arm] // batch) for rows in (each.used, each.whole))  # of one epoch
        epochs = whole if same == "passes" else max(1, round(whole * most / steps))
        found[key] = Length(batch, epochs * views, epochs * steps)
    return found


def _judged(
    sweep: Sweep, sizes: Mapping[tuple[int, float], Size], runs: Mapping[str, Mapping[tuple[int, float], Length]]
) -> dict[tuple[str, str], Errors]:
    """Return the errors by (arm, share)."""
    parts: dict[tuple[str, str], list[Errors]] = {}
    for (seed, share), each in sizes.items():
        for arm in sweep.arms:
            length, part = runs[arm.name][seed, share], each.part
            changes = {**part.settings, "passes": length.passes, "batch_size": length.batch_size}
            run = sweep.run(arm, seed, f"train{share:g}", part.path, **changes)
            own = sweep.data_of(run, part.path)
            error = errors_of(own, own.labelled("test"), run_errors(run, own), seed=seed, lines=part.lines)
            parts.setdefault((arm.name, f"{share:g}"), []).append(error)
    return {key: joined(each) for key, each in parts.items()}


def _named(sizes: Sequence[int], share: float) -> str:
    rows = f"{round(float(np.mean(sizes)))} rows"
    return rows if share == 1 else f"{rows} ({100 * share:g} %)"


def _batch_words(runs: Mapping[str, Mapping[tuple[int, float], Length]], same: str) -> str:
    """Say how large the batches are and how unequal the number of rows seen is, since passes are whole."""
    sizes = {arm: next(iter(each.values())).batch_size for arm, each in runs.items()}
    one = len(set(sizes.values())) == 1
    told = f"{min(sizes.values())} rows" if one else ", ".join(f"{size} rows ({arm})" for arm, size in sizes.items())
    text = f"Batches hold {told} at every size, no more than the smallest part has, so the learning rate is the same"
    if same == "passes":
        return f"{text}."
    steps = [[length.steps for length in each.values()] for each in runs.values()]
    unequal = max(1 - min(each) / max(each) for each in steps)
    equal = "equal" if unequal == 0 else f"equal to {number(100 * unequal)} % (passes are whole)"
    return f"{text}; the number of rows seen is {equal}."


def _page(
    grid: Grid,
    name: str,
    command: str,
    seeds: int,
    same: str,
    runs: Mapping[str, Mapping[tuple[int, float], Length]],
) -> Study:
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
        answer=tuple(answer) or (f"{grid.title(grid.arms[0])} alone was judged.",),
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
            _batch_words(runs, same),
            interval_words(seeds),
            *grid.told(),
        ),
    )  # fmt: skip
