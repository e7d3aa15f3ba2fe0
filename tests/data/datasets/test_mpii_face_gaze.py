"""MPIIFaceGaze on tiny trees: angles from two points, the three forms, damage, and that nothing is mirrored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotone.data.audit import audit
from isotone.data.datasets.mpii_face_gaze import pitch_yaw, read
from isotone.data.datasets.reading import suited_augment
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import ConfigError, DataError

Draw = Callable[..., None]
PEOPLE = ("p00", "p01", "p02", "p03", "p04")


def _line(name: str, face: tuple[float, ...], target: tuple[float, ...]) -> str:
    """28 columns: name, point on the screen, six landmarks, head rotation and translation, face, target, eye."""
    middle = " ".join(str(value) for value in [700, 400, *range(12), 0.1, 0.2, 0.3, 1, 2, 600])
    return f"{name} {middle} {' '.join(map(str, face))} {' '.join(map(str, target))} left"


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    """The original form: five people, 4 images each; the face is 600 mm before the camera."""
    root = tmp_path / "root"
    for p, person in enumerate(PEOPLE):
        lines = []
        for i in range(4):
            name = f"day0{1 + i % 2}/{i:04}.jpg"
            draw(root / "MPIIFaceGaze" / person / name, 50 + 20 * i + p)
            lines.append(_line(name, (10.0, -20.0, 600.0), (10.0 + 100 * i, -20.0 + 60 * p, 0.0)))
        (root / "MPIIFaceGaze" / person / f"{person}.txt").write_text("\n".join(lines) + "\n")
    return root


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(dataset="mpii-face-gaze", **changed)


def test_angles_worked_by_hand() -> None:
    # straight at the camera; 45 degrees up (y is down); 45 degrees to the left of x: the yaw is positive
    found = pitch_yaw(np.array([[0, 0, -5], [0, -1, -1], [-1, 0, -1], [1, 0, -1], [0, 1, 0], [0, 0, 0]], dtype=float))
    quarter = np.pi / 4
    expected = [[0, 0], [quarter, 0], [0, quarter], [0, -quarter], [-np.pi / 2, 0], [np.nan, np.nan]]
    np.testing.assert_allclose(found[:4], expected[:4], atol=1e-15)
    assert found[4, 0] == -np.pi / 2
    assert np.isnan(found[5]).all()


def test_a_mirrored_direction_has_the_opposite_yaw() -> None:
    direction = np.random.default_rng(0).normal(size=(20, 3))
    turned = pitch_yaw(direction * [-1, 1, 1])
    np.testing.assert_allclose(turned, pitch_yaw(direction) * [1, -1], atol=1e-12)


@pytest.mark.parametrize("inside", [".", "MPIIFaceGaze"])
def test_gaze_is_the_target_minus_the_face(tree: Path, inside: str) -> None:
    found = read(tree / inside, _settings())
    assert len(found.frame) == 20
    row = found.frame[found.frame["id"] == "p01/day02/0003.jpg"].iloc[0]
    gaze = np.array([300.0, 60.0, -600.0])
    assert row["path"] == ("MPIIFaceGaze/" if inside == "." else "") + "p01/day02/0003.jpg"
    assert row["pitch"] == pytest.approx(-np.arcsin(60 / np.linalg.norm(gaze)))
    assert row["yaw"] == pytest.approx(np.arctan2(-300, 600))
    np.testing.assert_allclose(row[["gaze_x", "gaze_y", "gaze_z"]].to_numpy(float), gaze / np.linalg.norm(gaze))
    assert (row["person"], row["eye"]) == ("p01", "left")
    assert found.remarks == (
        "the form is the original one",
        "a flip would change the yaw: where `mild` is named, `light` is used",
        "10 of the 15 people are not there: p05, p06, p07, p08, p09, p10, p11, p12, p13, p14",
    )


def test_damage_is_told_in_one_pass(tree: Path, draw: Draw) -> None:
    top = tree / "MPIIFaceGaze"
    (top / "p00" / "p00.txt").unlink()
    (top / "p01" / "day01" / "0000.jpg").unlink()
    with (top / "p02" / "p02.txt").open("a") as text:
        text.write("day01/0009.jpg 1 2 3\n")
    draw(top / "p03" / "day01" / "0002.jpg", broken=True)
    same = (5.0, 5.0, 500.0)
    with (top / "p04" / "p04.txt").open("a") as text:
        text.write(_line("day01/0008.jpg", same, same) + "\n")
    draw(top / "p04" / "day01" / "0008.jpg")
    table = read_table(tree, _settings())
    told = [str(problem) for problem in audit(table, _settings()).fatal]
    assert told[:3] == [
        "MPIIFaceGaze: 1 text files are missing: p00.txt. Unpack it again, or pass --on-bad skip to leave these people "
        "out.",
        "p02.txt: 1 lines do not hold 28 columns. Unpack it again, or pass --on-bad skip.",
        "MPIIFaceGaze/p01/day01: 1 of 2 files that the text file names are missing: 0000.jpg. Unpack it again, or pass "
        "--on-bad skip.",
    ]
    assert len(told) == 4
    assert "p03/day01/0002.jpg" in told[3]
    assert "15 rows are read, 1 are left out (1 with no pitch, yaw)" in str(table.problems[3])


def _gazehub(base: Path, draw: Draw) -> None:
    header = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
    for person in PEOPLE:
        lines = [header]
        for i in range(1, 4):
            name = f"{person}/face/{i}.jpg"
            draw(base / "Image" / name, 60 + 20 * i)
            yaw, pitch = 0.1 * i, -0.2
            gaze = (-np.cos(pitch) * np.sin(yaw), -np.sin(pitch), -np.cos(pitch) * np.cos(yaw))
            cells = [name, name, name, "day01/0001.jpg", "left", ",".join(map(str, gaze)), "0,0,1", f"{yaw},{pitch}"]
            lines.append(" ".join([*cells, "0,0", "1,0,0", "1,0,0", "0,0,600"]))
        (base / "Label").mkdir(exist_ok=True)
        (base / "Label" / f"{person}.label").write_text("\n".join(lines) + "\n")


def test_the_form_of_gazehub(tmp_path: Path, draw: Draw) -> None:
    _gazehub(tmp_path / "MPIIFaceGaze", draw)
    found = read(tmp_path, _settings())
    row = found.frame.iloc[1]
    assert len(found.frame) == 15
    assert row["path"] == "MPIIFaceGaze/Image/p00/face/2.jpg"
    assert row[["pitch", "yaw"]].tolist() == pytest.approx([-0.2, 0.2])
    assert row["person"] == "p00"


def test_odd_labels_of_gazehub(tmp_path: Path, draw: Draw) -> None:
    _gazehub(tmp_path, draw)
    (tmp_path / "Label" / "p00.label").write_text("no header\n")
    with (tmp_path / "Label" / "p01.label").open("a") as label:
        label.write("p01/face/9.jpg only three\n")
    assert [str(fault) for fault in read(tmp_path, _settings()).faults] == [
        "p00.label: has no columns Face and 3DGaze. Get it again.",
        "p01.label: 1 lines do not hold 12 columns with a 3DGaze of three numbers. Unpack it again, or pass --on-bad "
        "skip.",
    ]


def test_one_person_is_left_out(tree: Path) -> None:
    table = read_table(tree, _settings(hold_out="p03"))
    sides = table.frame.groupby("person")["split"].unique()
    assert sides["p03"].tolist() == ["test"]
    assert {side for person, found in sides.items() for side in found if person != "p03"} == {"train", "val"}
    for settings, message in (
        (
            _settings(hold_out="p3"),
            "hold_out 'p3' is no person of mpii-face-gaze, which has 5, such as p00, p01, p02. Did you mean 'p03'?",
        ),
        (
            _settings(split="published"),
            "there is no published split to read for mpii-face-gaze: the protocol leaves one person out: name that "
            "person with --hold-out, p00 to p14. Leave --split out.",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            read_table(tree, settings)
        assert str(caught.value) == message


def test_a_flip_is_never_used() -> None:
    assert suited_augment(_settings(), ("mild", "noise")) == ("light", "noise")
    assert suited_augment(DataSettings(dataset="agedb"), ("flip",)) == ("flip",)
    with pytest.raises(ConfigError) as caught:
        suited_augment(_settings(), ("simclr",))
    assert str(caught.value) == (
        "augment 'simclr' flips images, but a mirrored image of mpii-face-gaze has another target. Leave the flip out, "
        "as in --augment light,color."
    )


def test_other_folders_are_refused(tree: Path, tmp_path: Path, draw: Draw) -> None:
    _gazehub(tree, draw)
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == (
        f"{tree}: holds the set in 2 forms, original and GazeHub. Name the folder of one of them."
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read(tmp_path / "empty", _settings())
    assert str(caught.value) == (
        f"{tmp_path / 'empty'}: holds no p00/p00.txt, p00.mat or Label/p00.label; it holds nothing. Name the folder of "
        "the unpacked data set; `isotone datasets mpii-face-gaze` shows its layout."
    )
