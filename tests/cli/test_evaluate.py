"""`evaluate`: the table that it prints, the lines that it appends, a table read again, names that do not exist."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]


def _rows(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "probes.jsonl").read_text().splitlines()]


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
        f"model ridge, penalty {linear['settings']['penalty']:.3g}, tried 57, fitted on train + val"
    )  # type: ignore[index]
    assert lines[2].endswith(f"k {knn['settings']['k']}, weights mean, metric euclidean")  # type: ignore[index]
    assert f"{linear['score']:.4g}" in lines[1]
    assert lines[5] == f"appended to {finished[1] / 'probes.jsonl'}"


def test_a_table_is_read_again_where_not_all_features_are_kept(
    finished: tuple[Path, Path], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("evaluate", finished[1])[0] == 0
    monkeypatch.setattr("isotone.api.kept_rows", lambda folder: None)
    assert cli("evaluate", finished[1])[0] == 0
    *_, a, b, c, d = _rows(finished[1])
    assert (a["score"], b["score"]) == (pytest.approx(c["score"], rel=1e-4), pytest.approx(d["score"], rel=1e-4))


def test_one_probe(finished: tuple[Path, Path], cli: Cli) -> None:
    before = len(_rows(finished[1])) if (finished[1] / "probes.jsonl").exists() else 0
    status, out, _ = cli("evaluate", finished[1], "--probe", "knn")
    assert status == 0
    assert "linear" not in out
    assert len(_rows(finished[1])) == before + 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--probe", "lienar"], "`probe` has no 'lienar'; there are linear, knn. Did you mean 'linear'?"),
        (
            ["--probe", "knn,svm"],
            "the probe 'svm' tells classes apart, and this run's target is a number. Use linear or knn.",
        ),
        (["--prob", "knn"], "there is no flag '--prob'. Did you mean '--probe'? `isotone evaluate --help` lists them."),
    ],
)
def test_mistakes_are_named(finished: tuple[Path, Path], cli: Cli, words: list[str], message: str) -> None:
    status, _, said = cli("evaluate", finished[1], *words)
    assert status == 2
    assert said == f"isotone: {message}\n"


def test_notes_and_long_names_are_shown() -> None:
    from isotone.cli.evaluate import table

    interval = {"value": 1.0, "low": None, "high": None}
    row = {"probe": "linear", "target": "gestational age", "n": 3, "settings": {"k": 2}, "notes": ["x"]}
    row |= {"mae": interval, "r2": interval | {"value": None}}
    lines = table([row], {"rows": []}).splitlines()
    assert "MAE (gestati…)" in lines[0]
    assert lines[1].split() == ["linear", "1", "-", "-", "k", "2"]
    assert lines[2] == "note: linear: x"
