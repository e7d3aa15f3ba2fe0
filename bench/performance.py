"""Draw `docs/performance.png` and write the tables of `docs/performance.md` from `bench/losses.csv`.

A GPU's rows give `docs/performance-cuda.png` and tables of their own. The text around the tables is written by hand.

    python bench/performance.py
"""

import csv
import sys
from itertools import groupby
from pathlib import Path

from bars import Row, bars
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
ROWS, PAGE = ROOT / "bench" / "losses.csv", ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- written by bench/performance.py -->", "<!-- end -->"
WIDTH = "512"
PANELS = {
    "RnC": ("rnc-ages", "rnc-continuous"),
    "SupCon": ("supcon",),
    "InfoNCE": ("info_nce",),
    "triplet": ("triplet",),
}
LOOKS = {  # colours that stay apart for the colour-blind (Okabe and Ito)
    "isotone": {"color": "#0072b2", "linewidth": 2.2, "marker": "o", "zorder": 3},
    "plain torch": {"color": "#444444", "marker": "s"},
    "pytorch-metric-learning": {"color": "#d55e00", "marker": "^"},
    "lightly": {"color": "#009e73", "marker": "D"},
    "published": {"color": "#cc79a7", "marker": "v"},
}
MEASURES = {"ms": "forward + backward, ms", "peak_mb": "peak memory, MiB"}


def draw(rows: list[Row], out: Path) -> None:
    """Write the curves of one device: time above, memory below, a column for each loss, both axes in powers."""
    figure = Figure(figsize=(12.0, 6.2), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(PANELS), sharex=True, sharey="row")
    for column, (title, losses) in enumerate(PANELS.items()):
        axes[0, column].set_title(title, fontsize=12)
        for axis, measure in zip(axes[:, column], MEASURES, strict=True):
            _panel(axis, [row for row in rows if row["loss"] in losses], measure)
            if title == "RnC":  # what a batch costs most people today
                plain = [row for row in rows if row["loss"] == "info_nce" and row["variant"] == "plain torch"]
                _line(axis, plain, measure, "plain torch's InfoNCE", {**LOOKS["plain torch"], "linestyle": ":"})
            _grey(axis, rows, measure)
        axes[1, column].set_xlabel("rows N")
    for axis, text in zip(axes[:, 0], MEASURES.values(), strict=True):
        axis.set_ylabel(text)
    lines = {line.get_label(): line for axis in axes.flat for line in axis.get_lines() if line.get_label()[0] != "_"}
    figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=5, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.savefig(out, facecolor="white")


def tables(rows: list[Row]) -> str:
    """Return the Markdown of one device: what was measured where, a table for each loss, and the bars."""
    first = rows[0]
    versions = sorted({f"{row['variant']} {row['version']}" for row in rows if row["version"]})
    peers = ", ".join(versions)
    text = f"### {first['machine']}, {first['threads']} threads, {first['dtype']}\n\n{first['date']}, D = {WIDTH}, "
    text += f"torch {first['torch']}, {peers}.\n\n"
    products = {row["n"]: row["ms"] for row in rows if row["loss"] == "three products"}
    for loss in dict.fromkeys(loss for losses in PANELS.values() for loss in losses):
        own = [row for row in rows if row["loss"] == loss and row["d"] == WIDTH]
        if own:
            text += _table(loss, own, products)
    narrow = [f"{row['loss']} {_short(row['peak_mb'])} MiB" for row in rows if row["d"] != WIDTH]
    if narrow:
        row = next(row for row in rows if row["d"] != WIDTH)
        text += f"Peak at N = {int(row['n']):,}, D = {row['d']}: {', '.join(narrow)}.\n\n"
    found = bars(rows)
    text += "| bar | found | limit | |\n|---|---|---|---|\n" if found else ""
    for bar in found:
        side = "at least" if bar.at_least else "at most"
        text += f"| {bar.what} | {bar.found:.3g} | {side} {bar.limit:g} | {'holds' if bar.holds else '**missed**'} |\n"
    return text


def main() -> None:
    """Draw and write."""
    with ROWS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = ""
    for (device, dtype), group in groupby(rows, key=lambda row: (row["device"], row["dtype"])):
        own = list(group)
        written += "\n" + tables(own)
        if dtype == "float32":
            draw(own, ROOT / "docs" / ("performance.png" if device == "cpu" else f"performance-{device}.png"))
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{written}\n{END}{rest.split(END)[1]}")
    sys.stdout.write(f"{PAGE}\n")


# ----------------------------------------------------------------------------------------------------------------------


def _panel(axis: Axes, rows: list[Row], measure: str) -> None:
    """Draw a line for each variant of each loss; RnC's continuous targets are dashed."""
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    axis.grid(color="#e6e6e6", linewidth=0.7)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for (loss, variant), group in groupby(_by_variant(rows), key=lambda row: (row["loss"], row["variant"])):
        dashed = loss == "rnc-continuous"
        label = variant + (", continuous targets" if dashed else "")
        _line(axis, list(group), measure, label, {**LOOKS[variant], "linestyle": "--" if dashed else "-"})


def _line(axis: Axes, rows: list[Row], measure: str, label: str, look: dict[str, object]) -> None:
    found = [(int(row["n"]), float(row[measure])) for row in rows if row[measure] and row["d"] == WIDTH]
    points = [(n, value) for n, value in found if value > 0]
    if points:
        axis.plot(*zip(*points, strict=True), label=label, markersize=4, **look)


def _grey(axis: Axes, rows: list[Row], measure: str) -> None:
    """Draw what to compare with: three matrix products for the time, one N x N matrix for the memory."""
    found = sorted((int(row["n"]), row["ms"]) for row in rows if row["loss"] == "three products")
    if measure == "ms":
        points, label = [(n, float(ms)) for n, ms in found], "three N x N x D products"
    else:
        points, label = [(n, 4 * n * n / 2**20) for n, _ in found], "one N x N matrix of float32"
    look = {"color": "#aaaaaa", "linewidth": 1.4, "linestyle": "-" if measure == "ms" else ":", "zorder": 1}
    axis.plot(*zip(*points, strict=True), label=label, **look)


def _by_variant(rows: list[Row]) -> list[Row]:
    """Return the rows sorted by loss, variant and size."""
    return sorted(rows, key=lambda row: (row["loss"], list(LOOKS).index(row["variant"]), int(row["n"])))


def _table(loss: str, rows: list[Row], products: dict[str, str]) -> str:
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    text = f"| {loss}, N | three products | {' | '.join(variants)} |\n|---|---|{'---|' * len(variants)}\n"
    for n in dict.fromkeys(row["n"] for row in rows):
        cells = {row["variant"]: _cell(row) for row in rows if row["n"] == n}
        text += f"| {int(n):,} | {_short(products[n])} ms | {' | '.join(cells[v] for v in variants)} |\n"
    return text + "\n"


def _cell(row: Row) -> str:
    if not row["ms"]:
        return row["note"].removeprefix("left out: ").split(" at N = ")[0]
    return f"{_short(row['ms'])} ms, {_short(row['times_products'])}x, {_short(row['peak_mb'])} MiB"


def _short(number: str) -> str:
    value = float(number)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
