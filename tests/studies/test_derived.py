"""Parts of a table: written once, test rows first, files still found, the user's file untouched."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data.edf_files import write_edf
from PIL import Image

from isotone.data.datasets.reading import with_columns
from isotone.data.load import load_table
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.records import Dataset
from isotone.studies.derived import write_part


def _rows(folder: Path) -> tuple[Path, DataSettings, Dataset]:
    table = folder / "t.csv"
    group = [f"{i // 2:03d}" for i in range(60)]
    pd.DataFrame({"a": range(60), "y": [i % 9 for i in range(60)], "who": group}).to_csv(table, index=False)
    settings = DataSettings(target=("y",), features=("a",), group="who")
    return table, settings, load_table(table, settings, 0)[0]


def test_a_part_is_its_rows_with_the_test_rows_first(tmp_path: Path) -> None:
    table, settings, data = _rows(tmp_path)
    before = table.read_bytes()
    train = data.rows("train")[:10]
    part = write_part(tmp_path / "s" / "part", table, data, settings, train.tolist(), data.rows("val").tolist())
    found = pd.read_csv(part.path, dtype=str)
    test = len(data.rows("test"))
    assert found["isotone_split"].tolist()[:test] == ["test"] * test
    assert (found["isotone_split"] == "train").sum() == 10
    assert found["who"].str.len().eq(3).all()  # text stays text
    again = load_table(part.path, DataSettings(target=("y",), features=("a",), group="who", **part.settings), 5)[0]
    assert np.array_equal(again.inputs[again.rows("test")], data.inputs[data.rows("test")])
    assert np.array_equal(again.inputs[again.rows("train")], data.inputs[train])
    assert part.lines[:test].tolist() == data.row[data.rows("test")].tolist()
    assert table.read_bytes() == before


def test_a_part_is_written_once_and_another_is_refused(tmp_path: Path) -> None:
    table, settings, data = _rows(tmp_path)
    val = data.rows("val").tolist()
    part = write_part(tmp_path / "part", table, data, settings, data.rows("train").tolist(), val)
    written = part.path.stat().st_mtime_ns
    write_part(tmp_path / "part", table, data, settings, data.rows("train").tolist(), val)
    assert part.path.stat().st_mtime_ns == written
    with pytest.raises(ConfigError) as caught:
        write_part(tmp_path / "part", table, data, settings, data.rows("train")[1:].tolist(), val)
    assert str(caught.value) == (
        f"{part.path} holds other rows than this study would write: the table or the settings have changed. "
        "Choose another --out."
    )
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_images_are_found_from_another_folder(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "data" / "im").mkdir(parents=True)
    for i in range(30):
        Image.fromarray(np.full((8, 8), 8 * i, np.uint8)).save(tmp_path / "data" / "im" / f"{i}.png")
    table = tmp_path / "data" / f"t.{suffix}"
    frame = pd.DataFrame({"image": [f"im/{i}.png" for i in range(30)], "y": np.arange(30.0)})
    frame.to_csv(table, index=False) if suffix == "csv" else frame.to_parquet(table, index=False)
    settings = DataSettings(target=("y",), image_size=8, cache_dir=str(tmp_path / "cache"))
    data = load_table(table, settings, 0)[0]
    part = write_part(
        tmp_path / "s" / "part", table, data, settings, data.rows("train").tolist(), data.rows("val").tolist()
    )
    own = DataSettings(target=("y",), image_size=8, cache_dir=str(tmp_path / "cache"), **part.settings)
    again = load_table(part.path, own, 0)[0]
    assert np.array_equal(again.inputs[:, 0, 0, 0], 8 * again.target[:, 0])


@pytest.mark.parametrize("latin", [False, True])
def test_a_data_set_becomes_a_table(tmp_path: Path, latin: bool) -> None:
    folder = tmp_path / "root" / "AgeDB"
    folder.mkdir(parents=True)
    for i in range(30):
        name = f"{i}_Person{'abcdefgh'[i % 8]}_{20 + i}_m.jpg"
        name = name.replace("Personc", b"P\x82".decode("utf-8", "surrogateescape")) if latin else name  # bytes in cells
        Image.fromarray(np.full((8, 8, 3), 8 * i, np.uint8)).save(folder / name)
    settings = with_columns(DataSettings(dataset="agedb", image_size=8, cache_dir=str(tmp_path / "cache")))
    data = load_table(tmp_path / "root", settings, 0)[0]
    sides = [data.rows(side).tolist() for side in ("train", "val")]
    part = write_part(tmp_path / "s" / "part", tmp_path / "root", data, settings, *sides)
    again = load_table(part.path, replace(settings, **part.settings), 0)[0]
    rows = np.argsort(part.lines)
    assert part.path.suffix == ".parquet"
    assert np.array_equal(again.inputs[rows], data.inputs)
    assert np.array_equal(again.split[rows], data.split)
    assert again.group is not None
    assert data.group is not None
    assert again.group[rows].tolist() == data.group.tolist()


def test_a_recording_is_one_row_of_a_part(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for i in range(12):
        x = draw.normal(0, 50, (2, 300)).round()
        write_edf(tmp_path / "data" / f"{i}.edf", {"FP1": x[0], "FP2": x[1]} if i else {"FP2": x[0], "FP1": x[1]})
    table = tmp_path / "data" / "t.csv"
    pd.DataFrame({"file": [f"{i}.edf" for i in range(12)], "y": range(12)}).to_csv(table, index=False)
    settings = DataSettings(target=("y",), window_s=1.0, cache_dir=str(tmp_path / "cache"))
    data = load_table(table, settings, 0)[0]
    sides = [data.rows(side).tolist() for side in ("train", "val")]
    part = write_part(tmp_path / "s" / "part", table, data, settings, *sides)
    again = load_table(part.path, replace(settings, **part.settings), 0)[0]
    rows = np.argsort(part.lines, kind="stable")
    assert part.settings["pick"] == ("FP2", "FP1")  # as the first of the user's recordings has them
    assert len(pd.read_csv(part.path)) == 12
    assert np.array_equal(again.inputs[rows], data.inputs)
    assert np.array_equal(again.target[rows], data.target)
    assert np.array_equal(again.split[rows], data.split)


def test_signals_keep_their_arrays(tmp_path: Path) -> None:
    x = np.arange(40 * 2 * 16, dtype=np.float32).reshape(40, 2, 16)
    np.savez(tmp_path / "t.npz", signal=x, y=np.arange(40.0), note=np.array("who made it"))
    settings = DataSettings(target=("y",))
    data = load_table(tmp_path / "t.npz", settings, 0)[0]
    for _ in range(2):  # the second call compares
        part = write_part(
            tmp_path / "part",
            tmp_path / "t.npz",
            data,
            settings,
            data.rows("train").tolist(),
            data.rows("val").tolist(),
        )
    again = load_table(part.path, DataSettings(target=("y",), **part.settings), 0)[0]
    assert np.array_equal(again.inputs, x[again.target[:, 0].astype(int)])
    assert len(again.target) == 40
