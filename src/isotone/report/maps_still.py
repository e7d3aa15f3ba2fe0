"""Still maps of representations side by side: each method's test rows, coloured by the target and by a nuisance.

Source: t-SNE by van der Maaten, Hinton 2008 (JMLR 9), as the report's interactive map draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

from isotone.report.drawing import Picture, picture
from isotone.report.figures import spread
from isotone.report.map import FEWEST_FOR_TSNE, project
from isotone.report.values import shortened

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
else:
    Figure = PathCollection = object  # loaded when something is drawn; the names must exist for run-time checks

MOST_POINTS = 700
MOST_NAMES = 10  # colours that can be told apart
_COLOURS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
    "#17becf",
)


@dataclass(frozen=True, eq=False)
class Scatter:
    """The representation of one method: `h` (n, d), target (n,), and the nuisance (n,) as text, or None."""

    name: str
    h: Float[np.ndarray, "n d"]
    target: Float[np.ndarray, " n"]
    nuisance: Shaped[np.ndarray, " n"] | None


def still_maps(maps: Sequence[Scatter], target: str, nuisance: str) -> Picture:
    """Draw a column for each method: its map coloured by the target, and below it by the nuisance.

    Args:
        maps: of the same rows; at most 700 of them are drawn.
        target: its name.
        nuisance: its name; the ten most frequent values have colours.
    """
    kept = spread(len(maps[0].target), MOST_POINTS)
    tsne = len(kept) >= FEWEST_FOR_TSNE
    places = [project(one.h[kept], tsne=tsne)[0]["tsne" if tsne else "pca"] for one in maps]
    coloured = maps[0].nuisance is not None
    names, code = _codes(maps[0].nuisance[kept]) if maps[0].nuisance is not None else ([], np.zeros(0, int))
    method = "t-SNE" if tsne else "PCA"
    told = f", and by {nuisance} ({', '.join(names)})" if coloured else ""
    methods = ", ".join(one.name for one in maps)
    alt = f"{method} of the test rows' representation of {methods}, coloured by {target}{told}."

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1 + coloured, len(maps), squeeze=False)
        shown: list[PathCollection] = []
        for column, (one, xy) in enumerate(zip(maps, places, strict=True)):
            top = axes[0, column]
            top.set_title(shortened(one.name, 24))
            shown.append(top.scatter(xy[:, 0], xy[:, 1], c=one.target[kept], s=9, cmap="viridis", linewidths=0))
            if coloured:
                colours = [_COLOURS[c] if c < MOST_NAMES else "#c8c8c8" for c in code]
                axes[1, column].scatter(xy[:, 0], xy[:, 1], c=colours, s=9, linewidths=0)
        for one in axes.flat:
            one.set_xticks([])
            one.set_yticks([])
            one.grid(visible=False)
        bar = figure.colorbar(shown[-1], ax=axes[0, :].tolist(), shrink=0.9)
        bar.set_label(shortened(target, 24))
        if coloured:
            axes[1, 0].set_ylabel(f"by {shortened(nuisance, 20)}")

    return picture(draw, 2.6 * (1 + coloured), alt, "maps" + target)


# ----------------------------------------------------------------------------------------------------------------------


def _codes(nuisance: Shaped[np.ndarray, " n"]) -> tuple[list[str], np.ndarray]:
    """Return the ten most frequent values, and for each row which it has (ten for any other)."""
    values, place, count = np.unique(nuisance, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(values))
    names = [str(values[i]) for i in np.argsort(-count, kind="stable")[:MOST_NAMES]]
    return names, np.minimum(rank[place], MOST_NAMES)
