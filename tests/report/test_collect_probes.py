"""Reading probes: the latest call of each, all its rows."""

import json
import math
from pathlib import Path

import pytest

from isotone.report.collect_probes import read_probes

ROW = {"time": "1", "probe": "linear", "target": "age", "split": "test", "n": 5, "score": 2.0, "score_name": "mae"}


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_no_file_no_probes(tmp_path: Path) -> None:
    assert read_probes(tmp_path / "probes.jsonl") == ()


def test_all_rows_of_the_latest_call(finished: dict[str, Path]) -> None:
    found = read_probes(finished["supcon"] / "probes.jsonl")
    assert [(p.name, p.stage) for p in found] == [
        ("linear", ""),
        *(("layers", stage) for stage in ("stages.0", "stages.1", "stages.2", "representation")),
        ("low-shot", ""),
    ]
    assert (found[0].score, found[0].interval.low) == (0.75, 0.70)
    assert (found[0].target, found[0].score_name, found[0].settings) == ("digit", "accuracy", "penalty 0.01")
    assert (found[-1].std, found[-1].settings) == (0.02, "rows per class 1")


def test_calls_on_different_data_stand_side_by_side(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p", ROW, ROW | {"target": "size"}, ROW | {"time": "2", "data": "other.csv"}, ROW | {"time": "3"}
    )
    assert [probe.target for probe in read_probes(path)] == ["age", "size", "age of other.csv"]


def test_what_is_not_said(tmp_path: Path) -> None:
    bare = {"probe": "invariance", "score": None, "chance": 0.25}
    (probe,) = read_probes(write(tmp_path / "p", bare))
    assert (probe.target, probe.score_name, probe.n, probe.settings) == ("", "score", 0, "chance 0.25")
    assert all(map(math.isnan, (probe.score, probe.std, probe.interval.low)))


def test_interval_of_the_score_that_is_named(tmp_path: Path) -> None:
    row = ROW | {"mae": {"value": 2.0, "low": 1.0, "high": 3.0}, "r2": {"value": 0.5, "low": 0.4, "high": 0.6}}
    (probe,) = read_probes(write(tmp_path / "p", row))
    assert (probe.interval.low, probe.interval.high) == (1.0, 3.0)


def test_a_line_that_is_no_probe(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"^'score'$"):
        read_probes(write(tmp_path / "p", {"probe": "linear"}))
