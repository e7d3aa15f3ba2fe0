"""The audit as a whole: one pass, rows kept, warnings, and the texts that a user reads."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.data.audit import Audit, audit, bad_rows, format_problems, whole_problems
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import Problem

Build = Callable[..., DataSettings]
Edit = Callable[[int, str, str], None]


@pytest.fixture
def find(folder: Path, settings: Build) -> Callable[..., Audit]:
    def run(**changed: object) -> Audit:
        given = settings(**changed)
        return audit(read_table(folder / "labels.csv", given), given)

    return run


def test_a_sound_table(find: Callable[..., Audit]) -> None:
    found = find(group="person", split_column=None)
    assert found.problems == ()
    assert found.keep.all()
    assert found.grey
    assert found.target[:3, 0].tolist() == [20.5, 21.5, 22.5]
    assert found.lines.tolist() == list(range(2, 26))


def test_a_group_that_nobody_named(find: Callable[..., Audit]) -> None:
    assert [str(problem) for problem in find().problems] == [
        "column 'person': looks like a group (12 values in 24 rows). "
        "If it says whose row it is, name it with --group: else copies of one may be on two sides of the split."
    ]
    assert find(split_column="side").problems == ()  # the user's own split


def test_groups_on_two_sides_of_a_given_split(find: Callable[..., Audit], edit: Edit) -> None:
    edit(2, "train", "test")
    assert [str(problem) for problem in find(group="person", split_column="side").problems] == [
        "column 'person': 1 of 4 test groups are also trained on. "
        "Their error will be too low: leave the split column out to have one drawn by groups."
    ]


def test_one_row_can_have_several_problems(find: Callable[..., Audit], edit: Edit, folder: Path) -> None:
    edit(5, "23.5", "old")
    edit(5, "train", "tain")
    (folder / "images" / "3.png").unlink()
    found = find(split_column="side")
    assert [problem.kind for problem in found.problems] == ["target-text", "split-word", "missing-file"]
    assert np.flatnonzero(~found.keep).tolist() == [3]


def test_whole_table_problems_count_only_usable_rows(find: Callable[..., Audit], folder: Path) -> None:
    for i in range(16):
        (folder / "images" / f"{i}.png").unlink()
    assert str(find().problems[16]) == "table: 8 usable rows are too few. Give at least 10."


def test_features_are_checked_like_targets(folder: Path, settings: Build) -> None:
    frame = pd.DataFrame({"a": [*map(str, range(22)), "x", "1e39"], "age": range(24)})
    frame.to_csv(folder / "rows.csv", index=False)
    given = settings(features=("a",))
    found = audit(read_table(folder / "rows.csv", given), given)
    assert [str(problem) for problem in found.problems] == [
        "line 24, column 'a': 'x' is not a number. Correct it or remove the row.",
        "line 25, column 'a': 1e+39 is too large for single precision. Scale the column.",
    ]
    assert found.digest is None
    assert found.features.dtype == np.float32


def test_whole_problems_of_a_split() -> None:
    target = np.arange(12.0)[:, None]
    split = np.array(["train"] * 11 + ["val"])
    assert [str(problem) for problem in whole_problems(target, ["y"], split)] == [
        "table: 1 usable rows are marked val. Mark at least 2, or leave the split column out to have one drawn.",
        "table: 0 usable rows are marked test. Mark at least 2, or leave the split column out to have one drawn.",
    ]


@pytest.mark.parametrize(
    ("start", "written"), [("=", "'="), ("+", "'+"), ("-", "'-"), ("@", "'@"), ("\t", r"\t"), ("\r", r"\r")]
)
def test_formulas_are_neutralised(start: str, written: str, tmp_path: Path) -> None:
    problem = Problem("missing-file", "does not exist", "Check", row=3, column=f"{start}c", file=f"{start}SUM(A1)")
    found = Audit(
        problems=(problem, Problem("few-rows", "x", "y"), Problem("suffix", "x", "y", row=4, fatal=False)),
        keep=np.array([False]),
        lines=np.array([3]),
        label=np.array(["a"]),
        target=np.zeros((1, 1)),
        features=np.zeros((1, 0)),
        group=None,
        split=None,
        sources=(),
        digest=None,
        grey=False,
    )
    bad_rows(found).to_csv(tmp_path / "bad_rows.csv", index=False)
    with (tmp_path / "bad_rows.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["line", "column", "file", "kind", "problem", "fix"],
        ["3", f"{written}c", f"{written}SUM(A1)", "missing-file", "does not exist", "Check"],
    ]


def test_a_thousand_images_fifty_damaged(tmp_path: Path, settings: Build) -> None:
    """The error lists 50 of 50; the file of bad rows has 50 lines (acceptance test R10, on rows of bytes)."""
    from io import BytesIO

    from PIL import Image

    cells: list[bytes] = []
    for i in range(1000):
        out = BytesIO()
        Image.fromarray(np.full((4, 4), i % 256, np.uint8) + np.uint8(i // 256)).save(out, "BMP")
        cells.append(out.getvalue()[:40] if i % 20 == 7 else out.getvalue() + bytes([i % 256, i // 256]))
    pd.DataFrame({"image": cells, "age": range(1000)}).to_parquet(tmp_path / "t.parquet")
    found = audit(read_table(tmp_path / "t.parquet", settings()), settings())
    assert len(found.fatal) == 50
    assert bad_rows(found)["line"].tolist() == [i + 2 for i in range(1000) if i % 20 == 7]
    assert found.keep.sum() == 950


def test_few_problems_are_listed_in_full() -> None:
    problems = [
        Problem("suffix", "holds BMP", "Rename it", row=4, file="a.png", fatal=False),
        Problem("no-file", "names no image", "Fill in", row=3),
    ]
    assert format_problems(problems) == (
        "1 problem, 1 warning: 1 no-file, 1 suffix\n"
        "line 3: names no image. Fill in.\n"
        "warning: line 4, a.png: holds BMP. Rename it."
    )
    assert format_problems([]) == ""


def test_many_problems_share_the_lines_by_kind() -> None:
    problems = [Problem("missing-file", "does not exist", "Check", row=i) for i in range(2, 102)]
    problems += [Problem("target-text", "is text", "Correct it", row=i) for i in range(2, 4)]
    assert format_problems(problems, limit=4) == (
        "102 problems, 0 warnings: 100 missing-file, 2 target-text\n"
        "line 2: does not exist. Check.\n"
        "line 3: does not exist. Check.\n"
        "line 2: is text. Correct it.\n"
        "line 3: is text. Correct it.\n"
        "... and 98 more; `isotone check` lists all."
    )
