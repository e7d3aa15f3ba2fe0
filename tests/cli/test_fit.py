"""`fit`: the table that it prints, the folder that it leaves, and the config that repeats it."""

import json
from collections.abc import Callable
from pathlib import Path

from isotone.cli.fit import summary

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
    import pytest

    with pytest.raises(SystemExit) as caught:
        cli("fit", "--method", "baseline", "--help")
    assert caught.value.code == 0
