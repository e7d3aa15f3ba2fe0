"""Rows shown by themselves: confident mistakes first, views with the class they keep."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotone.report.cards import view_cards, worst_cards
from isotone.report.collect import collect
from isotone.report.contents import Run, Side


@pytest.fixture(scope="module")
def run(finished: dict[str, Path]) -> Run:
    return collect(finished["supcon"])


def test_numbers_by_error(finished: dict[str, Path]) -> None:
    run = collect(finished["rnc"])
    cards = worst_cards([Side(run, "rnc", "run")])
    assert len(cards) == 12
    test = np.array(run.points.split) == "test"
    error = np.abs(run.points.prediction - run.points.target)[:, 0]
    worst = int(np.argmax(np.where(test, error, -1)))
    assert cards[0].label == run.points.label[worst]
    assert [line.split()[0] for line in cards[0].lines] == ["target", "predicted"]


def test_confident_mistakes_first_with_the_other_runs_answer(run: Run, finished: dict[str, Path]) -> None:
    other = collect(finished["linear"])
    cards = worst_cards([Side(other, "linear", "against"), Side(run, "supcon", "run")])
    points = run.points
    assert points.category is not None
    assert points.confidence is not None
    wrong = (points.category != points.prediction[:, 0]) & (np.array(points.split) == "test")
    assert len(cards) == min(12, wrong.sum())
    first = int(np.argmax(np.where(wrong, points.confidence, -1)))
    assert cards[0].label == points.label[first]
    assert cards[0].lines == (
        f"class {points.classes[points.category[first]]}",
        f"predicted {points.classes[int(points.prediction[first, 0])]}",
        f"{100 * points.confidence[first]:.0f} % sure",
        f"linear {points.classes[int(other.points.prediction[first, 0])]}",
    )
    assert cards[0].pictures[0].startswith("data:image/webp;base64,")


def test_mistakes_in_the_order_of_the_table_where_no_probability_was_kept(run: Run) -> None:
    unsure = replace(run, points=replace(run.points, confidence=None))
    cards = worst_cards([Side(unsure, "supcon", "run")])
    assert [card.label for card in cards] == sorted(card.label for card in cards)
    assert all(len(card.lines) == 2 for card in cards)


def test_no_mistakes_no_cards(run: Run, finished: dict[str, Path]) -> None:
    assert run.points.category is not None
    right = replace(run, points=replace(run.points, prediction=run.points.category[:, None].astype(float)))
    assert worst_cards([Side(right, "supcon", "run")]) == []
    assert worst_cards([Side(collect(finished["simclr"]), "simclr", "run")]) == []


def test_views_keep_their_class(run: Run, finished: dict[str, Path]) -> None:
    cards = view_cards(run)
    assert [card.lines for card in cards[:2]] == [("class zero",), ("class one",)]
    assert run.views is not None
    unnamed = replace(run, views=replace(run.views, category=None))
    assert view_cards(unnamed) == cards  # found by the row's label
    lost = replace(run, views=replace(run.views, category=np.full(8, -1)))
    assert view_cards(lost)[0].lines == ("no label",)
    assert [card.lines for card in view_cards(collect(finished["simclr"]))] == [()] * 8
    assert view_cards(collect(finished["plain"])) == []
    assert view_cards(collect(finished["rnc"]))[0].lines[0].startswith("target ")
