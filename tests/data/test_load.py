"""A table's way to a data set: sound tables load, and every malformed one ends in one clear message."""

import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from isotone.data.audit import bad_rows, format_problems
from isotone.data.load import load_inputs, load_table
from isotone.data.settings import DataSettings
from isotone.data.split import shared_groups
from isotone.errors import DataError

Build = Callable[..., DataSettings]


@dataclass
class Sheet:
    """The sound table of a test, and ways to damage it."""

    folder: Path
    settings: dict[str, object]
    name: str = "labels.csv"

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def edit(self, line: int, old: str, new: str) -> None:
        lines = self.path.read_text().split("\n")
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new)
        self.path.write_text("\n".join(lines))

    def replace_all(self, old: str, new: str) -> None:
        self.path.write_text(self.path.read_text().replace(old, new))

    def write(self, data: bytes) -> None:
        self.path.write_bytes(data)

    def image(self, number: int) -> Path:
        return self.folder / "images" / f"{number}.png"


def bomb(width: int, height: int) -> bytes:
    """A PNG of many pixels in few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * 64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# what each damage must be answered with stands in messages.txt
TABLES: dict[str, Callable[[Sheet], object]] = {
    "missing table": lambda s: setattr(s, "name", "label.csv"),
    "missing folder": lambda s: setattr(s, "name", "nowhere/labels.csv"),
    "a folder": lambda s: setattr(s, "name", "."),
    "a folder of images": lambda s: setattr(s, "name", "images"),
    "an image": lambda s: setattr(s, "name", "images/0.png"),
    "a pipe": lambda s: (s.path.unlink(), os.mkfifo(s.path)),
    "empty": lambda s: s.write(b""),
    "blank": lambda s: s.write(b"\xef\xbb\xbf\n\n"),
    "header only": lambda s: s.write(b"image,age\n"),
    "utf-16": lambda s: s.write(s.path.read_text().encode("utf-16")),
    "latin-1": lambda s: s.write(s.path.read_bytes().replace(b"p03", b"Andr\xe9")),
    "nul": lambda s: s.write(s.path.read_bytes().replace(b"p03", b"p\x003")),
    "semicolons": lambda s: s.replace_all(",", ";"),
    "tabs": lambda s: s.replace_all(",", "\t"),
    "commas in tsv": lambda s: (s.path.rename(s.folder / "labels.tsv"), setattr(s, "name", "labels.tsv")),
    "no header": lambda s: s.replace_all("image,age,person,side\n", ""),
    "column twice": lambda s: s.edit(1, "side", "age"),
    "open quote": lambda s: s.edit(9, "images", '"images'),
    "missing cell": lambda s: s.edit(5, ",train", ""),
    "extra cell": lambda s: s.edit(5, "23.5", "23,5"),
    "target misspelt": lambda s: s.settings.update(target=("aeg",)),
    "group misspelt": lambda s: s.settings.update(group="persons"),
    "split misspelt": lambda s: s.settings.update(split_column="zzz"),
    "image misspelt": lambda s: s.settings.update(image_column="Image"),
    "no target": lambda s: s.settings.update(target=()),
    "no image column": lambda s: s.replace_all(".png", ""),
    "two image columns": lambda s: two_images(s),
    "constant target": lambda s: ages(s, "7"),
    "few rows": lambda s: s.write(b"image,age\nimages/0.png,1\nimages/1.png,2\n"),
    "text target": lambda s: s.settings.update(target=("person",)),
    "empty target": lambda s: ages(s, ""),
    "decimal commas": lambda s: ages(s, '"1,{}"'),
    "few groups": lambda s: (s.replace_all("val", "train"), s.settings.update(group="side")),
    "no test rows": lambda s: (s.replace_all("test", "train"), s.settings.update(split_column="side")),
    "bad parquet": lambda s: (s.path.rename(s.folder / "labels.parquet"), setattr(s, "name", "labels.parquet")),
    "text feature": lambda s: s.settings.update(features=("person",)),
}
ROWS: dict[str, Callable[[Sheet], object]] = {
    "missing file": lambda s: s.edit(5, "3.png", "x3.png"),
    "no file": lambda s: s.edit(5, "images/3.png", ""),
    "zero bytes": lambda s: s.image(3).write_bytes(b""),
    "text file": lambda s: s.image(3).write_text("hello there"),
    "noise": lambda s: s.image(3).write_bytes(bytes(range(256))),
    "pdf": lambda s: s.image(3).write_bytes(b"%PDF-1.7 ..."),
    "eps": lambda s: s.image(3).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    "psd": lambda s: s.image(3).write_bytes(b"8BPS\0\1" + bytes(20)),
    "heic": lambda s: s.image(3).write_bytes(b"\0\0\0\x18ftypheic" + bytes(20)),
    "truncated png": lambda s: s.image(3).write_bytes(s.image(3).read_bytes()[:80]),
    "truncated jpeg": lambda s: truncate_jpeg(s.image(3)),
    "damaged png": lambda s: s.image(3).write_bytes(flip(s.image(3).read_bytes(), 60)),
    "pixel bomb": lambda s: s.image(3).write_bytes(bomb(14_000, 13_000)),
    "larger bomb": lambda s: s.image(3).write_bytes(bomb(40_000, 40_000)),
    "float image": lambda s: Image.fromarray(np.ones((4, 4), np.float32)).save(s.image(3), format="TIFF"),
    "a folder": lambda s: (s.image(3).unlink(), s.image(3).mkdir()),
    "pipe": lambda s: (s.image(3).unlink(), os.mkfifo(s.image(3))),
    "device": lambda s: (s.edit(5, "images/3.png", "/dev/zero"), s.settings.update(allow_outside=True)),
    "link loop": lambda s: (s.image(3).unlink(), s.image(3).symlink_to(s.image(3))),
    "link outside": lambda s: (s.image(3).unlink(), s.image(3).symlink_to("/etc/passwd")),
    "upwards": lambda s: s.edit(5, "images/3.png", "../../x.png"),
    "absolute": lambda s: s.edit(5, "images/3.png", "/etc/passwd"),
    "home": lambda s: s.edit(5, "images/3.png", "~/x.png"),
    "http": lambda s: s.edit(5, "images/3.png", "http://a.example/x.png"),
    "file url": lambda s: s.edit(5, "images/3.png", "file:///etc/passwd"),
    "unc": lambda s: s.edit(5, "images/3.png", r"\\server\share\x.png"),
    "drive": lambda s: s.edit(5, "images/3.png", r"C:\x.png"),
    "long name": lambda s: s.edit(5, "images/3.png", "a" * 5000 + ".png"),
    "same file": lambda s: s.edit(5, "3.png", "2.png"),
    "leak": lambda s: (s.image(3).write_bytes(s.image(4).read_bytes()), s.settings.update(split_column="side")),
    "text age": lambda s: s.edit(5, "23.5", "old"),
    "empty age": lambda s: s.edit(5, "23.5", ""),
    "nan": lambda s: s.edit(5, "23.5", "NaN"),
    "inf": lambda s: s.edit(5, "23.5", "-inf"),
    "too large": lambda s: s.edit(5, "23.5", "1e999"),
    "decimal comma": lambda s: s.edit(5, "23.5", '"23,5"'),
    "underscore": lambda s: s.edit(5, "23.5", "1_000"),
    "control characters": lambda s: s.edit(5, "23.5", "\x1b[31mred"),
    "no group": lambda s: (s.edit(5, "p01", ""), s.settings.update(group="person")),
    "split word": lambda s: (s.edit(5, "train", "hold-out"), s.settings.update(split_column="side")),
    "no split word": lambda s: (s.edit(5, "train", ""), s.settings.update(split_column="side")),
}


def ages(s: Sheet, cell: str) -> None:
    s.path.write_text("image,age\n" + "".join(f"images/{i}.png,{cell.format(i)}\n" for i in range(24)))


def two_images(s: Sheet) -> None:
    pd.read_csv(s.path).assign(mask=lambda frame: frame["image"]).to_csv(s.path, index=False)


def truncate_jpeg(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:1500])


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


MESSAGES = dict(
    line.split(" | ", 1) for line in (Path(__file__).parent / "messages.txt").read_text("utf-8").splitlines()
)


@pytest.fixture
def sheet(folder: Path) -> Sheet:
    return Sheet(folder, {})


@pytest.mark.parametrize("damage", [*(f"table: {name}" for name in TABLES), *(f"row: {name}" for name in ROWS)])
def test_malformed_tables_end_in_one_clear_message(damage: str, sheet: Sheet, settings: Build) -> None:
    kind, name = damage.split(": ", 1)
    (TABLES if kind == "table" else ROWS)[name](sheet)
    with pytest.raises(DataError) as caught:
        load_table(sheet.path, settings(**sheet.settings), 0)
    assert format_problems(caught.value.problems) == MESSAGES[damage]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ROWS)
def test_skip_drops_exactly_the_bad_row(name: str, sheet: Sheet, settings: Build) -> None:
    ROWS[name](sheet)
    data, found = load_table(sheet.path, settings(**{**sheet.settings, "on_bad": "skip"}), 0)
    assert set(range(2, 26)) - set(data.row.tolist()) == {5}
    assert bad_rows(found)["line"].tolist() == [5]


def test_all_problems_come_in_one_pass_and_no_file_changes(sheet: Sheet, settings: Build) -> None:
    sheet.edit(3, "21.5", "old")
    sheet.edit(7, "25.5", "inf")
    sheet.image(10).write_bytes(b"")
    sheet.image(11).unlink()
    before = digests(sheet.folder)
    with pytest.raises(DataError) as caught:
        load_table(sheet.path, settings(), 0)
    assert [(problem.kind, problem.row) for problem in caught.value.problems] == [
        ("target-text", 3),
        ("target-infinite", 7),
        ("empty-file", 12),
        ("missing-file", 13),
    ]
    data, _ = load_table(sheet.path, settings(on_bad="skip"), 0)
    assert len(data.target) == 20
    assert digests(sheet.folder) == before


def digests(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_skip_cannot_mend_the_table_as_a_whole(sheet: Sheet, settings: Build) -> None:
    ages(sheet, "7")
    with pytest.raises(DataError) as caught:
        load_table(sheet.path, settings(on_bad="skip"), 0)
    assert [problem.kind for problem in caught.value.problems] == ["constant-target"]


def test_a_sound_table_loads(sheet: Sheet, settings: Build) -> None:
    data, found = load_table(sheet.path, settings(group="person"), 0)
    assert found.problems == ()
    assert (data.name, data.kind, data.inputs.shape, data.inputs.dtype) == (
        "labels.csv",
        "image",
        (24, 8, 8, 1),
        "uint8",
    )
    assert (data.target_names, data.group_name) == (("age",), "person")
    assert data.label[3] == "images/3.png"
    assert data.row.tolist() == list(range(2, 26))
    assert data.group is not None
    assert data.group[:3].tolist() == ["p00", "p00", "p01"]
    assert shared_groups(data.split, data.group) == 0
    assert np.array_equal(data.inputs[3, :, :, 0], np.asarray(Image.open(sheet.image(3))))  # 8 pixels stay 8 pixels


def test_the_same_table_loads_to_the_same_fingerprint(sheet: Sheet, settings: Build) -> None:
    first = load_table(sheet.path, settings(), 0)[0].fingerprint
    assert load_table(sheet.path, settings(), 0)[0].fingerprint == first
    assert load_table(sheet.path, settings(cache_dir=str(sheet.folder / "other")), 0)[0].fingerprint == first
    assert load_table(sheet.path, settings(), 1)[0].fingerprint != first  # another split


def test_a_split_column_is_followed(sheet: Sheet, settings: Build) -> None:
    data, _ = load_table(sheet.path, settings(split_column="side"), 0)
    assert data.split[:8].tolist() == ["train", "train", "train", "train", "val", "val", "test", "test"]


def test_rows_are_loaded_as_float32(sheet: Sheet, settings: Build) -> None:
    frame = pd.DataFrame({"a": np.arange(24.0), "b": -np.arange(24.0), "age": np.arange(24)})
    frame.to_csv(sheet.path, index=False)
    data, _ = load_table(sheet.path, settings(features=("b", "a")), 0)
    assert (data.kind, data.inputs.dtype, data.label[0]) == ("rows", "float32", "row 2")
    assert data.inputs[3].tolist() == [-3.0, 3.0]


def test_copies_stay_on_one_side_of_a_drawn_split(sheet: Sheet, settings: Build) -> None:
    for i in range(0, 24, 4):
        sheet.image(i + 3).write_bytes(sheet.image(i).read_bytes())
    for seed in range(5):
        data, found = load_table(sheet.path, settings(), seed)
        assert (data.split[0::4] == data.split[3::4]).all()
        assert {problem.kind for problem in found.problems} == {"two-targets", "unnamed-group"}


def test_progress_counts_checking_and_decoding(sheet: Sheet, settings: Build) -> None:
    seen: list[tuple[int, int]] = []
    load_table(sheet.path, settings(), 0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(24, 48), (48, 48)]


def test_new_data_needs_no_targets(sheet: Sheet, settings: Build) -> None:
    sheet.path.write_text("image\nimages/4.png\nimages/4.png\n")
    run = settings(group="person", split_column="side", channels="3")
    inputs, labels = load_inputs(sheet.path, run)
    assert inputs.shape == (2, 8, 8, 3)
    assert labels.tolist() == ["images/4.png", "images/4.png"]


def test_new_data_is_audited_too(sheet: Sheet, settings: Build) -> None:
    sheet.path.write_text("image\nimages/x4.png\n")
    for on_bad in ("error", "skip"):
        with pytest.raises(DataError) as caught:
            load_inputs(sheet.path, settings(on_bad=on_bad))
        assert str(caught.value) == (
            "line 2, column 'image', images/x4.png: does not exist. "
            "Correct the name (there is '4.png') or remove the row."
        )


def part(source: Path, rows: int, folder: Path) -> Path:
    """The first rows of a real table, with the images left where they are."""
    frame = pd.read_csv(source, dtype=str).head(rows)
    frame["image"] = [str(source.parent / name) for name in frame["image"]]
    frame.to_csv(folder / "part.csv", index=False)
    return folder / "part.csv"


def test_hc18_by_fetus(shared_data: Path, settings: Build, tmp_path: Path) -> None:
    path = part(shared_data / "hc18" / "labels.csv", 200, tmp_path)
    data, found = load_table(path, settings(target=("hc_px",), group="fetus", allow_outside=True), 0)
    assert data.inputs.shape == (200, 8, 8, 1)
    assert found.fatal == ()
    assert data.group is not None
    assert data.group[0] == "001"
    assert shared_groups(data.split, data.group) == 0


@pytest.mark.slow
def test_hc18_whole_and_again_from_the_cache(shared_data: Path, settings: Build) -> None:
    run = settings(target=("hc_px",), group="fetus", image_size=64)
    start = time.perf_counter()
    data, found = load_table(shared_data / "hc18" / "labels.csv", run, 0)
    first = time.perf_counter() - start
    assert data.inputs.shape == (999, 64, 64, 1)
    assert [str(problem) for problem in found.problems] == [  # seen by eye: the two files are equal byte for byte
        "line 808, column 'image', images/392_HC.jpg: has the same content as line 89. "
        "Remove one unless it is meant; a drawn split keeps copies on one side."
    ]
    assert data.group is not None
    assert len(set(data.group.tolist())) == 806
    assert [int((data.split == side).sum()) for side in ("train", "val", "test")] == [699, 150, 150]
    again = load_table(shared_data / "hc18" / "labels.csv", run, 0)[0]
    assert time.perf_counter() - start - first < first / 2
    assert again.fingerprint == data.fingerprint


def test_bccd_by_its_split_column(shared_data: Path, settings: Build, tmp_path: Path) -> None:
    path = part(shared_data / "bccd" / "labels.csv", 60, tmp_path)
    data, found = load_table(path, settings(target=("rbc",), split_column="split", allow_outside=True), 0)
    assert found.problems == ()
    assert data.inputs.shape == (60, 8, 8, 3)
    assert data.split[:3].tolist() == ["val", "train", "val"]


def test_cifar10_bytes(shared_data: Path, sheet: Sheet, settings: Build) -> None:
    frame = pd.read_parquet(shared_data / "cifar10" / "test.parquet").head(200)
    frame.to_parquet(sheet.folder / "small.parquet")
    data, found = load_table(sheet.folder / "small.parquet", settings(target=("label",), image_size=32), 0)
    assert found.problems == ()
    assert data.inputs.shape == (200, 32, 32, 3)
