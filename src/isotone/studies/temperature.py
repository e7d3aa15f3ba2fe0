"""Temperature: the error of RnC at several temperatures of its similarity.

Source: Zha et al. 2023, arXiv 2210.01189, whose temperature is 2.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotone.report.study import Table
from isotone.studies.ablation import Ablation, ablate
from isotone.studies.flags import Flag, numbers, plain

TEMPERATURES = (0.5, 1.0, 4.0, 2.0)
METHODS = ("rnc",)
FLAGS = {
    "--method": Flag("the method, with settings of its own (default: rnc)", plain),
    "--temperatures": Flag("the last is what the others are held against (default: 0.5,1,4,2)", numbers),
}
ABOUT = Ablation(
    "Temperature",
    "The temperature divides the similarity of embeddings. How much does the error depend on it?",
    "temperature",
    Table("As published", ("AgeDB", "MAE"), (("2", "6.14"),), "arXiv 2210.01189 gives one temperature, 2."),
    {"temperature": "--temperatures"},
)


def temperature(
    table: str | Path,
    *,
    out: str | Path,
    method: str = "rnc",
    seeds: int = 1,
    temperatures: Sequence[float] = TEMPERATURES,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a method at several temperatures; see `isotone.studies.ablation.ablate`.

    Args:
        table: with a target.
        out: folder of the study.
        method: that has a `temperature`.
        seeds: number of seeds, from 0 on.
        temperatures: above 0; the last is what the others are held against.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.
    """
    values = {f"{value:g}": {"temperature": float(value)} for value in temperatures}
    return ablate(
        ABOUT, values, table, out=out, method=method, seeds=seeds, command=command, quiet=quiet, settings=settings
    )
