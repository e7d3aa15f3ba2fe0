"""Put everything on one offline page: the words and tables here, the pictures from `figures` and `map`.

The page is safe by construction: Jinja2 escapes every text, JSON stands in data blocks with `<`, `>` and `&` written as
escapes, and a Content-Security-Policy names the hash of each script of ours and forbids all other scripts and every
remote address. Styles must be allowed inline, because Bokeh and the figures carry theirs in the elements.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from isotone.report.cards import view_cards, worst_cards
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
    watch_figure,
)
from isotone.report.figures_classes import (
    MOST_CLASSES,
    class_group_figure,
    confusion_figure,
    mistakes,
    recall_figure,
    shown_classes,
)
from isotone.report.headline import Target, Verdict, judged_split, name_sides, same_data, target_scores, verdict
from isotone.report.headline_classes import class_scores, class_verdict
from isotone.report.headline_unlabelled import health, probe_command, unlabelled_verdict
from isotone.report.intervals import covered_groups, interval_lines, made_of
from isotone.report.map import embedding_maps
from isotone.report.probes import probe_lines, probe_notes, stage_figures
from isotone.report.writing import write_page

MOST_COUNTED = 40  # classes in the table of rows by class
STATISTICS = ("min", "median", "mean", "max", "std")
_ORDER = (
    ("Spearman", "spearman", "Rank correlation between distances in the representation and distances of the targets; "
     "1 is the same order everywhere, 0 is none."),
    ("Kendall", "kendall", "Of two pairs of rows, how much more often the pair further apart in target is also further "
     "apart in the representation than closer; 1 is always, 0 is chance."),
    ("Ordered triples", "ordered_triples", "For a row and two others, how often the one nearer in target is also "
     "nearer in the representation; 1 is always, 0.5 is chance."),
)  # fmt: skip


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
    write_page(path, render(sides))
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
        verdict=_verdict(sides),
        notes=_notes(sides),
        targets=_targets(sides),
        health=health(sides) if sides[-1].run.task == "none" else [],
        probe_command=probe_command(sides[-1].run),
        probes=probe_lines(sides),
        probe_notes=probe_notes(sides),
        stages=stage_figures(sides),
        intervals=interval_lines(sides),
        covered=covered_groups(sides[-1]),
        made_of=made_of(sides[-1]),
        order=_order(sides),
        maps=maps,
        map_json=htmlsafe_json_dumps({"items": maps.items, "thumbs": maps.thumbs}),
        **_pictures(sides),
        mistakes=mistakes(sides[-1]),
        worst=worst_cards(sides),
        views=view_cards(sides[-1].run),
        unlabelled=sides[-1].run.task != "none"
        and sides[-1].run.data.labelled not in (None, sides[-1].run.data.counts),
        counted=_counted(sides[-1].run),
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


def _verdict(sides: Sequence[Side]) -> Verdict:
    tasks = {side.run.task for side in sides}
    if len(tasks) > 1:
        return Verdict("The two runs do different things, so they cannot be compared: read each by itself.", "open")
    return {"numbers": verdict, "classes": class_verdict, "none": unlabelled_verdict}[tasks.pop()](sides)


def _targets(sides: Sequence[Side]) -> list[Target]:
    run = sides[-1].run
    if run.task == "numbers":
        return [target_scores(sides, j) for j in range(len(run.data.target_names))]
    return [class_scores(sides)] if run.task == "classes" else []


def _notes(sides: Sequence[Side]) -> list[str]:
    notes: list[str] = []
    what = {"numbers": "the errors are those", "classes": "the accuracy is that"}.get(sides[-1].run.task)
    if what and judged_split(sides[-1].run) != "test":
        notes.append(f"There are no test rows: {what} of the validation rows, which also picked the epoch.")
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


def _pictures(sides: Sequence[Side]) -> Mapping[str, object]:
    """Draw what there is to draw; a list without pictures leaves its section out."""
    curves = [(side, curve_figure(side)) for side in sides if side.run.log]
    curves += [(side, found) for side in sides if (found := watch_figure(side))]
    if sides[-1].run.task != "numbers":
        return {"curves": curves, **_class_pictures(sides)}
    split, names = judged_split(sides[-1].run), sides[-1].run.data.target_names
    alike = [side for side in sides if side.run.data.target_names == names and split in side.run.points.split]
    same_bins = len({tuple((b.low, b.high) for b in side.run.bins) for side in sides}) == 1
    binned = [list(sides)] if same_bins else [[side] for side in sides]
    return {
        "scatters": [(side, scatter_figure(side, j, alike, split)) for j in range(len(names)) for side in alike],
        "bins": [bin_figure(group) for group in binned if group[0].run.bins],
        "groups": [group_figure([side for side in sides if side.run.groups])] if sides[-1].run.groups else [],
        "confusions": [],
        "recalls": [],
        "cut": 0,
        "unbarred": 0,
        "curves": curves,
    }


def _class_pictures(sides: Sequence[Side]) -> Mapping[str, object]:
    confusions = [(side, confusion_figure(side)) for side in sides]
    recall, group = recall_figure(sides), class_group_figure(sides)
    classes = sides[-1].run.classes
    table = None if classes is None else classes.confusion
    return {
        "scatters": [],
        "bins": [],
        "groups": [group] if group else [],
        "confusions": [(side, found) for side, found in confusions if found],
        "recalls": [recall] if recall else [],
        "unbarred": max(0, len(classes.rows) - MOST_CLASSES) if classes else 0,
        "cut": 0 if table is None or len(shown_classes(table)) == len(table) else len(shown_classes(table)),
    }


def _counted(run: Run) -> tuple[list[tuple[str, list[int]]], int]:
    """Return how many rows of the most frequent classes are on each side, and how many other classes there are."""
    counts = sorted(run.data.classes.items(), key=lambda item: (-item[1]["train"], item[0]))
    rows = [(name, list(row.values())) for name, row in counts]
    return rows[:MOST_COUNTED], max(0, len(rows) - MOST_COUNTED)


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
        f"expect {'more' if run.task == 'classes' else 'larger'} errors on groups that are new.",
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
