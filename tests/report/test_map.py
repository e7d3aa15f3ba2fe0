"""The map: which rows, where, in which colours; the same for the same run; hostile texts only as data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotone.report.collect import collect
from isotone.report.contents import Side
from isotone.report.map import Maps, embedding_maps, project, shown_rows
from isotone.report.map_colours import GROUP_COLOURS, OTHER_COLOUR


@pytest.fixture(scope="module")
def sides(finished: dict[str, Path]) -> tuple[Side, Side]:
    return (
        Side(collect(finished["baseline"]), "baseline", "against"),
        Side(collect(finished["rnc"]), "rnc", "run"),
    )


@pytest.fixture(scope="module")
def maps(sides: tuple[Side, Side]) -> Maps:
    return embedding_maps(sides)


def columns(item: dict[str, object]) -> dict[str, object]:
    """Find the data of the one source in a map."""

    def walk(part: object) -> dict[str, object]:
        found: dict[str, object] = {}
        if isinstance(part, dict):
            if part.get("name") == "ColumnDataSource" and "data" in part.get("attributes", {}):
                found |= dict(part["attributes"]["data"]["entries"])
            for value in part.values():
                found |= walk(value)
        elif isinstance(part, list):
            for value in part:
                found |= walk(value)
        return found

    return walk(item["doc"])


def test_test_rows_come_first_then_the_others_evenly() -> None:
    split = ["train"] * 6 + ["test"] * 2 + ["val"] * 2
    assert shown_rows(split, 4).tolist() == [0, 6, 7, 9]
    assert shown_rows(split, 2).tolist() == [6, 7]
    assert shown_rows(split, 1).tolist() == [6]
    assert shown_rows(split, 99).tolist() == list(range(10))


def test_pca_finds_the_plane_it_was_given() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 7))
    places, share = project(plane.astype(np.float32), tsne=False)
    assert list(places) == ["pca"]
    assert share == pytest.approx(1.0, abs=1e-6)  # two dimensions hold all of a plane
    distance = np.linalg.norm(plane[0] - plane, axis=1)
    assert np.linalg.norm(places["pca"][0] - places["pca"], axis=1) == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 3), (2, 5), (5, 1)])
def test_pca_of_few_rows_or_columns(shape: tuple[int, int]) -> None:
    places, share = project(np.random.default_rng(0).normal(size=shape).astype(np.float32), tsne=False)
    assert places["pca"].shape == (shape[0], 2)
    assert share == pytest.approx(1.0)


def test_a_collapsed_representation_is_drawn_as_one_point() -> None:
    places, share = project(np.ones((40, 3), np.float32), tsne=False)
    assert (places["pca"] == 0).all()
    assert share == 1.0


def test_maps_share_colours_and_thumbnails(maps: Maps) -> None:
    assert [(choice.key, choice.name) for choice in maps.choices] == [
        *(("target0", "angle"), ("error", "angle"), ("group", "digit")),
    ]
    assert maps.projections == ("pca", "tsne")
    first, second = (columns(item) for item in maps.items)
    assert first["color_target0"] == second["color_target0"]  # the same rows have the same targets
    assert first["color_error"] != second["color_error"]
    assert len(maps.thumbs) == 200  # both maps show the same 200 different images
    assert {chip[1] for chip in maps.choices[2].chips} == set(GROUP_COLOURS)  # ten digits, ten colours
    assert maps.notes[0].startswith("200 rows; the two PCA axes show ")


def test_same_run_same_map(sides: tuple[Side, Side], maps: Maps) -> None:
    assert json.dumps(embedding_maps(sides).items) == json.dumps(maps.items)


def test_rare_groups_are_grey(sides: tuple[Side, Side]) -> None:
    points = sides[1].run.points
    group = tuple(f"g{i % 13:02d}" for i in range(len(points.index)))
    one = replace(sides[1], run=replace(sides[1].run, points=replace(points, group=group, h=points.h[:, :2])))
    choice = embedding_maps([one]).choices[-1]
    assert len(choice.chips) == 11
    assert choice.chips[-1] == ("●", OTHER_COLOUR, "3 others")


def test_rows_without_images_groups_and_with_two_targets(finished: dict[str, Path]) -> None:
    maps = embedding_maps([Side(collect(finished["bare"]), "rnc", "run")])
    assert [choice.key for choice in maps.choices] == ["target0", "target1", "error"]
    assert maps.thumbs == ()
    found = columns(maps.items[0])
    assert "tile" not in found
    assert all("," in text for text in found["truth"])


def test_texts_enter_as_columns_and_never_as_templates(sides: tuple[Side, Side]) -> None:
    points = sides[1].run.points
    hostile = "@target{safe} <img src=x onerror=p()> </script>"
    named = replace(points, label=(hostile,) * len(points.label), h=points.h[:, :2])
    data = replace(sides[1].run.data, target_names=(hostile,), group_name=hostile)
    maps = embedding_maps([replace(sides[1], run=replace(sides[1].run, points=named, data=data))])
    text = json.dumps(maps.items)
    assert text.count(json.dumps(hostile)) == 200  # the labels' column, once a row, and nothing else
    assert "CustomJS" not in text


def test_maps_of_classes_show_class_and_prediction(finished: dict[str, Path]) -> None:
    run = collect(finished["plain"])
    (item,) = embedding_maps([Side(run, "supcon", "run")]).items
    found = columns(item)
    assert run.points.category is not None
    assert found["truth"] == [run.points.classes[i] for i in run.points.category]
    assert found["guess"] == [run.points.classes[int(i)] for i in run.points.prediction[:, 0]]
    assert "miss" not in found
    assert "@truth" in json.dumps(item)
    assert "@miss" not in json.dumps(item)


def test_maps_without_labels_show_no_prediction(finished: dict[str, Path]) -> None:
    (item,) = embedding_maps([Side(collect(finished["simclr"]), "simclr", "run")]).items
    found = columns(item)
    assert {"truth", "guess", "miss"}.isdisjoint(found)
    assert not any(f"@{column}" in json.dumps(item) for column in ("truth", "guess", "miss"))
    assert "@split" in json.dumps(item)


def test_maps_of_different_tasks_show_what_both_have(finished: dict[str, Path]) -> None:
    sides = [Side(collect(finished["simclr"]), "simclr", "against"), Side(collect(finished["plain"]), "supcon", "run")]
    maps = embedding_maps(sides)
    assert [choice.key for choice in maps.choices] == ["split"]
    assert all("guess" not in columns(item) for item in maps.items)


def test_rows_without_a_target_are_grey(sides: tuple[Side, Side]) -> None:
    points = sides[1].run.points
    target = points.target.copy()
    target[:3] = np.nan
    part = replace(points, target=target, h=points.h[:, :2], group=None)
    maps = embedding_maps([replace(sides[1], run=replace(sides[1].run, points=part))])
    found = columns(maps.items[0])
    assert found["color_target0"][:3] == found["color_error"][:3] == [OTHER_COLOUR] * 3  # type: ignore[index]
    assert OTHER_COLOUR not in found["color_target0"][3:]  # type: ignore[index]
    assert found["truth"][0] == "n/a"  # type: ignore[index]
    assert "n/a" not in (maps.choices[0].low, maps.choices[0].high)
