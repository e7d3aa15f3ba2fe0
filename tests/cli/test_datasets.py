"""`datasets`: the list, a card, and the table of a folder."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data.datasets.conftest import drawer
from data.datasets.imdb_tree import write_crop
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
            ("check", "t.csv", "--dataset", "agdb"),
            "dataset must be one of agedb, imdb-wiki, mpii-face-gaze, skyfinder, tuab, but is 'agdb'. Did you mean "
            "'agedb'?",
        ),
        (
            ("compare", "--dataset", "agdb", "--root", "x"),
            "dataset must be one of agedb, imdb-wiki, mpii-face-gaze, skyfinder, tuab, but is 'agdb'. Did you mean "
            "'agedb'?",
        ),
        (
            ("compare", "--dataset", "agedb"),
            "where is the data set? Say: --dataset agedb --root FOLDER. `isotone compare --help` says more.",
        ),
        (
            ("compare", "t.csv", "--dataset", "agedb", "--root", "x"),
            "--root x is the folder of a data set: it goes with --dataset, without a table. `isotone datasets` "
            "lists them.",
        ),
        (
            ("study", "unseen", "--dataset", "agdb", "--root", "x"),
            "dataset must be one of agedb, imdb-wiki, mpii-face-gaze, skyfinder, tuab, but is 'agdb'. Did you mean "
            "'agedb'?",
        ),
        (
            ("study", "few-data", "--dataset", "agedb"),
            "where is the data set? Say: --dataset agedb --root FOLDER. `isotone study few-data --help` says more.",
        ),
        (
            ("study", "transfer", "--dataset", "agedb", "--root", "x", "--to-dataset", "imdb-wiki"),
            "where is the data set? Say: --to-dataset imdb-wiki --to-root FOLDER. `isotone study transfer --help` says "
            "more.",
        ),
        (
            ("study", "transfer", "--dataset", "agedb", "--root", "x", "--to", "t.csv", "--to-root", "y"),
            "--to-root y is the folder of a data set: it goes with --to-dataset, without a table. `isotone datasets` "
            "lists them.",
        ),
        (
            ("study", "transfer", "--dataset", "agedb", "--root", "x", "--to-dataset", "tuabb", "--to-root", "y"),
            "dataset must be one of agedb, imdb-wiki, mpii-face-gaze, skyfinder, tuab, but is 'tuabb'. Did you mean "
            "'tuab'?",
        ),
        (
            ("study", "transfer", "t.csv", "--target", "y", "--to-dataset", "mpii-face-gaze", "--to-root", "y"),
            "the study judges errors of one target. Name one column of the second table: --to-target.",
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


PAPER = Path(__file__).parents[2] / "docs" / "paper.md"
COMMANDS = [line[12:] for line in PAPER.read_text().splitlines() if line.startswith("    isotone ")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(" --recipe")[0])
def test_the_papers_commands_are_right_but_for_the_folder(command: str, cli: Cli) -> None:
    status, _, err = cli(*shlex.split(command.split("  #")[0]))
    assert status == 2
    assert err == "isotone: FOLDER: does not exist. Name the folder of the unpacked data set: --root FOLDER.\n"


SMALL = ("--encoder", "small-cnn", "--image-size", 16, "--stored-size", 0, "--passes", 2, "--batch-size", 8)
RECIPE = ("--recipe", "rnc-agedb", *SMALL, "--head-epochs", 2, "--head-views", 2)


@pytest.mark.slow
def test_methods_are_compared_on_a_data_set(tree: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    words = ("compare", "--dataset", "agedb", "--root", ".", *RECIPE, "--seeds", 1, "--tune", "none")
    status, out, _ = cli(*words)
    assert status == 0
    assert out.endswith("report: compare-agedb/compare.html\n")
    config = (tree / "compare-agedb" / "runs" / "seed0-rnc" / "config.yaml").read_text()
    assert all(line in config for line in ("temperature: 2.0\n", "group: person\n", "- age\n", "image_column: path\n"))
    assert cli(*words)[1] == out


@pytest.mark.slow
def test_a_study_cuts_a_data_set_and_finds_its_parts_again(tree: Path, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "s"
    words = ("study", "few-data", "--dataset", "agedb", "--root", tree, "--hold-out", "Persona", *RECIPE)
    words = (*words, "--shares", "0.5,1", "--arms", "baseline views=1,rnc", "--out", out)
    status, said, _ = cli(*words)
    assert status == 0
    written = {path: path.stat().st_mtime_ns for path in (out / "tables").iterdir()}
    assert sorted(path.name for path in written) == ["seed0-train0.5.parquet", "seed0-train1.parquet"]
    frame = pd.read_parquet(out / "tables" / "seed0-train1.parquet")
    assert set(frame.loc[frame["isotone_split"] == "test", "person"]) == {"Persona"}
    assert cli(*words)[:2] == (0, said)
    assert {path: path.stat().st_mtime_ns for path in (out / "tables").iterdir()} == written


@pytest.mark.slow
def test_encoders_go_from_one_data_set_to_another(tree: Path, cli: Cli, tmp_path: Path) -> None:
    for part in ("imdb", "wiki"):
        write_crop(tree / "faces", part, drawer())
    out = tmp_path / "s"
    words = ("study", "transfer", "--dataset", "agedb", "--root", tree, *RECIPE, "--out", out)
    status, said, err = cli(*words, "--to-dataset", "imdb-wiki", "--to-root", tree / "faces")
    assert (status, said.count("\nlinear probe,")) == (0, 4), err
    assert "agedb to imdb-wiki" in (out / "study.html").read_text()
    config = (out / "seed0-tuned-rnc" / "config.yaml").read_text()
    assert all(line in config for line in ("dataset: imdb-wiki\n", "group: person\n", "split_column: null\n"))


@pytest.mark.parametrize("name", ["temperature", "similarity", "positives", "scheme", "transfer"])
def test_what_a_recipe_says_of_a_setting_that_a_study_sets_is_left_out(name: str) -> None:
    from importlib import import_module

    from isotone.cli.study import _read

    module = import_module(f"isotone.studies.{name}")
    words = ["--dataset", "agedb", "--root", "x", "--recipe", "rnc-agedb"]
    given, settings = _read(name, words, module)
    assert given == {"table": "x"}
    assert (settings["dataset"], settings["passes"]) == ("agedb", 800)
    assert not set(settings) & set(getattr(module, "SETS", None) or module.ABOUT.sets)
    typed = _read(name, [*words, "--weights", "w", "--positives", "0.5"], module)[1]
    assert (typed["weights"], typed["positives"]) == ("w", 0.5)
