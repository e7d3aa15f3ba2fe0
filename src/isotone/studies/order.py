"""Order: does the representation follow the target, or does it fall apart by a nuisance such as camera or person?

Measured on the test rows of each seed: rank correlation of distances in the representation and in the target, ordered
triples, and how well the nuisance can be read from the representation, by a linear probe and by the nearest neighbours.
The probes are fitted on half of each nuisance's test rows, choose on a quarter and are scored on the last quarter. What
the target alone tells of the nuisance stands beside them: a representation of the target need not tell more.

Source: Zha et al. 2023, arXiv 2210.01189, table 1 and figures 1 and 6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from isotone.data.table import read_table, texts
from isotone.errors import ConfigError
from isotone.evaluate.linear import logistic
from isotone.evaluate.metrics import Interval
from isotone.evaluate.order import order as measure
from isotone.evaluate.probe import ProbeData
from isotone.randomness import numpy_generator
from isotone.records import Dataset
from isotone.report.figures import spread
from isotone.report.maps_still import Scatter, still_maps
from isotone.report.study import Study, Table, write_study
from isotone.studies.errors import Errors, errors_of, joined
from isotone.studies.flags import Flag, plain
from isotone.studies.grid import Grid, bounds, number, short_names
from isotone.studies.sweep import ARMS, Sweep

FLAGS = {"--nuisance": Flag("column that the representation should not tell (default: that of --group)", plain)}
FEWEST_ROWS, MOST_NAMES = 8, 20  # test rows of a nuisance that is probed; how many of them
NEIGHBOURS = 5
MOST_ROWS = 1500  # of order by row
PENALTIES = tuple(np.logspace(1, -5, 13).tolist())
MEASURES = ("Spearman", "Kendall", "ordered triples", "linear probe", "neighbours")
PUBLISHED = Table(
    "As published",
    ("AgeDB", "Spearman", "Kendall"),
    (("L1", ".822", ".664"), ("RnC", ".971", ".870")),
    "arXiv 2210.01189, table 1. Its figure 6 shows SkyFinder: L1 clusters by webcam, RnC forms one ordered curve.",
)


@dataclass(frozen=True, eq=False)
class Probed:
    """Test rows whose nuisance is probed: `rows` (m,) among the test rows, `name` (m,), `part` (m,) 0 to 2 as above."""

    rows: Int[np.ndarray, " m"]
    name: Shaped[np.ndarray, " m"]
    part: Int[np.ndarray, " m"]


def order(
    table: str | Path,
    *,
    out: str | Path,
    arms: Sequence[str] = ARMS,
    seeds: int = 1,
    nuisance: str | None = None,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train each arm, measure the order of its representation, map it, write `study.csv` and `study.html`.

    Args:
        table: with a target.
        out: folder of the study; runs that are finished are not made again.
        arms: as in `isotone.studies.robustness`.
        seeds: number of seeds, from 0 on.
        nuisance: a column; None takes that of `group`, where there is one.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.

    Returns:
        Path of the page.

    Raises:
        ConfigError: see `Sweep.of`, and a nuisance that is no column; DataError: see `isotone.fit`.
    """
    sweep = Sweep.of(table, out, arms, seeds, settings, quiet=quiet)
    lines: list[dict[str, Any]] = []
    maps: list[Scatter] = []
    cells: dict[tuple[str, str], list[Errors]] = {}
    titles = short_names([arm.name for arm in sweep.arms])
    for seed in range(seeds):
        data = sweep.data(seed)
        rows, names = data.labelled("test"), nuisance_of(sweep, data, nuisance)
        probed = None if names is None else split_names(names[rows], seed)
        y = data.target[rows]
        for arm in sweep.arms:
            run = sweep.run(arm, seed)
            h = run.model.embed(data.inputs[rows])
            found = measure(h, y, seed=0)
            values = (found.spearman, found.kendall, found.ordered_triples)
            told = (math.nan, math.nan) if probed is None else _read(h, probed)
            lines.append({"arm": arm.name, "seed": seed, **dict(zip(MEASURES, (*values, *told), strict=True))})
            kept = spread(len(rows), MOST_ROWS)
            cell = errors_of(data, rows[kept], 1 - order_by_row(h[kept], y[kept]), seed=seed)
            cells.setdefault((arm.name, "order"), []).append(cell)
            if seed == 0:
                maps.append(Scatter(titles[arm.name], h, y[:, 0], None if names is None else names[rows]))
        lines += [] if probed is None else _controls(y, probed, seed)
    frame = pd.DataFrame(lines)
    frame.to_csv(sweep.out / "study.csv", index=False)
    names = [arm.name for arm in sweep.arms]
    grid = Grid.of(names, ["order"], {key: joined(each) for key, each in cells.items()}, "")
    data = sweep.data(0)
    return write_study(sweep.out / "study.html", _page(frame, grid, maps, data, nuisance or data.group_name, command))


