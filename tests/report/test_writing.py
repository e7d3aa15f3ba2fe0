"""A page is written whole, or the old one stays."""

from pathlib import Path

import pytest

from isotone.errors import CheckpointError
from isotone.report.writing import write_page


def test_replaces_the_old_page_and_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("old")
    write_page(tmp_path / "a.html", "new \u00e4\n")
    assert (tmp_path / "a.html").read_bytes() == b"new \xc3\xa4\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_no_folder_to_write_into(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.html"
    with pytest.raises(CheckpointError) as error:
        write_page(path, "new")
    assert str(error.value) == (
        f"The report cannot be written to {path}: No such file or directory. Make room or make the folder writable, "
        "then run `isotone report` again."
    )
