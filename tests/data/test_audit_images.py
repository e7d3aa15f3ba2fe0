"""Copies, odd names and dark 16-bit images, each with its words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotone.data.audit import Audit, audit
from isotone.data.settings import DataSettings
from isotone.data.table import read_table

Build = Callable[..., DataSettings]


@pytest.fixture
def find(folder: Path, settings: Build) -> Callable[..., Audit]:
    def run(**changed: object) -> Audit:
        given = settings(**{"group": "person", **changed})
        return audit(read_table(folder / "labels.csv", given), given)

    return run


def test_a_copy_is_a_warning_where_the_split_is_drawn(
    folder: Path, find: Callable[..., Audit], edit: Callable[[int, str, str], None]
) -> None:
    (folder / "images" / "5.png").write_bytes((folder / "images" / "1.png").read_bytes())
    assert [str(problem) for problem in find().problems] == [
        "line 7, column 'image', images/5.png: has the same content as line 3 but another target. "
        "Correct one of them or remove both."
    ]
    edit(7, "25.5", "21.5")
    found = find()
    assert [str(problem) for problem in found.problems] == [
        "line 7, column 'image', images/5.png: has the same content as line 3. "
        "Remove one unless it is meant; a drawn split keeps copies on one side."
    ]
    assert found.keep.all()


def test_of_copies_across_a_given_split_the_held_out_one_stays(folder: Path, find: Callable[..., Audit]) -> None:
    for number in (0, 4):  # train and val; 6 is test
        (folder / "images" / f"{number}.png").write_bytes((folder / "images" / "6.png").read_bytes())
    found = find(split_column="side")
    assert [str(problem) for problem in found.problems] == [
        "line 2, column 'image', images/0.png: (train) has the same content as line 8 (test). "
        "Remove one, or move both to the same side.",
        "line 6, column 'image', images/4.png: (val) has the same content as line 8 (test). "
        "Remove one, or move both to the same side.",
    ]
    assert np.flatnonzero(~found.keep).tolist() == [0, 4]


def test_names_that_mislead_are_a_warning(folder: Path, find: Callable[..., Audit]) -> None:
    path = folder / "images" / "2.png"
    Image.open(path).convert("L").save(path, format="BMP")
    found = find()
    assert [str(problem) for problem in found.problems] == [
        "line 4, column 'image', images/2.png: holds BMP, whatever its name says. Rename it if that was a mistake."
    ]
    assert found.keep.all()


def test_dark_16_bit_images_are_a_warning(folder: Path, find: Callable[..., Audit]) -> None:
    for i in range(24):
        values = np.random.default_rng(i).integers(0, 4095, (8, 8), dtype=np.uint16)
        values[0, 0] = 4095  # 12 bits
        Image.fromarray(values).save(folder / "images" / f"{i}.png")
    assert [str(problem) for problem in find().problems] == [
        "column 'image': the 16-bit greys go up to 4095 of 65535 only, so that 16 grey levels remain. "
        "Save them scaled to the full range, all by the same factor."
    ]


def test_only_the_first_missing_files_get_a_suggestion(folder: Path, find: Callable[..., Audit]) -> None:
    for i in range(5):
        (folder / "images" / f"{i}.png").rename(folder / "images" / f"x{i}.png")
    fixes = [problem.fix for problem in find().fatal]
    assert ["there is" in fix for fix in fixes] == [True, True, True, False, False]
