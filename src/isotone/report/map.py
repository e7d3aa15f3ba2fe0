"""The interactive map of the representation: one Bokeh plot a run, steered by plain controls of the page.

Python computes everything (positions, colours, texts, thumbnails); the page's script only swaps columns. The maps hold
no callback of Bokeh's, because those are compiled in the browser and would need `unsafe-eval`. No text of the user
enters a template: tooltips show columns, which Bokeh escapes.

Source: t-SNE by van der Maaten, Hinton 2008 (JMLR 9), as in scikit-learn; PCA by Pearson 1901.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float, Int

from isotone.report.contents import Side
from isotone.report.figures import decimals, fixed, spread
from isotone.report.map_colours import Choice, Layer, class_names, colour, guessed_names
from isotone.report.thumbnails import data_uris

MOST_POINTS = 1500  # of one map; two maps hold 900 each, to bound the time of t-SNE and the size of the page
MOST_POINTS_OF_TWO = 900
FEWEST_FOR_TSNE = 30
THUMB_BYTES = 1_800_000  # of all thumbnails together, of the 5 MB of a page

_EDGES = (44, 32, 24, 16)  # thumbnail edges in pixels, tried until the budget is met


@dataclass(frozen=True)
class Maps:
    """What the page needs to show the maps.

    Args:
        items: one JSON object a run, for `Bokeh.embed.embed_item`.
        thumbs: data URIs; the maps' column `tile` counts into them. Empty where the rows are not images.
        choices: ways to colour, the first one is shown first.
        projections: keys of the positions that every map has: `pca`, and `tsne` where there are rows enough.
        notes: one sentence a run on what is drawn.
    """

    items: tuple[dict[str, object], ...]
    thumbs: tuple[str, ...]
    choices: tuple[Choice, ...]
    projections: tuple[str, ...]
    notes: tuple[str, ...]


def embedding_maps(sides: Sequence[Side]) -> Maps:
    """Project each run's representation to two dimensions and colour it by what the run knows of its rows.

    Colours mean the same on all maps. At most 1,500 rows are drawn (900 each, of two runs), test rows first.

    Args:
        sides: one run or two.
    """
    most = MOST_POINTS if len(sides) == 1 else MOST_POINTS_OF_TWO
    layers = [Layer(shown_rows(side.run.points.split, most), side.run.points, {}) for side in sides]
    enough = all(len(layer.rows) >= FEWEST_FOR_TSNE for layer in layers)
    notes = [_place(layer, tsne=enough) for layer in layers]
    choices = colour(sides, layers)
    lines = _lines(sides)
    for layer in layers:
        layer.columns.update(_texts(layer, lines))
    thumbs = _tile(layers)
    height = 480 if len(sides) == 1 else 400
    items = [
        _plot(layer.columns, f"map-{i}", _tooltip(lines, layer, images=bool(thumbs)), height)
        for i, layer in enumerate(layers)
    ]
    return Maps(tuple(items), tuple(thumbs), tuple(choices), ("pca", "tsne")[: 1 + enough], tuple(notes))


def shown_rows(split: Sequence[str], most: int) -> Int[np.ndarray, " m"]:
    """Return at most `most` rows to draw, ascending: test rows first, then the others, evenly spread.

    Example:
        >>> shown_rows(["train", "test", "train", "train", "test"], 4).tolist()
        [0, 1, 3, 4]
    """
    tested = np.array([side == "test" for side in split])
    first, others = np.flatnonzero(tested), np.flatnonzero(~tested)
    first = first[spread(len(first), most)]
    room = most - len(first)
    return np.sort(np.concatenate([first, others[spread(len(others), room)] if room else others[:0]]))


def project(h: Float[np.ndarray, "n d"], *, tsne: bool) -> tuple[dict[str, Float[np.ndarray, "n 2"]], float]:
    """Return positions by name (`pca`, and `tsne` on request), and the share of the variance that PCA's two axes show.

    Deterministic: the same `h` gives the same positions.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    centred = h.astype(np.float64) - h.mean(0, dtype=np.float64)
    total = float((centred**2).sum())
    width = min(2, *h.shape)
    with threadpool_limits(1):  # the same on any number of cores, and not slowed by waiting for busy ones
        flat = PCA(width, svd_solver="full").fit_transform(centred) if total > 0 else np.zeros((len(h), width))
    flat = np.pad(flat, ((0, 0), (0, 2 - width)))
    places = {"pca": flat}
    if tsne:
        start = "pca" if width == 2 and total > 0 else "random"
        perplexity = min(30.0, (len(h) - 1) / 3)
        with threadpool_limits(1):
            model = TSNE(perplexity=perplexity, init=start, max_iter=500, random_state=0)
            places["tsne"] = model.fit_transform(centred.astype(np.float32))
    return places, float((flat**2).sum()) / total if total > 0 else 1.0


# ----------------------------------------------------------------------------------------------------------------------


def _place(layer: Layer, *, tsne: bool) -> str:
    places, share = project(layer.points.h[layer.rows], tsne=tsne)
    for name, xy in places.items():
        layer.columns[f"{name}_x"], layer.columns[f"{name}_y"] = xy.astype(np.float32).T.copy()
    layer.columns["x"], layer.columns["y"] = layer.columns["pca_x"], layer.columns["pca_y"]
    total, drawn = len(layer.points.index), len(layer.rows)
    rows = f"{drawn:,} rows" if drawn == total else f"{drawn:,} of {total:,} rows"
    return (
        f"{rows}; the two PCA axes show {100 * share:.0f} % of the variance of {layer.points.h.shape[1]:,} dimensions"
    )


