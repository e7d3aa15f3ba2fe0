"""Drawings take their colours from the page and leave nothing behind."""

import matplotlib
import pytest
from report.markup import Page

from isotone.report.drawing import COLOUR, Picture, picture


def line(colour: str, text: str = "x") -> Picture:
    def draw(figure: object) -> None:
        axes = figure.add_subplot()  # type: ignore[attr-defined]
        axes.plot([0, 1], color=colour)
        axes.set_xlabel(text)

    return picture(draw, 2.0, "A line.", "line")


@pytest.mark.parametrize("name", list(COLOUR))
def test_colours_are_variables_of_the_page(name: str) -> None:
    svg = line(COLOUR[name]).svg
    assert f"var(--{name})" in svg
    assert COLOUR[name] not in svg


def test_other_colours_stay() -> None:
    assert "#123456" in line("#123456").svg


def test_same_drawing_same_bytes_and_no_global_trace() -> None:
    before = dict(matplotlib.rcParams)
    assert line("#123456") == line("#123456")
    assert dict(matplotlib.rcParams) == before


def test_texts_stay_texts() -> None:
    found = Page(line("#123456", '<b onclick="x">$a_1$').svg)
    assert found.drawn <= {"svg", "g", "defs", "path", "use", "clippath", "rect", "text"}
    assert '<b onclick="x">$a_1$' in "".join(found.texts)
