"""`isotone suspects RUN`: the rows whose target disagrees with their neighbours, for people to look at."""

import shlex
import sys
from typing import TYPE_CHECKING

from isotone.cli.arguments import Arguments

if TYPE_CHECKING:
    import pandas as pd

PRINTED = 10


def run(words: list[str]) -> int:
    """Rank the rows, write `suspects.csv` and `suspects.html` into the run's folder, print the first."""
    parser = Arguments(
        "suspects", "Rank a run's training rows by how far their target is from those of their neighbours."
    )
    parser.add_argument("run", help="folder of a finished run that predicts numbers; its table is read again")
    parser.add_argument("--rows", choices=("train", "all"), default="train", help="all: rank validation and test too")
    parser.add_argument("--top", type=int, default=40, help="rows that the page shows with their neighbours")
    found = parser.read(words)

    from isotone import api

    done = api.load(found.run)
    command = shlex.join(["isotone", "suspects", *words])
    frame = done.suspects(rows=found.rows, top=found.top, quiet=False, command=command)
    sys.stdout.write(table(frame) + f"\nall {len(frame)}: {done.folder / 'suspects.csv'}\n")
    sys.stdout.write(f"with pictures: {done.folder / 'suspects.html'}\n")
    return 0


def table(frame: "pd.DataFrame") -> str:
    """Return the first rows as text: file, each target with what the neighbours say, and the score.

    Args:
        frame: of `Run.suspects`.
    """
    names = [name.removeprefix("neighbours_") for name in frame.columns if name.startswith("neighbours_")]
    heads = [f"{name[:16]:>16} {'neighbours':>11}" for name in names]
    lines = [f"{'row':>7} {'file':40} {' '.join(heads)} {'score':>6}"]
    for row in frame.head(PRINTED).to_dict("records"):
        told = [
            f"{row[f'target_{name}' if f'target_{name}' in row else name]:16.5g} {row[f'neighbours_{name}']:11.5g}"
            for name in names
        ]
        lines.append(f"{row['row']:>7} {str(row['file'])[-40:]:40} {' '.join(told)} {row['score']:6.2f}")
    return "\n".join(lines)
