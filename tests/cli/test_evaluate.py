"""`evaluate`: the table that it prints, the lines that it appends, other labels and tables, names that do not exist."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from isotone.cli.evaluate import table
from isotone.cli.main import main
from isotone.evaluate.probes import TELLS

Cli = Callable[..., tuple[int, str, str]]
INTERVAL = {"value": 0.5, "low": None, "high": None}


def _rows(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "probes.jsonl").read_text().splitlines()]


def _row(**more: object) -> dict[str, object]:
    row = {"probe": "linear", "target": "kind", "n": 3, "score": 0.5, "score_name": "accuracy"}
    return row | {"settings": {"k": 2}, "notes": []} | more


def _with_kinds(made: Path, name: str) -> Path:
    """Write the table again with a column of classes: whether a picture is brighter than half of them."""
    frame = pd.read_csv(made)
    frame["kind"] = (frame["grey"] > frame["grey"].median()).map({True: "bright", False: "dark"})
    frame.drop(columns="grey").to_csv(made.parent / name, index=False)
    return made.parent / name


def test_probes_are_printed_beside_the_runs_own_head_and_the_median(finished: tuple[Path, Path], cli: Cli) -> None:
    status, out, said = cli("evaluate", finished[1], "--probe", "linear,knn")
    assert status == 0, said
    lines = out.splitlines()
    assert re.sub(" +", " ", lines[0]) == "test error, 9 rows MAE (grey) 95 % interval R2 settings"
    assert [line[:50].rstrip() for line in lines[1:5]] == [
        "linear",
        "knn",
        "rnc, l1 head",
        "median of the training targets",
    ]
    linear, knn = _rows(finished[1])[-2:]
    assert lines[1].endswith(
        f"model ridge, penalty {linear['settings']['penalty']:.3g}, tried 57, fitted on train + val"  # type: ignore[index]
    )
    assert lines[2].endswith(f"k {knn['settings']['k']}, weights mean, metric euclidean")  # type: ignore[index]
    assert f"{linear['score']:.4g}" in lines[1]
    assert lines[5] == f"appended to {finished[1] / 'probes.jsonl'}"
    assert said == "probe: linear\nprobe: knn\n"


def test_a_table_is_read_again_where_not_all_features_are_kept(
    finished: tuple[Path, Path], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("evaluate", finished[1])[0] == 0
    monkeypatch.setattr("isotone.run.kept_rows", lambda folder: None)
    assert cli("evaluate", finished[1])[0] == 0
    *_, a, b, c, d = _rows(finished[1])
    assert (a["score"], b["score"]) == (pytest.approx(c["score"], rel=1e-4), pytest.approx(d["score"], rel=1e-4))


def test_one_probe(finished: tuple[Path, Path], cli: Cli) -> None:
    before = len(_rows(finished[1])) if (finished[1] / "probes.jsonl").exists() else 0
    status, out, _ = cli("evaluate", finished[1], "--probe", "knn")
    assert status == 0
    assert "linear" not in out
    assert len(_rows(finished[1])) == before + 1


def test_another_column_of_another_table(finished: tuple[Path, Path], cli: Cli) -> None:
    other = _with_kinds(finished[0], "kinds.csv")
    status, out, said = cli("evaluate", finished[1], "--data", other, "--category", "kind", "--probe", "linear,layers")
    assert status == 0, said
    lines = out.splitlines()
    assert re.sub(" +", " ", lines[0]) == "kind, 9 test rows accuracy 95 % interval balanced settings"
    assert [line[:50].rstrip() for line in lines[1:6]] == [
        "linear",
        "layers stages.0: 32 x 8 x 8 to 2048",
        "layers stages.1: 64 x 4 x 4 to 1024",
        "layers stages.2: 128 x 2 x 2 to 512",
        "layers representation: 512 to 512",
    ]
    assert lines[6].startswith("appended to ")
    rows = _rows(finished[1])[-5:]
    assert {row["data"] for row in rows} == {"kinds.csv"}
    assert {row["target"] for row in rows} == {"kind"}
    assert f"{rows[0]['score']:.4g}" in lines[1]


def test_a_run_of_classes_beside_its_own_models(
    finished: tuple[Path, Path], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["--category", "kind", "--method", "baseline", "--passes", "2", "--image-size", "16", "--batch-size", "16"]
    made = cli("fit", _with_kinds(finished[0], "classes.csv"), *words, "--out", tmp_path / "run")
    assert made[0] == 0, made
    status, out, said = cli("evaluate", tmp_path / "run", "--probe", "knn,svm,low-shot,invariance")
    assert status == 0, said
    lines = out.splitlines()
    assert re.sub(" +", " ", lines[0]) == "kind, 9 test rows accuracy 95 % interval balanced settings"
    assert lines[1].startswith("knn ")
    assert re.search(r"   k \d+, temperature 0.07, metric cosine$", lines[1])
    assert lines[2].startswith("low-shot logistic, 1 rows a class ")
    assert " std " in lines[2]
    assert "most frequent class of the training rows" in out
    titles = [re.sub(" +", " ", line) for line in lines if "95 % interval" in line]
    assert titles[1:] == [
        "kind, 9 test rows mean AP 95 % interval settings",
        "quarter turn, 9 test rows accuracy 95 % interval balanced settings",
        "quarter turn, 9 test rows distance 95 % interval settings",
        "patch order, 9 test rows accuracy 95 % interval balanced settings",
        "patch order, 9 test rows distance 95 % interval settings",
    ]
    assert any(line.endswith("guessing 0.25") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--probe", "lienar"],
            "`probe` has no 'lienar'; there are linear, knn, svm, layers, low-shot, semi, finetune, invariance, "
            "detection. Did you mean 'linear'?",
        ),
        (
            ["--probe", "knn,svm"],
            "the probe 'svm' tells classes apart, and the target is a number. Use linear, knn or layers.",
        ),
        (
            ["--probe", "detection"],
            "the probe 'detection' needs a folder of images with boxes in the layout of Pascal VOC: --voc FOLDER.",
        ),
        (["--prob", "knn"], "there is no flag '--prob'. Did you mean '--probe'? `isotone evaluate --help` lists them."),
        (
            ["--passes", "x"],
            "argument --passes: invalid int value: 'x'. `isotone evaluate --help` says more.",
        ),
    ],
)
def test_mistakes_are_named(finished: tuple[Path, Path], cli: Cli, words: list[str], message: str) -> None:
    status, _, said = cli("evaluate", finished[1], *words)
    assert status == 2
    assert said == f"isotone: {message}\n"


def test_the_help_names_every_probe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said for name in TELLS)
    assert "1 and 10 % of the labels" in said


def test_notes_and_long_names_are_shown_and_notes_once() -> None:
    mae = {"value": 1.0, "low": None, "high": None}
    row = _row(target="gestational age", score_name="mae", mae=mae, r2=mae | {"value": None}, notes=["x"])
    lines = table([row, row], []).splitlines()
    assert "MAE (gestati…)" in lines[0]
    assert lines[1].split() == ["linear", "1", "-", "-", "k", "2"]
    assert lines[3:] == ["note: linear: x"]


def test_measures_are_blocks_and_a_score_without_a_value_is_a_dash() -> None:
    rows = [
        _row(accuracy=INTERVAL | {"low": 0.25, "high": 0.75}, balanced_accuracy=INTERVAL),
        _row(probe="invariance", score_name="relative distance", score=None),
        _row(probe="semi", accuracy=INTERVAL, balanced_accuracy=INTERVAL, settings={"labels": "1 %", "rows": 4}),
    ]
    own = {"model": "most frequent class of the training rows", "role": "constant", "split": "test", "target": "kind"}
    beside = [own | {"accuracy": INTERVAL, "balanced_accuracy": INTERVAL}, own | {"split": "val", "accuracy": INTERVAL}]
    lines = [line.split("   ") for line in table(rows, beside).splitlines()]
    shown = [[word.strip() for word in line if word.strip()] for line in lines]
    assert shown[1] == ["linear", "0.5", "0.25 to 0.75", "0.500", "k 2"]
    assert shown[2][:2] == ["semi, 1 % of the labels: 4 rows", "0.5"]
    assert shown[3][0] == "most frequent class of the training rows"
    assert shown[4][:2] == ["kind, 3 test rows", "distance"]
    assert shown[5] == ["invariance", "-", "-", "-", "k 2"]


def test_several_labels_and_a_folder_of_boxes(
    finished: tuple[Path, Path], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    """Columns of 0 and 1 of the run's own table; and which cells a blood smear has, of real photographs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frame = pd.read_csv(finished[0])
    for name, cut in (("bright", 0.5), ("very_bright", 0.7)):
        frame[name] = (frame["grey"] > frame["grey"].quantile(cut)).astype(int)
    frame.to_csv(finished[0].parent / "several.csv", index=False)
    words = ["--data", finished[0].parent / "several.csv", "--labels", "bright,very_bright", "--probe", "svm"]
    status, out, said = cli("evaluate", finished[1], *words)
    assert status == 0, said
    assert re.sub(" +", " ", out.splitlines()[0]) == "bright, very_bright, 9 test rows mean AP 95 % interval settings"
    assert _rows(finished[1])[-1]["by_class"].keys() == {"bright", "very_bright"}  # type: ignore[attr-defined]
    bccd = tmp_path / "bccd"
    (bccd / "Annotations").mkdir(parents=True)
    for file in sorted((shared_data / "bccd" / "annotations").glob("*.xml"))[:24]:
        (bccd / "Annotations" / file.name).write_bytes(file.read_bytes())
    (bccd / "JPEGImages").symlink_to(shared_data / "bccd" / "images")
    status, out, said = cli("evaluate", finished[1], "--probe", "svm", "--voc", bccd)
    assert status == 0, said
    assert {"RBC", "WBC"} <= _rows(finished[1])[-1]["by_class"].keys()  # type: ignore[attr-defined]
