"""Figures of class runs: what is drawn, in which order, and what is left out of long lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report.markup import Page

from isotone.report.collect import collect
from isotone.report.contents import ClassRow, Interval, Side
from isotone.report.figures import Mark
from isotone.report.figures_classes import (
    accuracy_figure,
    class_group_figure,
    confusion_figure,
    mistakes,
    percent,
    recall_figure,
    shown_classes,
    worst_classes,
)

DRAWN = {"svg", "g", "defs", "path", "use", "clippath", "rect", "text"}


@pytest.fixture(scope="module")
def sides(finished: dict[str, Path]) -> tuple[Side, Side]:
    return Side(collect(finished["linear"]), "linear", "against"), Side(collect(finished["supcon"]), "supcon", "run")


def confused(side: Side, table: list[list[int]], names: tuple[str, ...]) -> Side:
    classes = side.run.classes
    assert classes is not None
    return replace(side, run=replace(side.run, classes=replace(classes, confusion=np.array(table), names=names)))


def test_figures_are_bare_drawings_in_the_colours_of_the_page(sides: tuple[Side, Side]) -> None:
    marks = [Mark("supcon", Interval(90.0, 85.0, 95.0), "run")]
    figures = [confusion_figure(sides[1]), recall_figure(sides), class_group_figure(sides)]
    for picture in [accuracy_figure(marks, "test"), *figures]:
        assert picture is not None
        found = Page(picture.svg)
        assert found.drawn <= DRAWN
        assert "http" not in picture.svg
        assert "var(--run)" in picture.svg
        assert picture.alt.endswith(".")


def test_accuracy_in_words() -> None:
    marks = [Mark("supcon", Interval(90.0, 85.04, 95.0), "run")]
    assert accuracy_figure(marks, "test").alt == (
        "Accuracy on test rows, with 95 % intervals. supcon: 90.0 % (85.0 to 95.0)."
    )


def test_counts_and_shares_stand_in_few_cells(sides: tuple[Side, Side]) -> None:
    side = confused(sides[1], [[6, 2], [0, 1234]], ("cat", '<b>&"dog"'))
    picture = confusion_figure(side)
    assert picture is not None
    texts = [text for text in (text.strip() for text in Page(picture.svg).texts) if text]
    assert {"6", "75 %", "2", "25 %", "1,234", "100 %", '<b>&"dog"', "cat"} <= set(texts)
    assert "0" not in texts
    assert picture.alt == ('supcon: predicted against true classes. Most often: cat taken for <b>&"dog" 2 times of 8.')
    assert mistakes(side) == [("cat", '<b>&"dog"', 2, 8)]


def test_no_mistakes(sides: tuple[Side, Side]) -> None:
    side = confused(sides[1], [[6, 0], [0, 2]], ("a", "b"))
    assert mistakes(side) == []
    picture = confusion_figure(side)
    assert picture is not None
    assert picture.alt == "supcon: predicted against true classes. No mistakes."


def test_of_many_classes_those_with_mistakes_are_drawn(sides: tuple[Side, Side]) -> None:
    table = np.eye(50, dtype=int)
    table[40, 7] = 3
    assert {7, 40} <= set(shown_classes(table).tolist())
    assert len(shown_classes(table)) == 30
    picture = confusion_figure(confused(sides[1], table.tolist(), tuple(f"c{i}" for i in range(50))))
    assert picture is not None
    assert picture.alt == (
        "supcon: predicted against true classes, the 30 with the most mistakes of 50. "
        "Most often: c40 taken for c7 3 times of 4."
    )


def test_recall_worst_first_and_untested_last(sides: tuple[Side, Side]) -> None:
    classes = sides[1].run.classes
    assert classes is not None
    rows = (ClassRow("a", 5, 2, 1.0), ClassRow("b", 3, 0, float("nan")), ClassRow("c", 4, 2, 0.5))
    side = replace(sides[1], run=replace(sides[1].run, classes=replace(classes, rows=rows)))
    assert [row.name for row in worst_classes(side)] == ["c", "a", "b"]
    picture = recall_figure([side])
    assert picture is not None
    assert picture.alt == (
        "Recall by class, worst first. c: 50.0 % of 2, 4 trained on; a: 100.0 % of 2, 5 trained on; "
        "b: n/a of 0, 3 trained on."
    )


def test_only_two_dozen_classes_have_a_bar(sides: tuple[Side, Side]) -> None:
    classes = sides[1].run.classes
    assert classes is not None
    rows = tuple(ClassRow(f"c{i:02d}", 5, 2, i / 40) for i in range(40))
    side = replace(sides[1], run=replace(sides[1].run, classes=replace(classes, rows=rows)))
    assert [row.name for row in worst_classes(side)] == [f"c{i:02d}" for i in range(24)]


def test_nothing_to_draw_for_other_runs(finished: dict[str, Path]) -> None:
    for name in ("bare", "simclr"):
        side = Side(collect(finished[name]), name, "run")
        assert confusion_figure(side) is None
        assert recall_figure([side]) is None
        assert class_group_figure([side]) is None
        assert mistakes(side) == []


def test_shares_in_words() -> None:
    assert [percent(x) for x in (0.0, 0.9999, 1.0, float("nan"))] == ["0.0 %", "100.0 %", "100.0 %", "n/a"]
