"""AgeDB on a tiny tree: names, mangled and not, the csv and its leak, and the whole way to a run."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from isotone.cli.main import main
from isotone.data.audit import audit
from isotone.data.datasets.agedb import CARD, read, repaired_name
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import DataError

Draw = Callable[..., None]
PEOPLE = ("MariaCallas", "RichardNixon", "SidneyPoitier", "IndiraGandhi", "MaxPlanck", "JosephineBaker")
MANGLED = "St\u0412phaneAudran"  # é is byte 0x82 in code page 437, which is the Cyrillic \u0412 in 866


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    """A root with AgeDB/: 7 people with 5 images each, numbers 0 to 34; the last one's name is mangled."""
    root = tmp_path / "root"
    for i in range(35):
        person = (*PEOPLE, MANGLED)[i % 7]
        age = 20 + 2 * i
        draw(root / "AgeDB" / f"{i}_{person}_{age}_{'mf'[i % 2]}.jpg", 2.5 * age)
    return root


def _csv(root: Path, sides: str = "train") -> pd.DataFrame:
    """The csv of all images but number 34; val and test are single rows of people who are in training too."""
    names = sorted((p.name for p in (root / "AgeDB").glob("*.jpg")), key=lambda name: int(name.split("_")[0]))
    frame = pd.DataFrame({"age": [name.split("_")[2] for name in names], "path": [f"AgeDB/{name}" for name in names]})
    frame["split"] = [("val" if i < 7 else "test" if i < 14 else sides) for i in range(len(names))]
    return frame.iloc[:-1]


@pytest.mark.parametrize("inside", [".", "AgeDB"])
def test_names_become_rows(tree: Path, inside: str) -> None:
    found = read(tree / inside, DataSettings(dataset="agedb"))
    first = found.frame.iloc[2]
    assert found.frame["id"].tolist() == [str(i) for i in range(35)]
    assert first["path"] == ("AgeDB/" if inside == "." else "") + "2_SidneyPoitier_24_m.jpg"
    assert (first["age"], first["person"], first["sex"]) == (24, "SidneyPoitier", "m")
    assert found.faults == ()
    assert found.remarks == (
        "35 of the set's 16,488 images are there",
        "5 names in an old code page were repaired",
    )


def test_one_person_is_one_group_however_the_name_is_spelt(tree: Path, draw: Draw) -> None:
    draw(tree / "AgeDB" / "35_StéphaneAudran_40_f.jpg")
    draw(tree / "AgeDB" / "36_Ste\u0301phaneAudran_41_f.jpg")
    draw(tree / "AgeDB" / b"37_St\x82phaneAudran_42_f.jpg".decode("utf-8", "surrogateescape"))
    found = read(tree, DataSettings(dataset="agedb")).frame
    assert (found["person"] == "StéphaneAudran").sum() == 8
    cell = found["path"].iloc[37]
    assert cell["path"] == "AgeDB/37_StéphaneAudran_42_f.jpg"
    assert cell["bytes"].startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        (MANGLED, "StéphaneAudran"),
        ("RicardoMontalb\u0430n", "RicardoMontalbán"),  # Cyrillic a: byte 0xA0 in code page 866
        ("RicardoMontalb\u00a0n", "RicardoMontalbán"),  # the same byte in Latin-1
        ("St\x82phaneAudran", "StéphaneAudran"),
        ("MarlonBrando", "MarlonBrando"),
    ],
)
def test_names_are_repaired(mangled: str, name: str) -> None:
    assert repaired_name(mangled) == name


def test_other_names_stop_a_run_and_are_listed_once(tree: Path, draw: Draw) -> None:
    draw(tree / "AgeDB" / "nobody.jpg")
    draw(tree / "AgeDB" / "7_A_B_30_m.jpg")
    found = read(tree, DataSettings(dataset="agedb"))
    assert [str(fault) for fault in found.faults] == [
        "AgeDB: 2 images are not named NUMBER_NAME_AGE_m.jpg or NUMBER_NAME_AGE_f.jpg: 7_A_B_30_m.jpg, nobody.jpg. "
        "Remove them from the folder, or pass --on-bad skip."
    ]
    assert len(found.frame) == 35


def test_a_number_twice_is_a_fault(tree: Path, draw: Draw) -> None:
    draw(tree / "AgeDB" / "3_ZZ_30_m.jpg")
    found = read(tree, DataSettings(dataset="agedb"))
    assert [str(fault) for fault in found.faults] == [
        "AgeDB: 1 images have the number of another: 3. Remove one of them, or pass --on-bad skip to keep the first."
    ]
    assert len(found.frame) == 35


