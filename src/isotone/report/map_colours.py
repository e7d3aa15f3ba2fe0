"""The colours of the map: by number on a scale, by class, by mistake, by side of the split, by group.

Colours mean the same on all maps of a page. Few names have a colour and a shape each, rare ones share a grey.

Source: the first colours are those of Okabe and Ito 2008, chosen for the colour-blind.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from isotone.report.contents import Points, Side
from isotone.report.figures import short_number

MOST_TARGETS = 3  # that can be coloured by

# Okabe and Ito's hues and three more that stay apart from them on light and on dark; shapes repeat what colours say.
GROUP_COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9"),
    *("#cc79a7", "#b8a500", "#7a4fbf", "#8c564b", "#6b7785"),
)
GROUP_SHAPES = ("circle", "triangle", "square", "diamond", "inverted_triangle")
CLASS_COLOURS = (
    *GROUP_COLOURS,
    *("#d63be0", "#3fae2a", "#1b6b1b", "#b0147f", "#2f55e8"),
    *("#5cc7a0", "#ee94ee", "#9a86f0", "#b9a8a4", "#ee2a5c"),
)
OTHER_COLOUR = "#b0b0b0"
_GLYPHS = {"circle": "●", "triangle": "▲", "square": "■", "diamond": "◆", "inverted_triangle": "▼"}
_SPLITS = {"train": ("#0072b2", "circle"), "val": ("#e69f00", "triangle"), "test": ("#009e73", "square")}
_SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}
_MISTAKES = {"right": (OTHER_COLOUR, "circle"), "wrong": ("#d55e00", "triangle")}
_UNLABELLED = "no label"


@dataclass(frozen=True)
class Choice:
    """One way to colour the maps: `key` names the columns, `name` is the user's word for it.

    A scale has `low`, `high` and `gradient` (CSS); groups have `chips`, each a shape, a colour and a name.
    """

    key: str
    what: str
    name: str
    low: str = ""
    high: str = ""
    gradient: str = ""
    chips: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Layer:
    """The rows of one run that are drawn, and one column a Bokeh source holds of them."""

    rows: Int[np.ndarray, " n"]
    points: Points
    columns: dict[str, np.ndarray | list[str]]


def colour(sides: Sequence[Side], layers: Sequence[Layer]) -> list[Choice]:
    """Add the columns of every way to colour, and those shown first as `color` and `marker`.

    Runs that predict numbers are coloured by target and error, those that tell classes apart by class and mistake,
    those without labels by side of the split; two runs that do different things by what both have.

    Args:
        sides: one run or two.
        layers: theirs; their columns are added to.

    Returns:
        the ways, the first one is shown first.
    """
    tasks = {side.run.task for side in sides}
    choices = _numbers(sides, layers) if tasks == {"numbers"} else _names(sides, layers)
    if all(layer.points.group for layer in layers):
        name = sides[-1].run.data.group_name or "group"
        choices.append(_frequent(layers, "group", name, lambda layer: layer.points.group or (), GROUP_COLOURS))
    first = choices[0].key
    for layer in layers:
        layer.columns["color"] = layer.columns[f"color_{first}"]
        layer.columns["marker"] = layer.columns.get(f"marker_{first}", ["circle"] * len(layer.rows))
        layer.columns.setdefault("marker_group", layer.columns["marker"])
    return choices


def class_names(points: Points) -> tuple[str, ...]:
    """Return the class of every row in words; `no label` where a row has none, '' where the run knows no classes."""
    if points.category is None:
        return ("",) * len(points.index)
    return tuple(points.classes[i] if i >= 0 else _UNLABELLED for i in points.category)


def guessed_names(points: Points) -> tuple[str, ...]:
    """Return the predicted class of every row in words; `n/a` where there is none."""
    codes = points.prediction[:, 0] if points.prediction.shape[1] else np.full(len(points.index), np.nan)
    known = np.isfinite(codes) & (codes >= 0) & (codes < len(points.classes))
    return tuple(points.classes[int(code)] if good else "n/a" for code, good in zip(codes, known, strict=True))


# ----------------------------------------------------------------------------------------------------------------------


def _numbers(sides: Sequence[Side], layers: Sequence[Layer]) -> list[Choice]:
    names = sides[-1].run.data.target_names
    k = min(len(names), MOST_TARGETS, *(layer.points.target.shape[1] for layer in layers))
    choices = [
        _scale(layers, f"target{j}", "target", names[j], lambda layer, j=j: layer.points.target[layer.rows, j])
        for j in range(k)
    ]
    return [*choices, _scale(layers, "error", "error", _error_name(names), lambda layer: _error(layer)[layer.rows])]


def _names(sides: Sequence[Side], layers: Sequence[Layer]) -> list[Choice]:
    choices: list[Choice] = []
    if all(layer.points.category is not None for layer in layers):
        question = next((side.run.classes.question for side in reversed(sides) if side.run.classes), "class")
        choices.append(_frequent(layers, "class", question, lambda layer: class_names(layer.points), CLASS_COLOURS))
    if all(side.run.task == "classes" for side in sides) and choices:
        choices.append(_fixed(layers, "mistake", "prediction", lambda layer: _judged(layer.points), _MISTAKES))
    else:
        choices.append(_fixed(layers, "split", "side of the split", lambda layer: layer.points.split, _SPLITS))
    return choices


def _judged(points: Points) -> tuple[str, ...]:
    pairs = zip(class_names(points), guessed_names(points), strict=True)
    return tuple(_UNLABELLED if true == _UNLABELLED else "right" if true == guess else "wrong" for true, guess in pairs)


def _error_name(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "mean over targets, in standard deviations"


def _error(layer: Layer) -> Float[np.ndarray, " n"]:
    """One error a row: in the target's units, or for several targets the mean over them of errors over spreads."""
    points = layer.points
    error = np.abs(points.prediction - points.target)
    return error[:, 0] if error.shape[1] == 1 else (error / (np.nanstd(points.target, axis=0) + 1e-12)).mean(1)


