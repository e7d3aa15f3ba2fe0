"""SkyFinder on a tiny tree: sentinels, cameras that were not downloaded, cut-off pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from isotone.data.audit import audit
from isotone.data.datasets.skyfinder import read
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import DataError

Draw = Callable[..., None]
CAMERAS = (65, 75, 162, 4232)


def _name(i: int) -> str:
    return f"201306{i + 1:02}_101231.jpg"


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    """Four cameras with 6 pictures each; the table also has the camera 9999, which has no folder."""
    root = tmp_path / "root"
    rows = []
    for camera in (*CAMERAS, 9999):
        for i in range(6):
            temperature = -5.5 + i + camera / 1000
            rows.append(
                {"Filename": _name(i), "CamId": camera, "TempM": temperature, "Hour": i, "Conds": "Überwiegend"}
            )
            if camera != 9999:
                draw(root / "images" / str(camera) / _name(i), 60 + 8 * temperature)
    _write(root, rows)
    return root


def _write(root: Path, rows: list[dict[str, Any]], name: str = "complete_table_with_mcr.csv") -> None:
    pd.DataFrame(rows).to_csv(root / name, index=False)


def _settings(**changed: Any) -> DataSettings:
    return DataSettings(dataset="skyfinder", **changed)


def test_rows_of_downloaded_cameras(tree: Path) -> None:
    found = read(tree, _settings())
    assert len(found.frame) == 24
    first = found.frame.iloc[0]
    assert (first["id"], first["path"]) == (f"65/{_name(0)}", f"images/65/{_name(0)}")
    assert (first["TempM"], first["CamId"], first["Hour"]) == (-5.435, "65", 0)
    assert found.left_out == {"of 1 cameras without a folder": 6, "named twice": 0}
    assert found.remarks == ("cameras without a folder: '9999'",)


def test_cameras_may_lie_beside_the_table_and_the_table_be_called_metadata(tree: Path) -> None:
    top = tree / "skyfinder"
    top.mkdir()
    for camera in (tree / "images").iterdir():
        camera.rename(top / camera.name)
    (tree / "complete_table_with_mcr.csv").rename(top / "metadata.csv")
    (tree / "images").rmdir()
    assert read(tree, _settings()).frame["path"].iloc[0] == f"skyfinder/65/{_name(0)}"
    assert read(top, _settings()).frame["path"].iloc[0] == f"65/{_name(0)}"


def test_sentinels_are_missing_values(tree: Path) -> None:
    table = pd.read_csv(tree / "complete_table_with_mcr.csv")
    table.loc[0, "TempM"], table.loc[1, "TempM"], table.loc[2, "TempM"] = -9999, -999.0, None
    table.loc[3, "Hour"] = -9999
    table.to_csv(tree / "complete_table_with_mcr.csv", index=False)
    frame = read(tree, _settings()).frame
    assert frame["TempM"].isna().sum() == 3
    assert frame["TempM"].min() > -6
    assert frame["Hour"].isna().sum() == 1
    made = read_table(tree, _settings())
    assert len(made.frame) == 21
    assert str(made.problems[0]) == (
        "skyfinder: 21 rows are read, 9 are left out (6 of 1 cameras without a folder, 3 with no TempM). "
        "`isotone datasets skyfinder` says more."
    )
    assert len(read_table(tree, _settings(unlabelled=True)).frame) == 24


def test_one_camera_can_be_held_out(tree: Path) -> None:
    table = read_table(tree, _settings(hold_out="75"))
    sides = table.frame.groupby("CamId")["split"].unique().map(list).to_dict()
    assert sides.pop("75") == ["test"]
    assert sorted(side for (side,) in sides.values()) in (["train", "train", "val"], ["train", "val", "val"])
    assert table.split_column == "split"
    assert read_table(tree, _settings()).split_column is None


def test_missing_and_cut_off_pictures_are_told_in_one_pass(tree: Path, draw: Draw) -> None:
    (tree / "images" / "65" / _name(0)).unlink()
    (tree / "images" / "75" / _name(1)).unlink()
    draw(tree / "images" / "162" / _name(2), broken=True)
    told = [str(problem) for problem in audit(read_table(tree, _settings()), _settings()).fatal]
    assert told[0] == (
        f"images/65: 1 of 6 files that the table names are missing: {_name(0)}. Unpack it again, or pass --on-bad skip."
    )
    assert len(told) == 3
    skipped = audit(read_table(tree, _settings(on_bad="skip")), _settings(on_bad="skip"))
    assert skipped.keep.sum() == 21


def test_faults_of_the_table(tree: Path) -> None:
    _write(tree, [{"Filename": "a.jpg", "CamId": 65}])
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == (
        "complete_table_with_mcr.csv: lacks TempM; its columns are Filename, CamId. Download it again."
    )
    (tree / "complete_table_with_mcr.csv").write_text("")
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == (
        "complete_table_with_mcr.csv: cannot be read as CSV (No columns to parse from file). Download it again."
    )


def test_another_folder_is_refused(tree: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tree / "images", _settings())
    assert str(caught.value) == (
        f"{tree / 'images'}: holds no complete_table_with_mcr.csv or metadata.csv; it holds 162, 4232, 65. Name the "
        "folder of the unpacked data set; `isotone datasets skyfinder` shows its layout."
    )
    (tree / "images").rename(tree / "pictures")
    with pytest.raises(DataError) as caught:
        read(tree, _settings())
    assert str(caught.value) == (
        f"{tree}: holds no folder of a camera, such as 162; it holds complete_table_with_mcr.csv, pictures. Name the "
        "folder of the unpacked data set; `isotone datasets skyfinder` shows its layout."
    )