def _picked(texts: tuple[str, ...] | None, rows: np.ndarray) -> list[str]:
    return [texts[i] for i in rows] if texts else [""] * len(rows)


def _lines(sides: Sequence[Side]) -> list[tuple[str, str]]:
    """Return what the tooltip says: words, and the column that stands beside them."""
    tasks = {side.run.task for side in sides}
    if tasks == {"numbers"}:
        return [("target", "truth"), ("prediction", "guess"), ("off by", "miss"), ("split", "split")]
    if tasks == {"classes"}:
        return [("class", "truth"), ("predicted", "guess"), ("split", "split")]
    known = all(side.run.points.category is not None for side in sides)
    return [("class", "truth")] * known + [("split", "split")]


def _texts(layer: Layer, lines: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    points, rows = layer.points, layer.rows
    texts = {name: _picked(getattr(points, name), rows) for name in ("label", "group", "split")}
    columns = {column for _, column in lines}
    if "miss" not in columns:
        named = {"truth": class_names, "guess": guessed_names}
        return texts | {name: _picked(of(points), rows) for name, of in named.items() if name in columns}
    digits = [decimals(float(size)) for size in np.nanstd(points.target, axis=0)]

    def numbers(values: np.ndarray) -> list[str]:
        return [", ".join(fixed(float(x), d) for x, d in zip(row, digits, strict=True)) for row in values[rows]]

    return texts | {
        "truth": numbers(points.target),
        "guess": numbers(points.prediction),
        "miss": numbers(points.prediction - points.target),
    }


def _tile(layers: Sequence[Layer]) -> list[str]:
    """Give every row its thumbnail; two runs on the same images share them."""
    stacks = [layer.points.thumb for layer in layers if layer.points.thumb is not None]
    if len(stacks) < len(layers):
        return []
    place: dict[bytes, int] = {}
    images: list[np.ndarray] = []
    for layer, pixels in zip(layers, stacks, strict=True):
        keys = [bytes(pixels[i]) for i in layer.rows]
        for i, key in zip(layer.rows, keys, strict=True):
            if key not in place:
                place[key] = len(images)
                images.append(pixels[i])
        layer.columns["tile"] = np.array([place[key] for key in keys], dtype=np.int32)
    return data_uris(np.stack(images), _EDGES, THUMB_BYTES) if len({i.shape for i in images}) == 1 else []


def _plot(columns: dict[str, np.ndarray | list[str]], target: str, tips: str, height: int) -> dict[str, object]:
    from bokeh.core.types import ID
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, HoverTool
    from bokeh.plotting import figure

    source = ColumnDataSource(name=f"points-{target}")
    for name, values in columns.items():
        source.add(cast(Sequence[object], values), name)
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="pan,box_zoom,wheel_zoom,reset", active_drag=None,
        toolbar_location="below", match_aspect=True, x_axis_location=None, y_axis_location=None,
        background_fill_alpha=0, border_fill_alpha=0, outline_line_color=None, min_border=4,
    )  # fmt: skip
    plot.toolbar.logo = None
    plot.grid.visible = False
    glyphs = plot.scatter(
        "x", "y", source=source, size=8, marker="marker", fill_color="color", fill_alpha=0.85, line_color=None,
        hover_line_color="#808080", hover_fill_color="color", hover_fill_alpha=1.0,
    )  # fmt: skip
    plot.add_tools(HoverTool(renderers=[glyphs], tooltips=tips, limit=1, point_policy="snap_to_data"))
    return _numbered(cast(dict[str, object], json_item(plot, ID(target))))


def _tooltip(lines: Sequence[tuple[str, str]], layer: Layer, *, images: bool) -> str:
    """A fixed template: `@column` is filled in by Bokeh, which escapes it."""
    grouped = [("group", "group")] if any(layer.columns["group"]) else []
    cells = "".join(
        f'<tr><td style="color:#666;padding-right:10px">{name}</td><td>@{column}</td></tr>'
        for name, column in [*lines, *grouped]
    )
    image = '<img src="@thumb" alt="" width="72" style="display:block;image-rendering:pixelated">' if images else ""
    return (
        '<div style="display:flex;align-items:flex-start;gap:10px;font:13px/1.35 system-ui,sans-serif;'
        'color:#1c1d1f;max-width:300px">'
        f'{image}<div><b style="unicode-bidi:isolate;overflow-wrap:anywhere">@label</b><table style="border-spacing:0">'
        f"{cells}</table></div></div>"
    )


def _numbered(item: dict[str, object]) -> dict[str, object]:
    """Count Bokeh's ids from 1 in each map, so that a report does not depend on what was drawn before it."""
    ids: dict[str, str] = {}

    def walk(part: object) -> object:
        if isinstance(part, dict):
            return {
                key: ids.setdefault(value, f"{item['target_id']}-{len(ids)}") if key == "id" else walk(value)
                for key, value in part.items()
            }
        return [walk(entry) for entry in part] if isinstance(part, list) else part

    doc = walk(item["doc"])
    return item | {"doc": doc, "root_id": ids[str(item["root_id"])]}
