"""`datasets`: the list, a card, and the table of a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "AgeDB"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i in range(40):
        picture = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        picture.save(folder / f"{i}_Person{'abcdefgh'[i % 8]}_{20 + i}_m.jpg")
    return tmp_path


def test_the_list_and_a_card(cli: Cli) -> None:
    status, out, _ = cli("datasets")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()[:5]]
    assert names == ["agedb", "imdb-wiki", "mpii-face-gaze", "skyfinder", "tuab"]
    status, out, _ = cli("datasets", "agedb")
    assert status == 0
    assert out.splitlines()[0].startswith("agedb: age of a face")
    assert "--split published" in out


def test_an_unknown_set_names_the_nearest(cli: Cli) -> None:
    status, _, said = cli("datasets", "agdb")
    assert status == 2
    assert said == (
        "isotone: there is no data set 'agdb'. Did you mean 'agedb'? There are: agedb, imdb-wiki, mpii-face-gaze, "
        "skyfinder, tuab.\n"
    )


def test_a_folder_becomes_a_table(tree: Path, cli: Cli) -> None:
    table = tree / "agedb.parquet"
    status, out, _ = cli("datasets", "agedb", "--root", tree, "--out", table, "--hold-out", "Persona")
    assert status == 0
    assert out == "40 of the set's 16,488 images are there\nagedb: 40 rows are read, 0 are left out\n"
    frame = pd.read_parquet(table)
    assert set(frame.loc[frame["person"] == "Persona", "split"]) == {"test"}
    status, out, _ = cli("check", table, "--target", "age", "--group", "person", "--image-column", "path")
    assert status == 0


def test_faults_are_printed_and_are_status_2(tree: Path, cli: Cli) -> None:
    (tree / "AgeDB" / "odd.jpg").write_bytes(b"")
    status, out, _ = cli("datasets", "agedb", "--root", tree)
    assert status == 2
    assert out.splitlines() == [
        "AgeDB: 1 images are not named NUMBER_NAME_AGE_m.jpg or NUMBER_NAME_AGE_f.jpg: odd.jpg. Remove them from the "
        "folder, or pass --on-bad skip.",
        "40 of the set's 16,488 images are there",
        "agedb: 40 rows are read, 0 are left out",
    ]


def test_check_reads_a_folder(tree: Path, cli: Cli) -> None:
    (tree / "AgeDB" / "3_Persond_23_m.jpg").write_bytes(b"\xff\xd8\xff broken")
    status, out, _ = cli("check", "--dataset", "agedb", "--root", tree)
    assert status == 2
    assert "AgeDB/3_Persond_23_m.jpg" in out
    assert out.splitlines()[-1] == f"{tree}: 40 rows, 39 good, 1 problems, 2 notes"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("check", "--dataset", "agedb"),
            "where is the data set? Say: --dataset agedb --root FOLDER. `isotone check --help` says more.",
        ),
        (
            ("fit", "--root", "x"),
            "--root x is the folder of a data set: it goes with --dataset, without a table. `isotone datasets` "
            "lists them.",
        ),
        (
            ("fit", "t.csv", "--dataset", "agedb", "--root", "x"),
            "--root x is the folder of a data set: it goes with --dataset, without a table. `isotone datasets` "
            "lists them.",
        ),
        (
            ("check", "t.csv", "--dataset", "faces"),
            "dataset must be one of agedb, imdb-wiki, mpii-face-gaze, skyfinder, tuab, but is 'faces'.",
        ),
        (
            ("check", "t.csv", "--hold-out", "p00"),
            "hold_out 'p00' needs a dataset. The split of a table is its column: name split_column.",
        ),
        (
            ("check", "--root", "x", "--dataset", "agedb", "--hold-out", "a", "--split", "dir"),
            "split 'dir' and hold_out exclude each other: both say what the test is.",
        ),
        (
            ("fit", "--root", "none", "--dataset", "agedb"),
            "none: does not exist. Name the folder of the unpacked data set: --root FOLDER.",
        ),
        (("datasets", "tuab", "--root", "x", "--out", "t.txt"), "--out must end in .csv or .parquet, but is t.txt."),
    ],
)
def test_mistakes_are_named(words: tuple[str, ...], said: str, cli: Cli) -> None:
    status, _, err = cli(*words)
    assert status == 2
    assert err == f"isotone: {said}\n"
