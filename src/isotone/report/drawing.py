"""Turn a Matplotlib drawing into SVG text that takes its colours from the page, for light and dark themes alike.

Drawn with Matplotlib's object interface; nothing global is left changed, and the same run gives the same bytes. Texts
stay texts (`svg.fonttype: none`) and are never read as mathematics, whatever `$` they hold.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType
else:
    Figure = RcKeyType = (
        object  # Matplotlib is loaded when something is drawn; the names must exist for run-time checks
    )

# Stand-ins, replaced by the page's variables once the figure is drawn; odd values, so that nothing else has them.
_THEME = {
    "#1a1b1c": "ink",
    "#6a6b6c": "muted",
    "#dadbdc": "line",
    "#0172b3": "run",
    "#d65f01": "against",
    "#8a8b8c": "neutral",
}
COLOUR = {name: value for value, name in _THEME.items()}  # to draw with, by the name of the page's variable
_WIDTH_INCHES = 420 / 72  # 420 user units wide: near the width of half a desktop page and of a whole phone's
_STYLE: dict[RcKeyType, str | float | bool] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.size": 12.0,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["muted"],
    "text.color": COLOUR["ink"],
}


@dataclass(frozen=True)
class Picture:
    """A figure: `svg` is safe to stand in a page as it is; `alt` is plain text, to be escaped."""

    svg: str
    alt: str


def picture(draw: Callable[[Figure], None], height_inches: float, alt: str, salt: str) -> Picture:
    """Draw a figure as wide as half a desktop page.

    Args:
        draw: puts everything into an empty figure, in the colours of `COLOUR`.
        height_inches: of the figure.
        alt: what the figure says, in words.
        salt: told apart from other figures of the page by this, so that their ids differ.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[RcKeyType, str | float | bool] = {**_STYLE, "svg.hashsalt": salt}
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font"
        )  # the reader's browser has its own fonts
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")
        draw(figure)
        text = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return Picture(_for_page(text.getvalue()), alt)


# ----------------------------------------------------------------------------------------------------------------------


def _for_page(svg: str) -> str:
    """Keep the drawing alone: no prologue, no style for the whole page, no ids but the hashed ones."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'<svg [^>]*(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true" focusable="false">', body, count=1)
    body = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", body, count=1)
    body = re.sub(r'<g id="[\w.]+"', "<g", body).replace(' xlink:href="#', ' href="#')
    body = re.sub(r'style="[^"<>]*"', lambda style: _themed(style[0]), body)
    return re.sub(r"\s*\n\s*", "\n", body)


def _themed(style: str) -> str:
    style = re.sub(r" ?font-family: [^;]*;?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda m: f"var(--{_THEME[m[0]]})" if m[0] in _THEME else m[0], style)
