"""Rows shown by themselves: those that a run predicts worst, and views of training rows as the encoder sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isotone.report.contents import Run, Side
from isotone.report.figures import decimals, fixed
from isotone.report.figures_classes import percent
from isotone.report.headline import judged_split, same_data
from isotone.report.map_colours import class_names, guessed_names
from isotone.report.thumbnails import data_uri

WORST = 12
MOST_VIEWS = 8  # sampled rows, with up to MOST_COPIES views of each
MOST_COPIES = 4
_WORST_EDGE = 96
_VIEW_EDGE = 80


@dataclass(frozen=True)
class Card:
    """A row of the data shown by itself: its pictures (data URIs, perhaps none), its label and lines below it."""

    pictures: tuple[str, ...]
    label: str
    lines: tuple[str, ...]


def worst_cards(sides: Sequence[Side]) -> list[Card]:
    """Return the rows that the last run predicts worst, with the other run's prediction of them.

    Numbers: the largest errors of the first target. Classes: wrong answers, the most confident first where the run kept
    its probabilities, else in the order of the table. Runs without labels have none.
    """
    task = sides[-1].run.task
    return _worst_numbers(sides) if task == "numbers" else _worst_classes(sides) if task == "classes" else []


def view_cards(run: Run) -> list[Card]:
    """Return the sampled training views with the labels that they keep; none where the rows are not images."""
    if run.views is None:
        return []
    return [
        Card(
            tuple(data_uri(image, _VIEW_EDGE) for image in run.views.image[i][:MOST_COPIES]),
            run.views.label[i],
            _kept(run, i),
        )
        for i in range(min(len(run.views.label), MOST_VIEWS))
    ]


# ----------------------------------------------------------------------------------------------------------------------


def _worst_numbers(sides: Sequence[Side]) -> list[Card]:
    run = sides[-1].run
    points, rows = run.points, _judged(run)
    miss = np.nan_to_num(np.abs(points.prediction - points.target)[rows, 0])
    others = [(side.name, _predictions(side.run)) for side in sides[:-1] if same_data(sides)]
    digits = decimals(float(np.nanstd(points.target[:, 0])))
    cards: list[Card] = []
    for i in rows[np.argsort(-miss, kind="stable")[:WORST]]:
        lines = [f"target {fixed(points.target[i, 0], digits)}", f"predicted {fixed(points.prediction[i, 0], digits)}"]
        lines += [f"{name} {fixed(of[int(points.index[i])], digits)}" for name, of in others if points.index[i] in of]
        cards.append(_card(run, int(i), lines))
    return cards


def _worst_classes(sides: Sequence[Side]) -> list[Card]:
    run = sides[-1].run
    points, rows = run.points, _judged(run)
    if points.category is None:
        return []
    wrong = rows[(points.category[rows] >= 0) & (points.prediction[rows, 0] != points.category[rows])]
    sure = points.confidence
    if sure is not None:
        wrong = wrong[np.argsort(-np.nan_to_num(sure[wrong]), kind="stable")]
    true, guess = class_names(points), guessed_names(points)
    same = len(sides) == 2 and sides[0].run.task == "classes" and same_data(sides)
    others = [(side.name, _guesses(side.run)) for side in sides[:-1] if same]
    cards: list[Card] = []
    for i in wrong[:WORST]:
        lines = [f"class {true[i]}", f"predicted {guess[i]}"]
        lines += [] if sure is None else [f"{percent(float(sure[i]), 0)} sure"]
        lines += [f"{name} {of[int(points.index[i])]}" for name, of in others if points.index[i] in of]
        cards.append(_card(run, int(i), lines))
    return cards


def _card(run: Run, i: int, lines: Sequence[str]) -> Card:
    pictures = () if run.points.thumb is None else (data_uri(run.points.thumb[i], _WORST_EDGE),)
    return Card(pictures, run.points.label[i], tuple(lines))


def _judged(run: Run) -> np.ndarray:
    split = judged_split(run)
    return np.flatnonzero(np.array([side == split for side in run.points.split], dtype=bool))


def _predictions(run: Run) -> dict[int, float]:
    return {int(i): float(p) for i, p in zip(run.points.index, run.points.prediction[:, 0], strict=True)}


def _guesses(run: Run) -> dict[int, str]:
    return dict(zip(run.points.index.tolist(), guessed_names(run.points), strict=True))


def _kept(run: Run, i: int) -> tuple[str, ...]:
    """Return the lines below the views of a row: its class or its targets, where it has any."""
    assert run.views is not None, "only called where there are views"
    if run.task == "numbers":
        digits = [decimals(float(size)) for size in np.nanstd(run.points.target, axis=0)]
        return ("target " + ", ".join(fixed(y, d) for y, d in zip(run.views.target[i], digits, strict=False)),)
    if run.points.category is None:
        return ()
    if run.views.category is not None:
        code = int(run.views.category[i])
        return (f"class {run.points.classes[code]}" if 0 <= code < len(run.points.classes) else "no label",)
    found = dict(zip(run.points.label, class_names(run.points), strict=True)).get(run.views.label[i])
    return () if found is None else (f"class {found}" if found != "no label" else found,)
