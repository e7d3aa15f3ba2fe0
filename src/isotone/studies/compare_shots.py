"""What the page of a comparison shows of imbalance: the error where training targets are common, and where rare.

Source: Yang et al., ICML 2021, arXiv 2102.09554 (many, medium, few); Ren et al., CVPR 2022, arXiv 2203.16427.
"""

import math
from collections.abc import Sequence

import numpy as np

from isotone.evaluate.shots import ShotBins
from isotone.report.study import Table
from isotone.studies.judging import Judged, Score

SIDES = ("many", "medium", "few")
COLUMNS = {"mae": "all", "mae_many": "common", "mae_medium": "medium", "mae_few": "rare", "balanced_mae": "balanced"}


def shot_tables(judged: Judged) -> tuple[Table, ...]:
    """Return a table for each target whose test rows are of more than one kind: common, medium, rare.

    Args:
        judged: a comparison; one of classes has none.
    """
    return tuple(_table(judged, name, bins) for name, bins in judged.bins.items() if len(_kinds(judged, name)) > 1)


def mean_of(own: Sequence[Score], name: str) -> float:
    """Return the mean of a score over the seeds: of an error by shot over those that have such rows, else over all.

    Args:
        own: an arm's scores of one target.
        name: of the value.
    """
    values = [score.values[name] for score in own]
    if name in [f"{kind}_{side}" for kind in ("mae", "g_mean") for side in SIDES]:
        values = [x for x in values if not math.isnan(x)]
    return float(np.mean(values)) if values else math.nan


def short(value: float) -> str:
    """Return a number as a cell of a table; NaN is a dash.

    Example:
        >>> short(12.3456), short(0.98765), short(math.nan)
        ('12.35', '0.988', '-')
    """
    return "-" if math.isnan(value) else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3f}"


# ----------------------------------------------------------------------------------------------------------------------


def _table(judged: Judged, target: str, bins: ShotBins) -> Table:
    arms = [line.arm for line in judged.lines if line.target == target]
    rows = [(arm.title, *(short(mean_of(judged.of(arm.name, target), x)) for x in COLUMNS)) for arm in arms]
    title = f"Error where training targets are common, rare: MAE ({target})"
    return Table(title, ("arm", *COLUMNS.values()), tuple(rows), _note(bins, _kinds(judged, target)))


def _kinds(judged: Judged, target: str) -> dict[str, str]:
    """Return how many test rows each kind has in the seeds, in words; every arm has the same."""
    own = judged.of(judged.lines[0].arm.name, target)
    found: dict[str, str] = {}
    for side in SIDES:
        low, high = (int(pick(score.values[f"n_{side}"] for score in own)) for pick in (min, max))
        if high:
            found[COLUMNS[f"mae_{side}"]] = f"{low}" if low == high else f"{low} to {high}"
    return found


def _note(bins: ShotBins, kinds: dict[str, str]) -> str:
    many, few = ("", "") if bins.published else (" (the equal share)", " (a fifth of it)")
    source = "as published" if bins.published else "for these data; the published bins of 1 do not fit them"
    counts = ", ".join(f"{count} {name}" for name, count in kinds.items())
    return (
        f"Common: the bin of the target has more than {bins.many} training rows{many}; rare: fewer than "
        f"{bins.few}{few}. Bins are {bins.width:g} wide, {source}. Balanced: the mean over the bins of the mean error "
        f"in each. Test rows a seed: {counts}. Means over the seeds, without intervals: where rows are few, a "
        "difference may be luck."
    )