def test_the_published_split_is_matched_by_number(tree: Path) -> None:
    _csv(tree).to_csv(tree / "agedb.csv", index=False)
    (tree / "AgeDB" / f"6_{MANGLED}_32_m.jpg").rename(tree / "AgeDB" / "6_StéphaneAudran_32_m.jpg")
    found = read(tree, DataSettings(dataset="agedb", split="published"))
    assert found.frame["published"].value_counts().to_dict() == {"train": 20, "val": 7, "test": 7}
    assert found.left_out == {"not in agedb.csv": 1}
    assert found.faults == ()


def test_the_leak_of_the_published_split_is_told(tree: Path) -> None:
    _csv(tree).to_csv(tree / "agedb.csv", index=False)
    settings = DataSettings(dataset="agedb", split="published")
    warnings = [str(problem) for problem in audit(read_table(tree, settings), settings).warnings]
    assert warnings[-1] == (
        "column 'person': 7 of 7 test groups are also trained on. Their error will be too low: leave the split column "
        "out to have one drawn by groups."
    )


def test_what_the_csv_names_and_the_folder_lacks_is_one_problem(tree: Path) -> None:
    _csv(tree).to_csv(tree / "agedb.csv", index=False)
    for number in (1, 2, 3, 4):
        next((tree / "AgeDB").glob(f"{number}_*")).unlink()
    table = read_table(tree, DataSettings(dataset="agedb"))
    assert str(table.problems[0]) == (
        "AgeDB: 4 of 34 files that agedb.csv names are missing: 1_RichardNixon_22_f.jpg, 2_SidneyPoitier_24_m.jpg, "
        "3_IndiraGandhi_26_f.jpg and 1 more. Unpack it again, or pass --on-bad skip."
    )
    assert table.problems[0].fatal
    assert not read_table(tree, DataSettings(dataset="agedb", on_bad="skip")).problems[0].fatal


def test_the_published_split_needs_its_csv(tree: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tree, DataSettings(dataset="agedb", split="published"))
    assert str(caught.value) == (
        "agedb.csv: is not there, but --split published is its column. It is data/agedb.csv of the public codes of DIR "
        "and RnC; put it beside the folder AgeDB."
    )
    (tree / "agedb.csv").write_text("age,path\n1,a.jpg\n")
    with pytest.raises(DataError) as caught:
        read(tree, DataSettings(dataset="agedb", split="published"))
    assert str(caught.value) == (
        "agedb.csv: lacks one of the columns age, path, split: it has age, path. Bring the published file back."
    )


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError) as caught:
        read(tmp_path, DataSettings(dataset="agedb"))
    assert str(caught.value) == (
        f"{tmp_path}: holds no image named NUMBER_NAME_AGE_m.jpg or NUMBER_NAME_AGE_f.jpg; it holds other. Name the "
        "folder of the unpacked data set; `isotone datasets agedb` shows its layout."
    )


@pytest.mark.slow
def test_from_the_folder_to_a_run(tree: Path, tmp_path: Path, draw: Draw, capsys: pytest.CaptureFixture[str]) -> None:
    import isotone

    draw(tree / "AgeDB" / "35_MaxPlanck_90_m.jpg", broken=True)
    words = ["fit", "--dataset", "agedb", "--root", str(tree), "--passes", "1", "--image-size", "16"]
    words += ["--batch-size", "8", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "35_MaxPlanck_90_m.jpg" in capsys.readouterr().err
    assert main([*words, "--on-bad", "skip"]) == 0
    assert "agedb: 36 rows are read, 0 are left out" in capsys.readouterr().err
    run = isotone.load(tmp_path / "run")
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert len(predictions) == 35
    assert predictions.groupby("group")["split"].nunique().max() == 1
    assert run.settings.data.target == ("age",)
    isotone.resume(tmp_path / "run", quiet=True)  # a finished run: the folder is read again and found to be the same
    scores = run.evaluate("knn", category="sex", group="person")
    assert {row["probe"] for row in scores} == {"knn"}
    (tree / "AgeDB" / "35_MaxPlanck_90_m.jpg").unlink()
    assert len(run.predict(tree)) == 35


def test_the_card_says_what_is_needed() -> None:
    text = str(CARD)
    for part in ("licence", "e-mail", "ab9f8d4c", "--split published", "--split dir", "--hold-out", "trap"):
        assert part in text, part
