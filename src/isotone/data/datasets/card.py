"""What is known of a published data set, and what a reader found in a folder."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from isotone.errors import Problem

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Card:
    """A data set in words, and which of its columns is what.

    Args:
        name: as on the command line.
        title: one line.
        inputs: column of the files.
        target: columns to predict.
        group: column that says whose row it is.
        source: where it comes from.
        licence: who may use it for what.
        obtain: how to get it.
        counts: how much there is.
        layout: what the folder must hold.
        published: what `--split published` is; empty where there is none.
        traps: what goes wrong when the raw files are read naively, and what is done about it.
        checksum: of a file, where it is known.
        kind: what a file holds.
        most_held_out: rows of each age, 0 to 120, in the validation and again in the test of the DIR split; 0: no DIR.
        flips: whether a mirrored image keeps its target.
        geometry: what the targets are places on.
    """

    name: str
    title: str
    inputs: str
    target: tuple[str, ...]
    group: str
    source: str
    licence: str
    obtain: str
    counts: str
    layout: str
    published: str
    traps: tuple[str, ...]
    checksum: str = ""
    kind: Literal["image", "edf"] = "image"
    most_held_out: int = 0
    flips: bool = True
    geometry: str = "line"

    def __str__(self) -> str:
        """Return the card as text, a line or more for each entry."""
        dir_split = (
            f"at most {self.most_held_out} rows of each age from 0 to 120 in validation and test, of others none "
            "(deep imbalanced regression)"
        )
        splits = {
            "drawn": f"by {self.group}, so that none is in training and test (the default)",
            "published": self.published,
            "dir": dir_split if self.most_held_out else "",
        }
        lines = [f"{self.name}: {self.title}"]
        for word in ("source", "licence", "obtain", "checksum", "counts", "layout"):
            lines += [f"  {word:9} {getattr(self, word)}"] if getattr(self, word) else []
        lines.append(f"  {'columns':9} {self.inputs}, target {', '.join(self.target)}, group {self.group}")
        lines += [f"  --split {word:9} {text}" for word, text in splits.items() if text]
        lines.append(f"  --hold-out X       the {self.group} X is the test, the others are for training and validation")
        lines += [f"  trap      {trap}" for trap in self.traps]
        return "\n".join([*lines, f"  use       isotone fit --dataset {self.name} --root FOLDER"])


@dataclass(frozen=True, eq=False)
class Reading:
    """What a folder holds.

    Args:
        frame: one row for each usable file, in an order that depends on names alone; with the columns that the card
            names, `id` (stable, text) and, where the set has one and it was asked for, `published`: train, val, test.
        left_out: rows that a rule of the set leaves out, counted by reason.
        faults: what is missing or damaged, joined to few problems.
        remarks: what else the user should know, each a sentence without its full stop.
    """

    frame: "pd.DataFrame"
    left_out: dict[str, int]
    faults: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = field(default=())
