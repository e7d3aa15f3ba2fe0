"""Positives: RnC with only the nearest candidates of each anchor as positives, or all of them.

Source: Zha et al. 2023, arXiv 2210.01189, table 6.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotone.report.study import Table
from isotone.studies.ablation import Ablation, ablate
from isotone.studies.flags import Flag, numbers, plain

SHARES = (0.25, 0.5, 0.75, 1.0)
METHODS = ("rnc",)
FLAGS = {
    "--method": Flag("the method, with settings of its own (default: rnc)", plain),
    "--shares": Flag(
        "shares of the other views in a batch (default: 0.25,0.5,0.75,1; 1 is the method itself)", numbers
    ),
}
ABOUT = Ablation(
    "Positives",
    "In RnC every other sample of the batch is a positive once. What if only the nearest ones are?",
    "positives",
    Table(
        "As published",
        ("AgeDB, batch 256, K of 511", "MAE", "R²"),
        (("128", "6.46", ".828"), ("256", "6.43", ".833"), ("384", "6.29", ".845"), ("511", "6.14", ".850")),
        "arXiv 2210.01189, table 6: all of them are best.",
    ),
    {"positives": "--shares"},
)


def positives(
    table: str | Path,
    *,
    out: str | Path,
    method: str = "rnc",
    seeds: int = 1,
    shares: Sequence[float] = SHARES,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train RnC with shares of the positives; see `isotone.studies.ablation.ablate`.

    Args:
        table: with a target.
        out: folder of the study.
        method: an arm of method `rnc`.
        seeds: number of seeds, from 0 on.
        shares: from above 0 to 1; the last is what the others are held against.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.
    """
    values = {f"{100 * share:g} %": {"positives": float(share)} for share in shares}
    return ablate(
        ABOUT, values, table, out=out, method=method, seeds=seeds, command=command, quiet=quiet, settings=settings
    )