def order_by_row(h: Float[np.ndarray, "n d"], target: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Return for each row the rank correlation of its distances to all others in the representation and in the target.

    Args:
        h: of n >= 3 rows; compared by Euclidean distance.
        target: of the rows; compared by L1 distance.

    Returns:
        (n,) from -1 to 1; 0 where all distances are equal.

    Example:
        >>> line = np.array([[0.0], [1.0], [3.0], [7.0]])
        >>> order_by_row(5 * line, line).round(6).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    from scipy.spatial.distance import cdist
    from scipy.stats import rankdata

    others = ~np.eye(len(h), dtype=bool)
    ranks: list[np.ndarray] = []
    for distance in (cdist(h, h), cdist(target, target, "cityblock")):
        rank = np.asarray(rankdata(distance[others].reshape(len(h), -1), axis=1))
        ranks.append(rank - rank.mean(axis=1, keepdims=True))
    scale = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.divide((ranks[0] * ranks[1]).sum(axis=1), scale, out=np.zeros(len(h)), where=scale > 0)


def nuisance_of(sweep: Sweep, data: Dataset, column: str | None) -> Shaped[np.ndarray, " n"] | None:
    """Return the nuisance (n,) of each row as text, or None where none is named and there are no groups.

    Raises:
        ConfigError: the table has no such column.
    """
    if column is None:
        return data.group
    read = read_table(sweep.table, sweep.resolved(sweep.arms[0]).data)
    if column not in read.frame.columns:
        raise ConfigError(f"{sweep.table.name} has no column {column!r} (--nuisance).")
    return texts(read.column(column))[np.searchsorted(read.lines, data.row)]


def split_names(name: Shaped[np.ndarray, " t"], seed: int) -> Probed | None:
    """Return the rows of the most frequent names, each name's rows in three parts; None where fewer than two have 8.

    Example:
        >>> found = split_names(np.array(["a"] * 8 + ["b"] * 8 + ["c"]), seed=0)
        >>> np.bincount(found.part).tolist(), len(found.rows)
        ([8, 4, 4], 16)
    """
    names, count = np.unique(name, return_counts=True)
    chosen = names[np.argsort(-count, kind="stable")][:MOST_NAMES]
    chosen = [one for one in chosen if (name == one).sum() >= FEWEST_ROWS]
    if len(chosen) < 2:
        return None
    rows: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for place, one in enumerate(chosen):
        own = numpy_generator("nuisance", seed, place).permutation(np.flatnonzero(name == one))
        share = np.arange(len(own)) / len(own)
        rows.append(own)
        parts.append(np.where(share < 0.5, 0, np.where(share < 0.75, 1, 2)))
    every = np.concatenate(rows)
    return Probed(every, name[every], np.concatenate(parts))


def neighbours(x: Float[np.ndarray, "t d"], probed: Probed) -> float:
    """Return the share of the rows to score whose name the five nearest other rows tell right.

    Args:
        x: of all test rows; compared by Euclidean distance, each dimension as it is.
        probed: whose names are told.
    """
    from sklearn.neighbors import KNeighborsClassifier

    scored = probed.part == 2
    known = KNeighborsClassifier(n_neighbors=NEIGHBOURS).fit(x[probed.rows[~scored]], probed.name[~scored])
    return float(np.mean(known.predict(x[probed.rows[scored]]) == probed.name[scored]))


# ----------------------------------------------------------------------------------------------------------------------


def _sides(x: Float[np.ndarray, "t d"], probed: Probed) -> list[np.ndarray]:
    """Return features and names of the three parts, in the order of `ProbeData`."""
    sides: list[np.ndarray] = []
    for part in range(3):
        chosen = probed.part == part
        sides += [x[probed.rows[chosen]], probed.name[chosen]]
    return sides


def _controls(y: Float[np.ndarray, "t k"], probed: Probed, seed: int) -> list[dict[str, Any]]:
    """Return what the target alone tells of the nuisance, and what guessing the most frequent one does."""
    count = np.bincount(np.unique(probed.name, return_inverse=True)[1])
    chance = float(count.max() / count.sum())
    return [
        {"arm": "target alone", "seed": seed, "neighbours": neighbours(y, probed)},
        {"arm": "most frequent", "seed": seed, "linear probe": chance, "neighbours": chance},
    ]


def _read(h: Float[np.ndarray, "t d"], probed: Probed) -> tuple[float, float]:
    """Return how many names a linear probe and the nearest neighbours tell right."""
    data = ProbeData(*_sides(h, probed))
    return logistic(data, penalties=PENALTIES).score, neighbours(h, probed)


def _page(
    frame: pd.DataFrame, grid: Grid, maps: Sequence[Scatter], data: Dataset, nuisance: str | None, command: str
) -> Study:
    arms, titles = grid.arms, short_names(grid.arms)
    probed = bool(frame["neighbours"].notna().any())
    shown = MEASURES if probed else MEASURES[:3]
    names = [*arms, *(["target alone", "most frequent"] if probed else [])]
    rows = [
        (
            titles.get(name, name),
            bounds(_turned(grid.error(name, "order"))) if name in arms else "",
            *(_told(_of(frame, name, measure)) for measure in shown),
        )
        for name in names
    ]
    answer: list[str] = []
    for arm in arms[1:]:
        answer.append(_ordered(grid, arm))
        if probed:
            a, b = (float(_of(frame, name, "neighbours").mean()) for name in (arms[0], arm))
            alone = float(_of(frame, "target alone", "neighbours").mean())
            answer.append(
                f"Neighbours in the representation tell {nuisance} in {100 * b:.0f} % of the rows under {titles[arm]}, "
                f"in {100 * a:.0f} % under {titles[arms[0]]}; neighbours in the target alone in {100 * alone:.0f} %."
            )
    why = () if probed else ("No nuisance was probed: it needs --nuisance or --group, and two values of 8 test rows.",)
    return Study(
        title="Order",
        question=(
            "Does the representation follow the target, or does it fall apart"
            + (f" by {nuisance}?" if probed else "?")
            + " Each dot of the maps is a test row of the first seed."
        ),
        answer=tuple(answer) or (f"{titles[arms[0]]}: Spearman {float(_of(frame, arms[0], 'Spearman').mean()):.3f}.",),
        columns=("method", "order by row", *(f"{nuisance}, {x}" if x in MEASURES[3:] else x for x in shown)),
        rows=tuple(rows),
        command=command,
        figure=still_maps(maps, data.target_names[0], nuisance or ""),
        data=data.name,
        tables=(PUBLISHED,),
        held=(
            "Order by row: the rank correlation of a test row's distances to all others, in the representation and in "
            "the target, mean over the rows; its 95 % interval is over rows (or groups) and seeds.",
            "Spearman and Kendall: of distances in the representation and in the target, over pairs of test rows; "
            "ordered triples: the share in which what is closer in target is closer there too; chance is 0.5.",
            f"Linear probe and neighbours: the share of test rows whose {nuisance or 'nuisance'} is told right, among "
            f"at most {MOST_NAMES} values with {FEWEST_ROWS} test rows or more. Lower is better: less fragmented.",
            "The other columns are the mean over the seeds, and the lowest and highest of them.",
            *why,
            *grid.told(),
        ),
    )


def _of(frame: pd.DataFrame, arm: str, column: str) -> Float[np.ndarray, " s"]:
    """Return what was measured of an arm, a number a seed; none where it was not."""
    found = frame[column].to_numpy(dtype=np.float64)[(frame["arm"] == arm).to_numpy()]
    return found[np.isfinite(found)]


def _told(x: Float[np.ndarray, " s"]) -> str:
    if not len(x):
        return ""
    return number(x.mean()) + (f" ({number(x.min())} to {number(x.max())})" if len(x) > 1 else "")


def _turned(found: Interval) -> Interval:
    """Return the correlation that 1 less it stands for."""
    return Interval(1 - found.value, 1 - found.high, 1 - found.low)


def _ordered(grid: Grid, arm: str) -> str:
    gap = grid.gap(arm, "order")
    each = [_turned(grid.error(name, "order")).value for name in (arm, grid.arms[0])]
    arm, first = grid.title(arm), grid.title(grid.arms[0])
    told = f"{each[0]:.3f} against {each[1]:.3f}, a difference of {bounds(gap, sign=True)}"
    if gap.low > 0:
        return f"{arm} orders the test rows more than {first}: {told}."
    if gap.high < 0:
        return f"{arm} orders the test rows less than {first}: {told}."
    return f"{arm} and {first} order the test rows alike, as far as these data can tell: {told}."
