"""Figures: the same bytes for the same run, colours from the page, no text that becomes markup or mathematics."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest

from isotone.report.collect import collect
from isotone.report.contents import Group, Interval, Side
from isotone.report.figures import (
    Mark,
    Picture,
    bin_figure,
    curve_figure,
    decimals,
    fixed,
    group_figure,
    interval_figure,
    scatter_figure,
    short_number,
)

DRAWN = {"svg", "g", "defs", "path", "use", "clippath", "rect", "text"}


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def sides(finished: dict[str, Path]) -> tuple[Side, Side]:
    return (
        Side(collect(finished["baseline"]), "baseline", "against"),
        Side(collect(finished["rnc"]), "rnc", "run"),
    )


def all_figures(sides: tuple[Side, Side]) -> list[Picture]:
    marks = [Mark("rnc", Interval(4.0, 3.5, 4.5), "run"), Mark("median", Interval(30.0, 28.0, 32.0), "neutral")]
    figures = [interval_figure(marks, "angle"), bin_figure(sides), group_figure(sides)]
    return [*figures, scatter_figure(sides[1], 0, sides), curve_figure(sides[1])]


def test_figures_are_bare_drawings_in_the_colours_of_the_page(sides: tuple[Side, Side]) -> None:
    for picture in all_figures(sides):
        found = Tags(picture.svg)
        assert found.tags <= DRAWN
        assert not {name for name in found.names if name.startswith("on")}
        assert "var(--" in picture.svg
        assert "http" not in picture.svg
        assert "font-family" not in picture.svg
        assert picture.alt.endswith(".")


def test_same_run_same_bytes_and_no_global_trace(sides: tuple[Side, Side]) -> None:
    before = dict(matplotlib.rcParams)
    assert bin_figure(sides) == bin_figure(sides)
    assert dict(matplotlib.rcParams) == before


def test_texts_of_the_user_stay_texts(sides: tuple[Side, Side]) -> None:
    name = '<b onclick="x">$a_1$ & \u202e{{7*7}}'
    side = replace(sides[1], run=replace(sides[1].run, groups=(Group(name[:22], 3, 1.0),)))
    found = Tags(group_figure([side]).svg)
    assert found.tags <= DRAWN
    assert name[:22] + " (3)" in found.text


def test_letters_without_a_glyph_do_not_warn(sides: tuple[Side, Side]) -> None:
    side = replace(sides[1], run=replace(sides[1].run, groups=(Group("年齢", 3, 1.0),)))
    assert "年齢 (3)" in group_figure([side]).svg


def test_alternative_text_says_what_is_drawn() -> None:
    picture = interval_figure([Mark("rnc", Interval(4.0, 3.5, 4.5), "run")], "angle")
    assert picture.alt == "Mean absolute test error of angle, with 95 % intervals. rnc: 4 (3.5 to 4.5)."


def test_worst_groups_come_first_and_only_a_dozen(sides: tuple[Side, Side]) -> None:
    many = tuple(Group(f"g{i:02d}", 1, float(i)) for i in range(20))
    alt = group_figure([replace(sides[1], run=replace(sides[1].run, groups=many))]).alt
    assert alt.startswith("Mean absolute error by digit, worst first. g19: 19 on 1 rows; g18: 18 on 1 rows;")
    assert alt.endswith("; g08: 8 on 1 rows.")


def test_numbers() -> None:
    assert [short_number(x) for x in (-1.5, 0.0, 12345.6, 1e9, float("nan"), None)] == [
        *("\N{MINUS SIGN}1.5", "0", "12,346", "1e+09", "n/a", "n/a"),
    ]
    assert [decimals(x) for x in (0.0, float("nan"), 1.0, 0.05, 1e-30)] == [0, 0, 2, 4, 9]
    assert fixed(-2.0, 1) == "\N{MINUS SIGN}2.0"
