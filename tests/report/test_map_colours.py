"""Colours of the map: what can be chosen, one colour and shape a name, grey for the rest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotone.report.collect import collect
from isotone.report.contents import Points, Run, Side
from isotone.report.map_colours import (
    CLASS_COLOURS,
    GROUP_COLOURS,
    OTHER_COLOUR,
    Choice,
    Layer,
    class_names,
    colour,
    guessed_names,
)


@pytest.fixture(scope="module")
def run(finished: dict[str, Path]) -> Run:
    return collect(finished["supcon"])


def coloured(*runs: Run) -> tuple[list[Choice], list[Layer]]:
    layers = [Layer(np.arange(len(run.points.index)), run.points, {}) for run in runs]
    return colour([Side(run, run.method, "run") for run in runs], layers), layers


def renamed(run: Run, names: Sequence[str], category: Sequence[int]) -> Run:
    points = replace(run.points, classes=tuple(names), category=np.array(category), group=None)
    return replace(run, points=points)


def test_palette_has_a_colour_for_each_of_twenty_classes() -> None:
    assert len(set(CLASS_COLOURS)) == 20
    assert CLASS_COLOURS[:10] == GROUP_COLOURS
    assert OTHER_COLOUR not in CLASS_COLOURS


def test_class_runs_are_coloured_by_class_mistake_and_group(run: Run) -> None:
    choices, (layer,) = coloured(run)
    assert [(choice.key, choice.name) for choice in choices] == [
        *(("class", "digit"), ("mistake", "prediction"), ("group", "writer")),
    ]
    assert layer.columns["color"] == layer.columns["color_class"]
    assert layer.columns["marker"] == layer.columns["marker_class"]
    looks = {name: (shade, glyph) for glyph, shade, name in choices[0].chips}
    assert len(set(looks.values())) == 10
    assert layer.columns["color_class"][3] == looks["three"][0]  # row 3 is a three
    wrong = run.points.category != run.points.prediction[:, 0]
    assert [shade != OTHER_COLOUR for shade in layer.columns["color_mistake"]] == wrong.tolist()
    assert [chip[2] for chip in choices[1].chips] == ["right", "wrong"]


def test_colours_are_the_same_on_all_maps(run: Run, finished: dict[str, Path]) -> None:
    choices, (first, second) = coloured(run, collect(finished["linear"]))
    assert first.columns["color_class"] == second.columns["color_class"]  # the same rows
    assert first.columns["color_mistake"] != second.columns["color_mistake"]
    assert len(choices[0].chips) == 10


def test_rare_classes_and_rows_without_a_label_are_grey(run: Run) -> None:
    # 300 rows: 20 classes of 12 rows, 10 of 5 rows, 10 rows without a label
    category = [*np.repeat(np.arange(20), 12), *np.repeat(np.arange(20, 30), 5), *[-1] * 10]
    (choice, mistakes), (layer,) = coloured(renamed(run, [f"c{i}" for i in range(30)], category))
    assert [chip[2] for chip in choice.chips[-3:]] == ["c9", "10 others", "no label"]  # as text, c9 is the last
    assert set(layer.columns["color_class"][240:]) == {OTHER_COLOUR}
    assert {shade for _, shade, _ in choice.chips[:20]} == set(CLASS_COLOURS)
    assert [chip[2] for chip in mistakes.chips] == ["right", "wrong", "no label"]


def test_numbers_as_names_are_in_their_order(run: Run) -> None:
    (choice, _), _ = coloured(renamed(run, ["1", "10", "2"], [i % 3 for i in range(300)]))
    assert [chip[2] for chip in choice.chips] == ["1", "2", "10"]


def test_runs_without_labels_are_coloured_by_split(finished: dict[str, Path]) -> None:
    run = collect(finished["simclr"])
    (choice,), (layer,) = coloured(run)
    assert (choice.key, [chip[2] for chip in choice.chips]) == ("split", ["training", "validation", "test"])
    look = {name: shade for _, shade, name in choice.chips}
    words = {"train": "training", "val": "validation", "test": "test"}
    assert layer.columns["color"] == [look[words[side]] for side in run.points.split]
    alone = replace(run, points=replace(run.points, split=("train",) * 120))
    assert [chip[2] for chip in coloured(alone)[0][0].chips] == ["training"]


def test_names_of_rows() -> None:
    points = Points(
        index=np.arange(3),
        label=("x", "y", "z"),
        split=("test",) * 3,
        group=None,
        target=np.zeros((3, 0)),
        prediction=np.array([[1.0], [np.nan], [7.0]]),
        h=np.zeros((3, 2)),
        thumb=None,
        category=np.array([0, -1, 1]),
        classes=("a", "b"),
    )
    assert class_names(points) == ("a", "no label", "b")
    assert guessed_names(points) == ("b", "n/a", "n/a")
    nothing = replace(points, category=None, prediction=np.zeros((3, 0)))
    assert class_names(nothing) == ("", "", "")
    assert guessed_names(nothing) == ("n/a",) * 3
