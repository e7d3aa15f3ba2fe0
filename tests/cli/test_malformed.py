"""Thirty mistakes through the command line: each one message of at most three lines, status 2, no traceback."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]


def _cell(table: Path, row: int, column: int, text: str) -> None:
    lines = [line.split(",") for line in table.read_text().splitlines()]
    lines[row][column] = text
    table.write_text("\n".join(",".join(line) for line in lines) + "\n")


def _bomb(path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(path)


Damage = Callable[[Path], object]
TABLES: list[tuple[str, Damage, str]] = [
    ("no such table", lambda t: t.unlink(), "labels.csv"),
    ("empty table", lambda t: t.write_text(""), "empty"),
    ("header alone", lambda t: t.write_text("image,grey\n"), "row"),
    ("semicolons", lambda t: t.write_text(t.read_text().replace(",", ";")), ";"),
    ("a folder", lambda t: (t.unlink(), t.mkdir()), "folder"),
    ("text as target", lambda t: _cell(t, 5, 1, "five"), "'five'"),
    ("comma as point", lambda t: _cell(t, 5, 1, '"4.5 px"'), "4.5 px"),
    ("NaN target", lambda t: _cell(t, 5, 1, "nan"), "line 6"),
    ("infinite target", lambda t: _cell(t, 5, 1, "inf"), "line 6"),
    ("empty target", lambda t: _cell(t, 5, 1, ""), "line 6"),
    ("constant target", lambda t: [_cell(t, i, 1, "3") for i in range(1, 61)], "3"),
    ("missing image", lambda t: (t.parent / "7.png").unlink(), "7.png"),
    ("misspelt image", lambda t: _cell(t, 8, 0, "8.pgn"), "8.pgn"),
    ("empty image", lambda t: (t.parent / "7.png").write_bytes(b""), "7.png"),
    ("text as image", lambda t: (t.parent / "7.png").write_text("hello"), "7.png"),
    ("truncated image", lambda t: (t.parent / "7.png").write_bytes((t.parent / "7.png").read_bytes()[:60]), "7.png"),
    ("pixel bomb", lambda t: _bomb(t.parent / "7.png"), "pixels"),
    ("path outside", lambda t: _cell(t, 8, 0, "../../etc/passwd.png"), "line 9"),
    ("address", lambda t: _cell(t, 8, 0, "http://example.org/a.png"), "line 9"),
    ("same path twice", lambda t: _cell(t, 8, 0, "0.png"), "0.png"),
    ("too few rows", lambda t: t.write_text("\n".join(t.read_text().splitlines()[:5]) + "\n"), "4"),
]


@pytest.mark.parametrize(("name", "damage", "named"), TABLES, ids=[name for name, _, _ in TABLES])
@pytest.mark.parametrize("verb", ["fit", "check"])
def test_a_damaged_table(verb: str, name: str, damage: Damage, named: str, table: Path, cli: Cli) -> None:
    damage(table)
    out = ["--out", table.parent.parent / "run"] if verb == "fit" else []
    status, printed, said = cli(verb, table, "--target", "grey", "--group", "person", *out)
    text = said if verb == "fit" else printed + said
    assert status == 2, text
    assert "Traceback" not in text
    assert named in text
    if verb == "fit":
        assert len(said.strip().splitlines()) <= 3, said
        assert not (table.parent.parent / "run").exists()


FLAGS: list[tuple[list[str], str]] = [
    (["--passe", "3"], "there is no flag '--passe'. Did you mean '--passes'? `isotone fit --help` lists them."),
    (["--traget", "grey"], "there is no flag '--traget'. Did you mean '--target'? `isotone fit --help` lists them."),
    (["--target", "gray"], "'grey'"),
    (["--target", "grey", "--group", "perosn"], "'person'"),
    (["--target", "grey", "--method", "rcn"], "Did you mean 'rnc'?"),
    (["--target", "grey", "--encoder", "resnet188"], "'resnet18"),
    (["--target", "grey", "--passes", "many"], "many"),
    (["--target", "grey", "--passes", "0"], "`passes` must be between 1 and 1,000,000, got 0."),
    (["--target", "grey", "--head", "l7"], "l7"),
    (["--target", "grey", "--augment", "flop"], "'flip'"),
    (["--target", "grey", "--temperature", "-1"], "`temperature` must be a finite number above 0, got -1.0."),
    (["--target", "grey", "--lr", "fast"], "fast"),
    (["--target", "grey", "--optimizer", "adam"], "adam"),
    (["--target", "grey", "--config", "nowhere.yaml"], "nowhere.yaml"),
    (["--target", "grey", "--image-column", "img"], "'image'"),
    (["--target", "grey", "--encoder", "mlp"], "mlp"),
    (["--target", "grey", "--precision", "fp16"], "fp16"),
    (["--target", "grey", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
    (["--target", "grey", "--val-fraction", "0.9"], "val_fraction"),
    (["stray", "--target", "grey"], "stray"),
    ([], "target"),
]


@pytest.mark.parametrize(("flags", "named"), FLAGS, ids=[" ".join(flags) for flags, _ in FLAGS])
def test_a_wrong_flag(flags: list[str], named: str, table: Path, cli: Cli) -> None:
    status, _, said = cli("fit", table, *flags, "--out", table.parent.parent / "run")
    assert status == 2, said
    assert named in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 3, said


def test_a_folder_in_use_is_not_overwritten(table: Path, cli: Cli) -> None:
    out = table.parent.parent / "run"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    status, _, said = cli("fit", table, "--target", "grey", "--out", out)
    assert status == 2
    expected = f"isotone: {out} is not empty, and nothing is overwritten. Choose another --out, or go on with: "
    expected += f"isotone resume {out}\n"
    assert said.endswith(expected)
    assert (out / "thesis.txt").read_text() == "mine"


def test_all_problems_come_in_one_pass(table: Path, cli: Cli) -> None:
    for row, text in ((3, "x"), (9, "nan"), (11, "")):
        _cell(table, row, 1, text)
    (table.parent / "20.png").unlink()
    (table.parent / "30.png").write_bytes(b"not an image")
    status, _, said = cli("fit", table, "--target", "grey", "--out", table.parent.parent / "run")
    assert status == 2
    assert said.startswith("isotone: 5 problems in the data; nothing was trained.\n")
    for named in ("line 4", "line 10", "line 12", "20.png", "30.png"):
        assert named in said


def test_skip_trains_on_the_rest_and_lists_what_it_left_out(table: Path, cli: Cli) -> None:
    _cell(table, 3, 1, "x")
    (table.parent / "20.png").unlink()
    before = {p.name: p.read_bytes() for p in table.parent.iterdir()}
    out = table.parent.parent / "run"
    words = ["--passes", "2", "--batch-size", "16", "--image-size", "16", "--on-bad", "skip"]
    status, _, said = cli("fit", table, "--target", "grey", *words, "--out", out)
    assert status == 0, said
    assert len((out / "bad_rows.csv").read_text().splitlines()) == 3
    assert len((out / "predictions.csv").read_text().splitlines()) == 59
    assert before == {p.name: p.read_bytes() for p in table.parent.iterdir()}


ARRAYS = np.zeros((40, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (ARRAYS, np.arange(39)),
        (ARRAYS, np.full(40, np.nan)),
        (ARRAYS, np.zeros(40)),
        (ARRAYS.astype(object), np.arange(40)),
        (np.full((40, 5), np.inf), np.arange(40)),
        (np.zeros((40, 8, 8)) + 7, np.arange(40)),
        (ARRAYS[:3], np.arange(3)),
        (ARRAYS[:, :, :6], np.arange(40)),
        (ARRAYS, np.array(["a"] * 40)),
    ],
)
def test_wrong_arrays(x: np.ndarray, y: np.ndarray, tmp_path: Path) -> None:
    from isotone import fit
    from isotone.errors import IsotoneError

    with pytest.raises(IsotoneError) as caught:
        fit((x, y), out=tmp_path / "run", quiet=True)
    assert len(str(caught.value).splitlines()) <= 3
    assert not (tmp_path / "run").exists()
