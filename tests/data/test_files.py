"""Reading files: what is no table is refused before it is opened, cells stay as they stand."""

from pathlib import Path

import pandas as pd
import pytest

from isotone.data.files import check_file, fail, read_cells, shown, suggest
from isotone.errors import DataError


def test_cells_lines_and_short_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,,c\n\n 001 ,NA,1e5\nx,y\n")
    cells = read_cells(path)
    assert cells.header == ["a", "column 2", "c"]
    assert [column.tolist() for column in cells.columns] == [["001", "x"], ["NA", "y"], ["1e5", ""]]
    assert cells.lines.tolist() == [3, 4]
    assert [str(problem) for problem in cells.problems] == [
        "line 4: has 2 cells where the header has 3. Complete the row."
    ]


def test_parquet_counts_from_two_as_its_table_would_be_shown(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.5, 2.5]}).to_parquet(tmp_path / "t.parquet")
    cells = read_cells(tmp_path / "t.parquet")
    assert (cells.header, cells.columns[0].tolist(), cells.lines.tolist()) == (["a"], [1.5, 2.5], [2, 3])


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.txt", "t.pq", "t.parquet", "t.npz"])
def test_files_that_may_be_tables_pass(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    check_file(tmp_path / name)


def test_an_unknown_name_gets_the_nearest_table(tmp_path: Path) -> None:
    (tmp_path / "windows.npz").write_text("x")
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "window.npz")
    assert str(caught.value) == "window.npz: does not exist. The nearest name is 'windows.npz'."
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "q.csv")
    assert str(caught.value) == "q.csv: does not exist. Check the name; tables there: windows.npz."


def test_a_failure_names_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fail(tmp_path / "t.csv", "kind", "is odd", "Mend it", row=3)
    assert str(caught.value) == "line 3, t.csv: is odd. Mend it."


def test_suggestions_and_shown_text() -> None:
    assert suggest("aeg", ["age", "person"]) == "The nearest name is 'age'"
    assert suggest("zzz", ["age"]) == ""
    assert shown("a\x1b[31m\n") == r"a\x1b[31m\n"
    assert len(shown("x" * 500)) == 80
