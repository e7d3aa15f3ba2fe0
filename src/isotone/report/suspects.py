"""The page and the table of suspects: rows whose target disagrees with their neighbours, beside these neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isotone.data.spreadsheet import neutral
from isotone.evaluate.suspects import Suspects
from isotone.records import Dataset
from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.figures import decimals, fixed
from isotone.report.thumbnails import data_uri
from isotone.report.values import text
from isotone.report.writing import write_page

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
else:
    Figure = object

CLEAR = 2.5  # a score from which a row is called a clear suspect: on HC18 with planted targets 19 of 20 are wrong there
MOST_DOTS = 4000  # in the figure; the suspects are drawn in any case
_ROW_EDGE, _NEAR_EDGE = 112, 72  # pixels


@dataclass(frozen=True)
class Near:
    """A neighbour as the page shows it."""

    picture: str | None
    label: str
    target: str


@dataclass(frozen=True)
class Shown:
    """A suspect as the page shows it: texts, its picture (a data URI) and its neighbours."""

    place: int
    label: str
    row: str
    group: str | None
    picture: str | None
    lines: tuple[tuple[str, str, str], ...]  # of each target: name, as labelled, what the neighbours say
    score: str
    clear: bool
    near: tuple[Near, ...]


def suspects_table(dataset: Dataset, found: Suspects) -> "pd.DataFrame":
    """Return the ranked rows: where they are, each target with what the neighbours say, and the score.

    Columns: `row` (line of the table, or index of the array), `file`, `split`, `group` where there is one, for each
    target its own name, `neighbours_NAME` and `disagreement_NAME` (both in the user's units), `score` and `nearest`.
    """
    import pandas as pd

    i = found.index
    frame = pd.DataFrame({"row": dataset.row[i], "file": [neutral(x) for x in dataset.label[i]]})
    frame["split"] = dataset.split[i]
    if dataset.group is not None:
        frame["group"] = [neutral(x) for x in dataset.group[i]]
    for column, name in enumerate(dataset.target_names):
        y, said = dataset.target[i, column], found.said[:, column]
        own = f"target_{name}" if name in frame.columns or name in ("score", "nearest") else name
        frame[neutral(own)] = y
        frame[neutral(f"neighbours_{name}")] = said
        frame[neutral(f"disagreement_{name}")] = np.abs(y - said)
    frame["score"] = found.score
    frame["nearest"] = [neutral("; ".join(map(str, dataset.label[near]))) for near in found.near]
    return frame


def write_suspects(folder: Path, dataset: Dataset, found: Suspects, *, command: str, top: int = 40) -> "pd.DataFrame":
    """Write `suspects.csv` and `suspects.html` into a run's folder, each whole or not at all, and return the table.

    Args:
        folder: of the run.
        dataset: of the rows.
        found: the suspects; all are in the figure.
        command: that makes it again.
        top: rows that are shown with their neighbours.

    Raises:
        CheckpointError: the disk does not take it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("isotone.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    css = resources.files("isotone.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    page = environment.get_template("suspects.html.j2").render(
        name=text(dataset.name),
        targets=[text(name) for name in dataset.target_names],
        answer=answer(dataset, found),
        held=bool(np.isin(dataset.split[found.index], ("val", "test")).any()),
        images=dataset.kind == "image",
        total=len(found.index),
        figures=[suspects_figure(dataset, found, column) for column in range(len(dataset.target_names))],
        shown=[_shown(dataset, found, place) for place in range(min(top, len(found.index)))],
        group=None if dataset.group_name is None else text(dataset.group_name),
        command=command,
        css=Markup(css),  # noqa: S704 - our own file
        svg=lambda drawn: Markup(drawn.svg),  # noqa: S704 - Matplotlib has escaped its texts
    )
    frame = suspects_table(dataset, found)
    write_page(folder / "suspects.csv", frame.to_csv(index=False))
    write_page(folder / "suspects.html", page)
    return frame


def answer(dataset: Dataset, found: Suspects) -> str:
    """Return in one sentence how many rows are clear suspects."""
    clear, total = int((found.score >= CLEAR).sum()), len(found.index)
    which = "training rows" if set(dataset.split[found.index]) == {"train"} else "rows"
    if not clear:
        return f"No target of the {total:,} {which} clearly disagrees with its neighbours."
    number = "1 target" if clear == 1 else f"{clear:,} targets"
    verb = "disagrees with its" if clear == 1 else "disagree with their"
    return f"{number} of the {total:,} {which} clearly {verb} neighbours: look at these first."


def suspects_figure(dataset: Dataset, found: Suspects, column: int) -> Picture:
    """Draw what the neighbours say against the target, the clear suspects in another colour.

    Args:
        dataset: of the rows.
        found: the suspects.
        column: of the target.
    """
    y, said = dataset.target[found.index, column], found.said[:, column]
    clear = found.score >= CLEAR
    plain = np.flatnonzero(~clear)[:: max(1, len(y) // MOST_DOTS)]
    name = text(dataset.target_names[column], 40)
    alt = (
        f"What the neighbours say against the target {name}: {int(clear.sum())} of {len(y)} rows lie far off the line."
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = [float(min(y.min(), said.min())), float(max(y.max(), said.max()))]
        axes.plot(ends, ends, linestyle="--", linewidth=1, color=COLOUR["muted"])
        axes.scatter(y[plain], said[plain], s=9, linewidths=0, alpha=0.55, color=COLOUR["neutral"], label="other rows")
        axes.scatter(y[clear], said[clear], s=20, linewidths=0, color=COLOUR["against"], label="clear suspects")
        axes.set_xlabel(f"{name}, as labelled")
        axes.set_ylabel("what the neighbours say")
        axes.legend(frameon=False, labelcolor=COLOUR["ink"])

    return picture(draw, 4.2, alt, f"suspects{column}")


# ----------------------------------------------------------------------------------------------------------------------


def _shown(dataset: Dataset, found: Suspects, place: int) -> Shown:
    i = int(found.index[place])
    digits = _digits(dataset)
    lines = tuple(
        (text(name), fixed(float(y), d), fixed(float(said), d))
        for name, y, said, d in zip(dataset.target_names, dataset.target[i], found.said[place], digits, strict=True)
    )
    return Shown(
        place=place + 1,
        label=text(dataset.label[i]),
        row=f"row {dataset.row[i]}" + ("" if dataset.split[i] == "train" else f", {dataset.split[i]}"),
        group=None if dataset.group is None else text(dataset.group[i]),
        picture=_picture(dataset, i, _ROW_EDGE),
        lines=lines,
        score=fixed(float(found.score[place]), 1),
        clear=bool(found.score[place] >= CLEAR),
        near=tuple(
            Near(
                _picture(dataset, int(j), _NEAR_EDGE),
                text(str(dataset.label[j]).replace("\\", "/").rsplit("/", 1)[-1]),  # the folder would fill the page
                ", ".join(fixed(float(y), d) for y, d in zip(dataset.target[j], digits, strict=True)),
            )
            for j in found.near[place]
        ),
    )


def _digits(dataset: Dataset) -> Sequence[int]:
    return [decimals(float(np.nanstd(column))) for column in dataset.target.T]


def _picture(dataset: Dataset, i: int, edge: int) -> str | None:
    if dataset.kind != "image":
        return None
    image = np.asarray(dataset.inputs[i])
    return data_uri(image if image.shape[-1] in (1, 3) else image[..., :3], edge)
