"""The headline of runs without labels: what was learnt, how healthy it looks, and how to find out what it holds."""

import math
from collections.abc import Sequence

from isotone.report.contents import Run, Side
from isotone.report.figures import short_number, watched
from isotone.report.headline import Verdict


def unlabelled_verdict(sides: Sequence[Side]) -> Verdict:
    """Say what was learnt without labels; there is no error to judge it by, and the sentence says so."""
    side = sides[-1]
    width, rows = side.run.points.h.shape[1], side.run.data.counts["train"]
    if len(sides) == 2:
        return Verdict(
            f"Neither {side.name} nor {sides[0].name} predicts anything, so only probes can compare them.", "open"
        )
    return Verdict(
        f"{side.name} learnt {width:,} numbers for each row from {rows:,} training rows without labels. It predicts "
        "nothing yet: a probe tells what these numbers hold.",
        "open",
    )


def health(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    """Return what was watched in training at its last reading: words, and one number a run."""
    names = dict.fromkeys(name for side in sides for epoch in side.run.log for name in epoch.watch)
    alike = len({side.run.points.h.shape[1] for side in sides}) == 1
    return [
        (watched(name, sides[-1].run) if alike else name.replace("_", " "), [_last(side.run, name) for side in sides])
        for name in names
    ]


def probe_command(run: Run) -> str:
    """Return the command that probes a run.

    COLUMN is for the reader to fill in; a folder's name with a space is quoted as shells want it.
    """
    import shlex

    return f"isotone evaluate {shlex.quote(str(run.folder))} --probe linear,knn --category COLUMN"


# ----------------------------------------------------------------------------------------------------------------------


def _last(run: Run, name: str) -> str:
    found = [epoch.watch.get(name, math.nan) for epoch in run.log]
    return short_number(next((x for x in reversed(found) if math.isfinite(x)), None))
