"""Put everything on one offline page: the words and tables here, the pictures from `figures` and `map`.

The page is safe by construction: Jinja2 escapes every text, JSON stands in data blocks with `<`, `>` and `&` written as
escapes, and a Content-Security-Policy names the hash of each script of ours and forbids all other scripts and every
remote address. Styles must be allowed inline, because Bokeh and the figures carry theirs in the elements.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from isotone.errors import CheckpointError
from isotone.report.collect import collect
from isotone.report.contents import Run, Side
from isotone.report.figures import (
    bin_figure,
    curve_figure,
    decimals,
    fixed,
    group_figure,
    scatter_figure,
    short_number,
)
from isotone.report.headline import Verdict, judged_split, name_sides, same_data, target_scores, verdict
from isotone.report.map import embedding_maps
from isotone.report.thumbnails import data_uri

WORST = 12
MOST_VIEWS = 8  # sampled rows, with up to MOST_COPIES views of each
MOST_COPIES = 4
STATISTICS = ("min", "median", "mean", "max", "std")
_WORST_EDGE = 96
_VIEW_EDGE = 80
_ORDER = (
    ("Spearman", "spearman", "Rank correlation between distances in the representation and distances of the targets; "
     "1 is the same order everywhere, 0 is none."),
    ("Kendall", "kendall", "Of two pairs of rows, how much more often the pair further apart in target is also further "
     "apart in the representation than closer; 1 is always, 0 is chance."),
    ("Ordered triples", "ordered_triples", "For a row and two others, how often the one nearer in target is also "
     "nearer in the representation; 1 is always, 0.5 is chance."),
)  # fmt: skip


@dataclass(frozen=True)
class Card:
    """A row of the data shown by itself: its pictures (data URIs, perhaps none), its label and lines below it."""

    pictures: tuple[str, ...]
    label: str
    lines: tuple[str, ...]


def write_report(run: Path, against: Path | None = None) -> Path:
    """Write `report.html` into a finished run: one offline page that shows what was learnt and how far to trust it.

    Args:
        run: a finished run folder; only it and `against` are read.
        against: a second finished run to stand beside the first, usually the baseline's.

    Returns:
        the path of the page; an older page is replaced in one step, so that a reader never sees half of one.

    Raises:
        ConfigError: one of the folders is not a finished run, or one of its files is damaged.
        CheckpointError: the page cannot be written into the folder.
    """
    sides = name_sides(collect(run), None if against is None else collect(against))
    path = run / "report.html"
    _write(path, render(sides))
    return path


def render(sides: Sequence[Side]) -> str:
    """Return the whole page as text; the last side is the run that the report is about."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from jinja2.utils import htmlsafe_json_dumps
    from markupsafe import Markup

    maps = embedding_maps(sides)
    scripts = [_script(_bokeh()), _script(_file("report.js"))]
    environment = Environment(
        loader=PackageLoader("isotone.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = short_number
    return environment.get_template("report.html.j2").render(
        sides=sides,
        run=sides[-1].run,
        side=sides[-1],
        split=judged_split(sides[-1].run),
        verdict=verdict(sides),
        notes=_notes(sides),
        targets=[target_scores(sides, j) for j in range(len(sides[-1].run.data.target_names))],
        order=_order(sides),
        maps=maps,
        map_json=htmlsafe_json_dumps({"items": maps.items, "thumbs": maps.thumbs}),
        **_pictures(sides),
        worst=_worst(sides),
        views=_views(sides[-1].run),
        leakage=_leakage(sides[-1].run),
        statistics=_statistics(sides[-1].run),
        settings=_settings(sides),
        differing=_differing(sides),
        css=Markup(_file("report.css")),  # noqa: S704 - our own file
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - Bokeh's and our own files
        script_hashes=" ".join(f"'sha256-{_sha256(text)}'" for text in scripts),
        svg=lambda picture: Markup(picture.svg),  # noqa: S704 - Matplotlib has escaped its texts
    )


# ----------------------------------------------------------------------------------------------------------------------


def _write(path: Path, text: str) -> None:
    """Write beside the target, then rename: the page is whole or not there."""
    beside = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CheckpointError(
            f"The report cannot be written to {path}: {error.strerror}. Make room or make the folder writable, "
            "then run `isotone report` again."
        ) from error


def _file(name: str) -> str:
    return resources.files("isotone.report").joinpath("templates", name).read_text(encoding="utf-8")


def _bokeh() -> str:
    """Return BokehJS without its widgets: about 1.3 MB."""
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"], log_level="error").js_raw[0]


def _script(text: str) -> str:
    """Refuse a script that would end its own element; ours and Bokeh's never do."""
    if "</script" in text.lower() or "<!--" in text:
        raise RuntimeError("a script of the report holds '</script' or '<!--' and cannot stand in a page")
    return text.replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads it, so that the hash holds


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _notes(sides: Sequence[Side]) -> list[str]:
    notes: list[str] = []
    if judged_split(sides[-1].run) != "test":
        notes.append(
            "There are no test rows: the errors are those of the validation rows, which also picked the epoch."
        )
    if len(sides) == 2 and not same_data(sides):
        notes.append("The two runs used different data or splits: read each by itself.")
    return notes


def _order(sides: Sequence[Side]) -> list[tuple[str, str, list[str]]]:
    orders = [side.run.order for side in sides]
    if not any(orders):
        return []
    return [
        (title, explained, [fixed(getattr(order, name), 3) if order else "n/a" for order in orders])
        for title, name, explained in _ORDER
    ]


def _pictures(sides: Sequence[Side]) -> dict[str, Sequence[object]]:
    """Draw what there is to draw; a list without pictures leaves its section out."""
    split, names = judged_split(sides[-1].run), sides[-1].run.data.target_names
    alike = [side for side in sides if side.run.data.target_names == names and split in side.run.points.split]
    same_bins = len({tuple((b.low, b.high) for b in side.run.bins) for side in sides}) == 1
    binned = [list(sides)] if same_bins else [[side] for side in sides]
    return {
        "scatters": [(side, scatter_figure(side, j, alike, split)) for j in range(len(names)) for side in alike],
        "bins": [bin_figure(group) for group in binned if group[0].run.bins],
        "groups": [group_figure([side for side in sides if side.run.groups])] if sides[-1].run.groups else [],
        "curves": [(side, curve_figure(side)) for side in sides if side.run.log],
    }


def _worst(sides: Sequence[Side]) -> list[Card]:
    """The rows that the run predicts worst, by the first target, with the other run's prediction of them."""
    points, split = sides[-1].run.points, judged_split(sides[-1].run)
    rows = np.flatnonzero(np.array([side == split for side in points.split], dtype=bool))
    miss = np.nan_to_num(np.abs(points.prediction - points.target)[rows, 0])
    others = [(side.name, _predictions(side.run)) for side in sides[:-1] if same_data(sides)]
    digits = decimals(float(points.target[:, 0].std()))
    cards: list[Card] = []
    for i in rows[np.argsort(-miss, kind="stable")[:WORST]]:
        lines = [f"target {fixed(points.target[i, 0], digits)}", f"predicted {fixed(points.prediction[i, 0], digits)}"]
        lines += [f"{name} {fixed(of[int(points.index[i])], digits)}" for name, of in others if points.index[i] in of]
        picture = () if points.thumb is None else (data_uri(points.thumb[i], _WORST_EDGE),)
        cards.append(Card(picture, points.label[i], tuple(lines)))
    return cards


def _predictions(run: Run) -> dict[int, float]:
    return {int(i): float(p) for i, p in zip(run.points.index, run.points.prediction[:, 0], strict=True)}


def _views(run: Run) -> list[Card]:
    if run.views is None:
        return []
    digits = [decimals(float(size)) for size in run.points.target.std(0)]
    return [
        Card(
            tuple(data_uri(image, _VIEW_EDGE) for image in run.views.image[i][:MOST_COPIES]),
            run.views.label[i],
            ("target " + ", ".join(fixed(y, d) for y, d in zip(run.views.target[i], digits, strict=False)),),
        )
        for i in range(min(len(run.views.label), MOST_VIEWS))
    ]


def _leakage(run: Run) -> Verdict:
    data = run.data
    if data.group_name is None or data.shared_groups is None:
        return Verdict(
            "No group column was named, so it is not known whether test rows resemble training rows.", "open"
        )
    tested = (data.groups or {}).get("test", 0)
    if not data.shared_groups:
        return Verdict(f"None of the {tested:,} test groups ({data.group_name}) was seen in training.", "better")
    return Verdict(
        f"{data.shared_groups:,} of the {tested:,} test groups ({data.group_name}) were also seen in training: "
        "expect larger errors on groups that are new.",
        "worse",
    )


def _statistics(run: Run) -> list[tuple[str, list[str]]]:
    """The statistics of each target, with the decimals that its spread deserves."""
    nan = float("nan")
    return [
        (name, [fixed(row.get(key, nan), decimals(row.get("std", nan))) for key in STATISTICS])
        for name, row in run.data.statistics.items()
    ]


def _settings(sides: Sequence[Side]) -> list[tuple[str, list[str]]]:
    keys = dict.fromkeys(key for side in reversed(sides) for key in side.run.config)
    return [(key, [side.run.config.get(key, "not set") for side in sides]) for key in keys]


def _differing(sides: Sequence[Side]) -> list[str]:
    return [key for key, values in _settings(sides) if len(set(values)) > 1]