def _scale(layers: Sequence[Layer], key: str, what: str, name: str, values: Callable[[Layer], np.ndarray]) -> Choice:
    """Colour by a number, on one scale for all maps; errors end at their 95th percentile, or one would hide all."""
    from matplotlib import colormaps

    table = colormaps["viridis" if what == "target" else "plasma"](np.linspace(0.04, 0.92, 256))
    shades = ["#" + bytes(np.round(255 * row[:3]).astype(np.uint8)).hex() for row in table]
    everything = np.concatenate([values(layer) for layer in layers])
    everything = everything[np.isfinite(everything)] if np.isfinite(everything).any() else np.zeros(1)
    low = float(everything.min()) if what == "target" else 0.0
    high = float(everything.max()) if what == "target" else float(np.quantile(everything, 0.95))
    for layer in layers:
        known = np.isfinite(values(layer))
        place = np.clip((np.nan_to_num(values(layer)) - low) / ((high - low) or 1.0) * 255, 0, 255).astype(int)
        layer.columns[f"color_{key}"] = [
            shades[i] if there else OTHER_COLOUR for i, there in zip(place, known, strict=True)
        ]
    gradient = f"linear-gradient(to right, {', '.join(shades[::32] + shades[-1:])})"
    more = "" if what == "target" else " or more"
    return Choice(key, what, name, short_number(low), short_number(high) + more, gradient)


def _frequent(
    layers: Sequence[Layer], key: str, name: str, texts: Callable[[Layer], tuple[str, ...]], colours: Sequence[str]
) -> Choice:
    """Colour by a text: the most frequent ones have a colour and a shape each, all others are grey."""
    drawn = [[texts(layer)[i] for i in layer.rows] for layer in layers]
    counted = Counter(text for named in drawn for text in named if key == "group" or text != _UNLABELLED)
    style = {
        text: (colours[i], GROUP_SHAPES[i % len(GROUP_SHAPES)])
        for i, text in enumerate(sorted((text for text, _ in counted.most_common(len(colours))), key=_natural))
    }
    chips = _painted(layers, key, drawn, style)
    others = len(counted) - len(style)
    rest = [("●", OTHER_COLOUR, f"{others} others")] if others > 0 else []
    if key != "group" and any(_UNLABELLED in named for named in drawn):
        rest.append(("●", OTHER_COLOUR, _UNLABELLED))
    return Choice(key, key, name, chips=(*chips, *rest))


def _fixed(
    layers: Sequence[Layer],
    key: str,
    name: str,
    texts: Callable[[Layer], tuple[str, ...]],
    style: dict[str, tuple[str, str]],
) -> Choice:
    """Colour by a text of which there are few, known beforehand."""
    drawn = [[texts(layer)[i] for i in layer.rows] for layer in layers]
    there = {text for named in drawn for text in named}
    chips = _painted(layers, key, drawn, {text: look for text, look in style.items() if text in there})
    rest = [("●", OTHER_COLOUR, _UNLABELLED)] if _UNLABELLED in there else []
    said = [(glyph, shade, _SPLIT_WORDS.get(text, text)) for glyph, shade, text in chips]
    return Choice(key, key, name, chips=(*said, *rest))


def _painted(
    layers: Sequence[Layer], key: str, drawn: Sequence[Sequence[str]], style: dict[str, tuple[str, str]]
) -> list[tuple[str, str, str]]:
    """Add the columns and return the chips of the legend."""
    other = (OTHER_COLOUR, "circle")
    for layer, named in zip(layers, drawn, strict=True):
        layer.columns[f"color_{key}"] = [style.get(text, other)[0] for text in named]
        layer.columns[f"marker_{key}"] = [style.get(text, other)[1] for text in named]
    return [(_GLYPHS[shape], shade, text) for text, (shade, shape) in style.items()]


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text
