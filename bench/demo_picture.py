"""Draw `docs/demo.png`, the README's picture, from the runs of `isotone demo`: both maps, by angle and by digit.

python bench/demo_picture.py demo        the folder that the demo wrote
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

OUT = Path(__file__).parents[1] / "docs" / "demo.png"
NAMES = {"baseline": "end to end, L1", "rnc": "RnC"}


def main(folder: Path) -> None:
    """Write the picture: test rows only, representation projected by t-SNE."""
    figure = Figure(figsize=(9.6, 4.9), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 4, width_ratios=(1, 1, 0.02, 0.001), gridspec_kw={"wspace": 0.12, "hspace": 0.12})
    for column, (method, name) in enumerate(NAMES.items()):
        kept = np.load(folder / method / "features.npz", allow_pickle=False)
        metrics = json.loads((folder / method / "metrics.json").read_text())
        test = kept["split"] == "test"
        xy = TSNE(perplexity=30, init="pca", random_state=0).fit_transform(kept["h"][test])
        error = next(r["mae"]["value"] for r in metrics["rows"] if r["split"] == "test" and r["role"] == "model")
        axes[0, column].set_title(
            f"{name}: test MAE {error:.1f}°, order {metrics['order']['spearman']:.2f}", fontsize=11
        )
        colours = (kept["target"][test, 0], np.array([int(g.split()[1]) for g in kept["group"][test]]))
        for row, (colour, palette) in enumerate(zip(colours, ("viridis", "tab10"), strict=True)):
            drawn = axes[row, column].scatter(*xy.T, c=colour, cmap=palette, s=9, linewidths=0)
            axes[row, column].set(xticks=[], yticks=[])
            for side in axes[row, column].spines.values():
                side.set_color("#cccccc")
            if column == 1:
                bar = figure.colorbar(drawn, cax=axes[row, 2])
                bar.outline.set_visible(False)
                bar.set_label(("angle, degrees", "digit")[row], fontsize=9)
                bar.ax.tick_params(labelsize=8)
            axes[row, 3].axis("off")
    figure.savefig(OUT, bbox_inches="tight", facecolor="white")
    sys.stdout.write(f"{OUT}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
