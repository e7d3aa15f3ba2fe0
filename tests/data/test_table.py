"""Reading tables: text stays text, lines are an editor's, columns are found, paths stay inside."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.data.settings import DataSettings
from isotone.data.table import label, locate, numbers, read_table, texts
from isotone.errors import DataError

Build = Callable[..., DataSettings]


def test_text_stays_text(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,age,person\na.png,1,001\nb.png,2,NA\nc.png,3, 1e5 \n")
    table = read_table(path, settings(group="person"))
    assert table.column("person").tolist() == ["001", "NA", "1e5"]
    assert table.image_column == "image"
    assert table.root == tmp_path


def test_lines_are_those_of_an_editor(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text('image,age,note\n\na.png,1,"two\nlines"\n\nb.png,2,\n')
    assert read_table(path, settings()).lines.tolist() == [3, 6]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_newlines_and_byte_order_mark(tmp_path: Path, settings: Build, newline: str, mark: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes((mark + newline.join(["image,age", "a.png,1", "b.png,2"])).encode())
    table = read_table(path, settings())
    assert table.column("age").tolist() == ["1", "2"]
    assert table.lines.tolist() == [2, 3]


def test_tabs_and_spaces_after_commas(tmp_path: Path, settings: Build) -> None:
    (tmp_path / "t.tsv").write_text("image\tage\na.png\t1\n")
    (tmp_path / "t.csv").write_text('image, age\n"a.png", 1\n')
    assert read_table(tmp_path / "t.tsv", settings()).column("age").tolist() == ["1"]
    assert read_table(tmp_path / "t.csv", settings()).column("age").tolist() == ["1"]


def test_an_index_column_without_a_name_is_no_fault(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    pd.DataFrame({"image": ["a.png"], "age": [1]}).to_csv(path)
    assert read_table(path, settings()).frame.columns.tolist() == ["column 1", "image", "age"]


def test_numbered_columns_are_a_header_when_they_are_named(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("0,1\n5,6\n")
    assert read_table(path, settings(target=("1",), features=("0",))).features == ("0",)
    with pytest.raises(DataError) as caught:
        read_table(path, settings(target=("y",), features=("x",)))
    assert str(caught.value) == (
        "t.csv: has no header: its first line is data (0, 1). Write the column names into the first line."
    )


def test_parquet_keeps_its_types(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"image": [b"BM", None], "age": [1.5, np.nan], "person": [7, 8]}).to_parquet(path)
    table = read_table(path, settings())
    assert table.image_column == "image"
    assert table.lines.tolist() == [2, 3]
    assert texts(table.column("person")).tolist() == ["7", "8"]


def test_all_missing_columns_in_one_error(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,age,person\na.png,1,x\n")
    with pytest.raises(DataError) as caught:
        read_table(path, settings(target=("agge",), group="prson"))
    assert str(caught.value) == (
        "t.csv: has no column 'agge' (--target). The nearest name is 'age'.\n"
        "t.csv: has no column 'prson' (--group). The nearest name is 'person'."
    )


def test_new_data_needs_no_target_columns(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image\na.png\n")
    run = settings(group="person", split_column="side", sequence="track", time="frame", second="mask", unlabelled=True)
    table = read_table(path, run, targets=False)
    assert (table.target, table.group, table.split_column) == ((), None, None)
    assert (table.category, table.sequence, table.time, table.second, table.fresh) == (None, None, None, None, True)


def test_labels_can_be_optional(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,age\na.png,1\n")
    table = read_table(path, settings(target=()), labels="optional")
    assert (table.target, table.category, table.fresh, table.kind) == ((), None, False, "image")
    with pytest.raises(DataError) as caught:
        read_table(path, settings(target=()))
    assert str(caught.value) == (
        "t.csv: no label is named. Name numbers to predict with --target, or classes to tell apart with --category: "
        "numeric columns are age."
    )


def test_the_second_image_column_is_not_taken_for_the_first(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("left,right,age\na.png,b.png,1\n")
    table = read_table(path, settings(second="right"))
    assert (table.image_column, table.second, table.inputs) == ("left", "right", {})


def test_new_columns_are_missed_by_their_flags(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,age,track\na.png,1,x\n")
    run = settings(target=(), category="kind", sequence="trak", time="when", second="other")
    with pytest.raises(DataError) as caught:
        read_table(path, run)
    assert [problem.what for problem in caught.value.problems] == [
        "has no column 'kind' (--category)",
        "has no column 'trak' (--sequence)",
        "has no column 'when' (--time)",
        "has no column 'other' (--second)",
    ]


def test_arrays_are_not_looked_for_in_a_table_of_cells(tmp_path: Path, settings: Build) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,age\na.png,1\n")
    with pytest.raises(DataError) as caught:
        read_table(path, settings(signal="x"))
    assert str(caught.value) == (
        "t.csv: holds no arrays, but 'x' (--signal) is to be one. Give a .npz file, or leave --signal out."
    )


def test_a_target_with_image_names_is_not_needed_to_find_the_images(shared_data: Path, settings: Build) -> None:
    table = read_table(shared_data / "hc18" / "labels.csv", settings(target=("hc_px",), group="fetus"))
    assert (table.image_column, len(table.frame), table.lines[-1]) == ("image", 999, 1000)


def test_numbers() -> None:
    cells = pd.Series(["1", " 2.5 ", "1e3", "", "1,5", "1_000", "0x10", None, "inf", "nan", 7, True], dtype=object)
    nan = float("nan")
    expected = [1, 2.5, 1000, nan, nan, nan, nan, nan, float("inf"), nan, 7, 1]
    np.testing.assert_array_equal(numbers(cells), expected)
    np.testing.assert_array_equal(numbers(pd.Series([1, None], dtype="Int64")), [1, nan])
    assert np.isnan(numbers(pd.Series(pd.to_datetime(["2020-01-01"])))).all()  # a date is no number of nanoseconds


def test_texts() -> None:
    assert texts(pd.Series([1.0, np.nan, 2.0])).tolist() == ["1", "", "2"]
    assert texts(pd.Series([" a ", None], dtype=object)).tolist() == ["a", ""]


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/a.png", "~/a.png", "a/../../b.png", "..", ".", "out/a.png", r"D:\a.png", "data2/../../data2/a.png"],
)
def test_paths_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "data2").mkdir()  # begins like the root
    (root / "out").symlink_to(tmp_path / "data2")
    with pytest.raises(DataError) as caught:
        locate(name, root, allow_outside=False)
    assert caught.value.problems[0].kind == "outside-path"
    assert isinstance(locate(name, root, allow_outside=True), Path)


@pytest.mark.parametrize("name", ["http://h.example/a.png", "FILE:///a", r"\\host\a.png", "//host/a.png"])
def test_addresses_are_never_opened(tmp_path: Path, name: str) -> None:
    for allowed in (False, True):
        with pytest.raises(DataError) as caught:
            locate(name, tmp_path, allow_outside=allowed)
        assert str(caught.value) == "table: is an address, not a file. Download the images and name the files."


def test_nul_bytes_and_empty_cells(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^table: the file name holds a NUL byte\. Correct the file name\.$"):
        locate("a\0.png", tmp_path, allow_outside=True)
    for cell in ("", None, float("nan"), b"", {"bytes": None, "path": None}):
        with pytest.raises(DataError, match=r"^table: names no image\. Fill in the file name or remove the row\.$"):
            locate(cell, tmp_path, allow_outside=False)


def test_paths_that_stay_inside(tmp_path: Path) -> None:
    expected = tmp_path.resolve() / "b.png"
    for cell in ("b.png", "a/../b.png", str(tmp_path / "b.png"), {"bytes": None, "path": "b.png"}):
        assert locate(cell, tmp_path, allow_outside=False) == expected


def test_labels() -> None:
    assert label(None, 4) == "row 4"
    assert label({"bytes": b"x", "path": "p.png"}, 4) == "p.png"
