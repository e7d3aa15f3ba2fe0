"""`fit`: the table that it prints, the folder that it leaves, and the config that repeats it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from isotone.cli.fit import summary
from isotone.cli.main import main

Cli = Callable[..., tuple[int, str, str]]


def test_the_run_folder_is_complete(finished: tuple[Path, Path]) -> None:
    run = finished[1]
    names = {"config.yaml", "run.json", "data.json", "log.jsonl", "metrics.json", "features.npz", "views.npz"}
    assert names | {"predictions.csv", "report.html", "model", "checkpoints"} == {p.name for p in run.iterdir()}
    about = json.loads((run / "run.json").read_text())
    assert about["status"] == "done"
    assert about["command"].startswith("isotone fit ")
    assert json.loads((run / "data.json").read_text())["shared_groups"] == 0


def test_the_saved_config_repeats_the_run_to_the_bit(finished: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    table, run = finished
    status, _, said = cli("fit", table, "--config", run / "config.yaml", "--out", tmp_path / "again")
    assert status == 0, said
    one, two = (folder / "model" / "model.safetensors" for folder in (run, tmp_path / "again"))
    assert one.read_bytes() == two.read_bytes()


def test_the_summary_has_a_line_for_each_model(finished: tuple[Path, Path]) -> None:
    text = summary(json.loads((finished[1] / "metrics.json").read_text()))
    assert "rnc, l1 head (grey)" in text
    assert "median of the training targets (grey)" in text
    assert text.splitlines()[-1].startswith("order of the representation (Spearman): ")


def test_help_shows_the_methods_own_settings(cli: Cli, capsys: object) -> None:
    with pytest.raises(SystemExit) as caught:
        cli("fit", "--method", "baseline", "--help")
    assert caught.value.code == 0


def test_help_tells_the_forms_of_intervals_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--interval-form {constant,quantile}" in shown
    assert "quantile: two quantile heads on the frozen encoder make them wide where rows are uncertain" in shown


def _score(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def test_the_summary_of_classes_shows_accuracy_beside_the_most_frequent_class() -> None:
    rows = [
        {"model": "supcon, classify head", "accuracy": _score(0.9125, 0.85, 0.96), "balanced_accuracy": _score(0.875)},
        {"model": "most frequent class", "accuracy": _score(0.5), "balanced_accuracy": _score(0.25)},
    ]
    both = [{**row, "target": "species", "split": side} for row in rows for side in ("test", "val")]
    assert summary({"task": "classes", "rows": both, "order": None}).splitlines() == [
        "test accuracy                                         accuracy        95 % interval  balanced",
        "supcon, classify head (species)                          91.2%       85.0% to 96.0%     87.5%",
        "most frequent class (species)                            50.0%                    -     25.0%",
    ]


def test_the_summary_without_labels_says_what_to_do_next() -> None:
    assert summary({"task": "none", "rows": [], "order": None}).splitlines() == [
        "trained without labels, so nothing was predicted or judged. Next:",
        "  isotone evaluate RUN --category COLUMN    how much of a label the representation holds",
        "  isotone embed RUN TABLE --out z.parquet   the representation of any rows",
    ]


def test_a_table_without_labels_needs_a_method_that_wants_none(table: Path, tmp_path: Path, cli: Cli) -> None:
    status, _, said = cli("fit", table, "--method", "baseline", "--out", tmp_path / "run")
    assert status == 2
    assert "no label is named" in said
    words = ["--method", "simclr", "--passes", "2", "--batch-size", "16", "--image-size", "16"]
    status, out, said = cli("fit", table, *words, "--out", tmp_path / "run")
    assert status == 0, said
    assert out.startswith("trained without labels")
    status, _, said = cli("predict", tmp_path / "run", table)
    assert status == 2
    assert said == (
        "isotone: this run was trained without labels, so it predicts nothing. Use `isotone embed`, or probe it: "
        "`isotone evaluate RUN --category COLUMN`.\n"
    )
    assert cli("embed", tmp_path / "run", table, "--out", tmp_path / "z.npy")[0] == 0


def test_the_summary_shows_angles_and_recordings_where_there_are_some() -> None:
    row = {"model": "rnc, l1 head", "split": "test", "n": 9, "mae": _score(0.05, 0.04, 0.06), "r2": _score(0.5)}
    rows = [row | {"target": name, "angle": _score(3.25, 3.0, 3.5)} for name in ("pitch", "yaw")]
    averaged = [row | {"target": "pitch", "n": 3, "mae": _score(0.02)}]
    metrics = {"rows": rows, "order": {"spearman": 0.5}, "by_recording": averaged}
    assert summary(metrics).splitlines()[3:] == [
        "the windows of a recording averaged, 3 recordings",
        "rnc, l1 head (pitch)                                      0.02                    -   0.500",
        "rnc, l1 head (degrees)                                    3.25             3 to 3.5",
        "order of the representation (Spearman): 0.500",
    ]
