"""The figure of a comparison: how much less or more error each arm has than the reference, in percent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isotone.report.contents import Interval
from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.figures import short_number
from isotone.report.values import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = object

SHADES = {"better": "run", "worse": "against", "open": "neutral"}


@dataclass(frozen=True)
class Gap:
    """One line of the figure.

    Args:
        name: of the arm.
        percent: difference to the reference in percent of its error, with the 95 % interval; negative is better.
        seeds: the same of each seed.
        kind: `better`, `worse` or `open`, as the verdict is.
    """

    name: str
    percent: Interval
    seeds: tuple[float, ...]
    kind: str


def difference_figure(gaps: Sequence[Gap], reference: str, measure: str) -> Picture:
    """Draw each arm's difference as a dot with its interval, its seeds as small rings, the reference as a line at 0.

    Args:
        gaps: from top to bottom, at least one.
        reference: name of the reference arm.
        measure: what is compared, such as `MAE of age`.
    """
    told = "; ".join(
        f"{gap.name} {short_number(gap.percent.value)} % ({short_number(gap.percent.low)} to "
        f"{short_number(gap.percent.high)})"
        for gap in gaps
    )
    alt = f"Difference in {measure} to {reference}, in percent, with 95 % intervals; below 0 is better. {told}."

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for y, gap in enumerate(reversed(gaps)):
            colour = COLOUR[SHADES[gap.kind]]
            if math.isfinite(gap.percent.low) and math.isfinite(gap.percent.high):
                ends = [gap.percent.low, gap.percent.high]
                axes.plot(ends, [y, y], color=colour, linewidth=2.5, solid_capstyle="round")
            axes.plot([gap.percent.value], [y], "o", color=colour, markersize=7)
            shown = [x for x in gap.seeds if math.isfinite(x)]
            axes.plot(shown, [y - 0.17] * len(shown), "o", color=colour, markersize=4, fillstyle="none")
            axes.text(0, y + 0.17, shortened(gap.name, 52), transform=axes.get_yaxis_transform(), va="bottom")
        axes.axvline(0, color=COLOUR["ink"], linewidth=1)
        axes.set_ylim(-0.5, len(gaps) - 0.25)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{shortened(measure, 24)} against {shortened(reference, 20)}, % (below 0 is better)")

    return picture(draw, 0.58 * len(gaps) + 0.8, alt, "compare" + measure)
