"""Figures: the same bytes for the same run, colours from the page, no text that becomes markup or mathematics."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest

from isotone.report.collect import collect
from isotone.report.contents import Epoch, Group, Interval, Side
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
    watch_figure,
    watched,
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


def test_what_was_watched_has_curves_of_its_own(finished: dict[str, Path], sides: tuple[Side, Side]) -> None:
    side = Side(collect(finished["supcon"]), "supcon", "run")
    picture = watch_figure(side)
    assert picture is not None
    knn = [epoch.watch["knn"] for epoch in side.run.log if epoch.watch]
    ends = f"from {short_number(knn[0])} to {short_number(knn[-1])}"
    assert picture.alt.startswith(f"supcon: 12 epochs; nearest neighbours, accuracy {ends}; effective rank, of 48")
    assert "nearest" not in curve_figure(side).alt
    assert watch_figure(sides[0]) is None


def test_constants_are_drawn_as_such(sides: tuple[Side, Side]) -> None:
    log = tuple(Epoch(i, 1.0, 1.0, 1.0, {"dead_units": 0.0, "cosine": 0.4 + i * 1e-16}) for i in range(3))
    picture = watch_figure(replace(sides[1], run=replace(sides[1].run, log=log)))
    assert picture is not None
    assert {"0.0", "1.0", "0.400"} <= set(Tags(picture.svg).text.split())
    assert not [text for text in Tags(picture.svg).text.split() if "e" in text and text[0].isdigit()]  # 1e-16


def test_names_of_what_was_watched(finished: dict[str, Path]) -> None:
    names = {
        task: watched("knn", collect(finished[name])) for name, task in (("rnc", "numbers"), ("supcon", "classes"))
    }
    assert names == {
        "numbers": "nearest neighbours, 1 is perfect, 0 as good as a constant",
        "classes": "nearest neighbours, accuracy",
    }
    assert watched("own_measure", collect(finished["rnc"])) == "own measure"
