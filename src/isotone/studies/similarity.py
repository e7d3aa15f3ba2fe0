"""Similarity: RnC with minus the Euclidean distance, the cosine or the dot product of embeddings.

Source: Zha et al. 2023, arXiv 2210.01189, table 6. Cosine and dot are given temperatures of their own, since one
temperature does not fit all: the cosine ends at 1, where a temperature of 2 leaves nothing to tell apart.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotone.report.study import Table
from isotone.studies.ablation import Ablation, ablate
from isotone.studies.flags import Flag, plain, words

SIMILARITIES = ("dot 2", "cosine 2", "cosine 0.1", "l2 2")
METHODS = ("rnc",)
FLAGS = {
    "--method": Flag("the method, with settings of its own (default: rnc)", plain),
    "--similarities": Flag(
        "each with its temperature, the last is what the others are held against (default: "
        "dot 2,cosine 2,cosine 0.1,l2 2)",
        words,
    ),
}
ABOUT = Ablation(
    "Similarity",
    "What are embeddings compared by: minus their distance, their cosine, their dot product?",
    "similarity",
    Table(
        "As published",
        ("AgeDB", "MAE", "R²"),
        (("cosine", "6.51", ".835"), ("minus L1", "6.25", ".842"), ("minus L2", "6.14", ".850")),
        "arXiv 2210.01189, table 6.",
    ),
    {"similarity": "--similarities", "temperature": "--similarities"},
)


def similarity(
    table: str | Path,
    *,
    out: str | Path,
    method: str = "rnc",
    seeds: int = 1,
    similarities: Sequence[str] = SIMILARITIES,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train RnC with several similarities; see `isotone.studies.ablation.ablate`.

    Args:
        table: with a target.
        out: folder of the study.
        method: an arm of method `rnc`.
        seeds: number of seeds, from 0 on.
        similarities: each a name, or a name and a temperature; the last is what the others are held against.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`.
    """
    values: dict[str, dict[str, Any]] = {}
    for text in similarities:
        name, _, heat = text.partition(" ")
        values[text] = {"similarity": name} | ({"temperature": _number(text, heat)} if heat else {})
    return ablate(
        ABOUT, values, table, out=out, method=method, seeds=seeds, command=command, quiet=quiet, settings=settings
    )


# ----------------------------------------------------------------------------------------------------------------------


def _number(text: str, heat: str) -> float:
    from isotone.studies.flags import numbers

    return numbers(f"similarities ({text})", heat)[0]
