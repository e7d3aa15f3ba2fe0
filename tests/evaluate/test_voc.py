"""Reading a Pascal VOC folder, and average precision against numbers worked by hand and a slow loop."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotone.errors import ConfigError, DataError
from isotone.evaluate.voc import Annotated, Found, average_precisions, overlaps, read_voc

Box = tuple[float, float, float, float]


def write_voc(folder: Path, images: dict[str, Sequence[tuple[str, Box]]], *, difficult: str = "") -> Path:
    """Write a folder of grey images of 64 pixels with white boxes, in the layout of Pascal VOC."""
    for name in ("Annotations", "JPEGImages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for stem, objects in images.items():
        pixels = np.full((64, 64, 3), 60, dtype=np.uint8)
        parts = []
        for name, (left, top, right, bottom) in objects:
            pixels[int(top) - 1 : int(bottom), int(left) - 1 : int(right)] = 220
            ends = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
            hard = f"<difficult>{int(name == difficult)}</difficult>"
            parts.append(f"<object><name>{name}</name>{hard}<bndbox>{ends}</bndbox></object>")
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{stem}.png")
        (folder / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{''.join(parts)}</annotation>")
    return folder


def _lists(folder: Path, train: str, test: str) -> None:
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "trainval.txt").write_text(train)
    (folder / "ImageSets" / "Main" / "test.txt").write_text(test)


def _image(boxes: list[list[float]], names: list[str], difficult: list[bool] | None = None) -> Annotated:
    hard = np.array(difficult or [False] * len(boxes), dtype=bool)
    return Annotated(Path("x.jpg"), np.array(boxes, dtype=float).reshape(-1, 4), np.array(names), hard, "test")


def _told(boxes: list[list[float]], names: list[str], scores: list[float]) -> Found:
    return Found(np.array(boxes, dtype=float).reshape(-1, 4), np.array(names), np.array(scores))


A, B, FAR = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 40, 50, 50]


def test_overlap_is_intersection_over_union() -> None:
    found = overlaps(np.array([A, B]), np.array([A, [5.0, 0, 15, 10], [0.0, 0, 5, 5]]))
    np.testing.assert_allclose(found, [[1, 50 / 150, 25 / 100], [0, 0, 0]])


def test_average_precision_by_hand() -> None:
    """Three objects; told from the top: right, wrong, right, right again on the first one (so wrong).

    Precision 1, 1/2, 2/3, 2/4 at recall 1/3, 1/3, 2/3, 2/3: area = 1/3 * 1 + 1/3 * 2/3 = 5/9; the third is missed.
    """
    truth = [_image([A, B], ["cell", "cell"]), _image([A], ["cell"])]
    told = [_told([A, FAR, A], ["cell"] * 3, [0.9, 0.8, 0.6]), _told([A], ["cell"], [0.7])]
    assert average_precisions(truth, told) == {"cell": pytest.approx(5 / 9)}


def test_the_envelope_takes_the_best_precision_of_any_larger_recall() -> None:
    """Wrong, right, right: precision 0, 1/2, 2/3, so 2/3 for both objects."""
    truth = [_image([A, B], ["cell", "cell"])]
    told = [_told([FAR, A, B], ["cell"] * 3, [0.9, 0.8, 0.7])]
    assert average_precisions(truth, told) == {"cell": pytest.approx(2 / 3)}


def test_half_an_overlap_is_enough_and_less_is_not() -> None:
    for right, expected in ((5.0, 1.0), (4.9, 0.0)):
        assert average_precisions([_image([A], ["cell"])], [_told([[0, 0, right, 10]], ["cell"], [1.0])]) == {
            "cell": expected
        }


def test_difficult_objects_count_neither_way() -> None:
    truth = [_image([A, B], ["cell", "cell"], [False, True])]
    assert average_precisions(truth, [_told([B, A], ["cell"] * 2, [0.9, 0.8])]) == {"cell": 1.0}
    assert average_precisions(truth, [_told([B], ["cell"], [0.9])]) == {"cell": 0.0}
    assert average_precisions([_image([B], ["cell"], [True])], [_told([], [], [])]) == {}


def test_classes_are_apart_and_nothing_found_is_0() -> None:
    truth = [_image([A, B], ["cell", "plate"])]
    assert average_precisions(truth, [_told([A, B], ["cell", "cell"], [0.5, 0.9])]) == {"cell": 0.5, "plate": 0.0}
    assert average_precisions(truth, [_told([], [], [])]) == {"cell": 0.0, "plate": 0.0}


def test_average_precision_is_that_of_a_slow_loop() -> None:
    draw = np.random.default_rng(0)
    truth, told = [], []
    for _ in range(6):
        corner = draw.uniform(0, 50, size=(5, 2))
        boxes = np.concatenate([corner, corner + draw.uniform(5, 20, size=(5, 2))], axis=1)
        truth.append(_image(boxes[:3].tolist(), ["a", "b", "a"]))
        moved = boxes + draw.normal(scale=2, size=boxes.shape)
        told.append(_told(moved.tolist(), ["a", "b", "a", "a", "b"], draw.permutation(5.0 + np.arange(5)).tolist()))
    assert average_precisions(truth, told) == pytest.approx({name: _slow(name, truth, told) for name in "ab"})


def _slow(name: str, truth: list[Annotated], told: list[Found]) -> float:
    """Read the definition aloud: every box in order, the best object of its image, precision at each recall."""
    every = [(-s, i, j) for i, one in enumerate(told) for j, s in enumerate(one.scores) if one.names[j] == name]
    taken: set[tuple[int, int]] = set()
    right = []
    for _, i, j in sorted(every):
        best, where = 0.0, -1
        for k, box in enumerate(truth[i].boxes):
            if truth[i].names[k] != name:
                continue
            a, b = told[i].boxes[j], box
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            inner = max(w, 0) * max(h, 0)
            shared = inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)
            if shared > best:
                best, where = shared, k
        right.append(best >= 0.5 and (i, where) not in taken)
        if best >= 0.5:
            taken.add((i, where))
    objects = sum(int((one.names == name).sum()) for one in truth)
    points = [(sum(right[: i + 1]) / objects, sum(right[: i + 1]) / (i + 1)) for i in range(len(right))]
    return sum(
        (recall - (points[i - 1][0] if i else 0)) * max(p for r, p in points if r >= recall)
        for i, (recall, _) in enumerate(points)
    )


def test_a_folder_is_read_with_edges_from_0(tmp_path: Path) -> None:
    folder = write_voc(
        tmp_path, {"b": [("cell", (1, 1, 10, 20))], "a": [("plate", (5, 6, 7, 8)), ("cell", (9, 9, 9, 9))]}
    )
    _lists(folder, "b\n", "a 1\n\n")
    first, second = sorted(read_voc(folder), key=lambda one: one.image.name)
    assert (first.image, first.side, first.names.tolist()) == (folder / "JPEGImages" / "a.png", "test", ["plate"])
    assert first.boxes.tolist() == [[4.0, 5.0, 7.0, 8.0]]
    assert (second.side, second.boxes.tolist(), second.difficult.tolist()) == ("train", [[0, 0, 10, 20]], [False])


def test_without_lists_three_in_ten_are_drawn_for_the_test(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {f"i{i}": [("cell", (1, 1, 5, 5))] for i in range(10)}, difficult="cell")
    sides = [one.side for one in read_voc(folder)]
    assert sides.count("test") == 3
    assert sides == [one.side for one in read_voc(folder)]
    assert sides != [one.side for one in read_voc(folder, seed=1)]
    assert all(one.difficult.all() for one in read_voc(folder))


def test_the_real_annotations_of_blood_cells(shared_data: Path) -> None:
    found = read_voc(shared_data / "bccd")
    assert len(found) == 364
    assert {str(name) for one in found for name in one.names} == {"RBC", "WBC", "Platelets"}
    assert sum(len(one.boxes) for one in found) == 4888 - 2  # two have no area


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (
            lambda f: (f / "Annotations").rename(f / "notes"),
            ConfigError,
            "{f} is no Pascal VOC folder: it has no Annotations or annotations in it.",
        ),
        (
            lambda f: (f / "JPEGImages" / "a.png").unlink(),
            DataError,
            "{f}/Annotations/a.xml has no image: {f}/JPEGImages/a.jpg is missing.",
        ),
        (
            lambda f: (f / "Annotations" / "a.xml").write_text("<annotation>"),
            DataError,
            "{f}/Annotations/a.xml is no Pascal VOC annotation (no element found: line 1, column 12). "
            "Repair it or leave it out.",
        ),
        (
            lambda f: (f / "Annotations" / "a.xml").write_text("<a><object><name>cell</name></object></a>"),
            DataError,
            "{f}/Annotations/a.xml is no Pascal VOC annotation (an object has no bndbox/xmin). "
            "Repair it or leave it out.",
        ),
        (
            lambda f: (f / "Annotations" / "a.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
            DataError,
            "{f}/Annotations/a.xml is not read: it is over 1,048,576 bytes or declares a document type.",
        ),
        (
            lambda f: (f / "ImageSets" / "Main" / "test.txt").write_text("b\n"),
            DataError,
            "{f} has no objects on the test side of its images. Look at ImageSets/Main.",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(
    tmp_path: Path, spoil: object, kind: type[Exception], message: str
) -> None:
    folder = write_voc(tmp_path / "f", {"a": [("cell", (1, 1, 5, 5))], "b": []})
    _lists(folder, "a\n", "a\n")
    (folder / "ImageSets" / "Main" / "trainval.txt").write_text("a\n")
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(kind) as caught:
        read_voc(folder)
    assert str(caught.value) == message.format(f=folder)
