"""A comparison from end to end: the same rows for all, the same heads as a run's own, and killed runs that go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import isotone
from isotone.errors import ConfigError
from isotone.studies.compare import compare

SETTINGS = {"target": "y", "features": ["a", "b"], "group": "who", "passes": 4, "batch_size": 16, "head_epochs": 5}


def _table(folder: Path, rows: int = 80) -> Path:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, rows))
    size = np.where(a > 0, "big", "small")
    who = [f"p{i // 2}" for i in range(rows)]
    pd.DataFrame({"a": a, "b": b, "y": a + b**2, "size": size, "who": who}).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


@pytest.mark.slow
def test_every_arm_is_judged_on_the_same_rows(tmp_path: Path) -> None:
    table, out = _table(tmp_path), tmp_path / "cmp"
    asked = {"seeds": 1, "lrs": (0.05, 0.2), "quiet": True}
    done = compare(table, out=out, **asked, **SETTINGS)  # type: ignore[arg-type]
    arms = ["baseline-l1", "rnc-l1", "rnc-knn", "median", "mean", "linear-raw"]
    assert list(dict.fromkeys(done.rows["arm"])) == arms
    assert len(list((out / "runs").iterdir())) == 2 * 2  # two tries each
    kept = [dict(np.load(path, allow_pickle=False)) for path in sorted((out / "predictions").glob("seed0-*.npz"))]
    assert len(kept) == len(arms)
    assert all(np.array_equal(kept[0][name], one[name]) for one in kept for name in ("row", "group", "target"))
    assert np.isfinite([one["prediction"] for one in kept]).all()
    # a run's own prediction is what the comparison keeps of it
    run = done.rows.query("arm == 'rnc-l1'").iloc[0]
    own = isotone.load(out / "runs" / f"seed0-rnc-lr{run['lr']:g}")
    assert run["mae"] == pytest.approx(own.metrics["rows"][0]["mae"]["value"], rel=1e-6)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*")}
    again = compare(table, out=out, **asked, **SETTINGS)  # type: ignore[arg-type]
    assert again.answer == done.answer
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*")} == before
    with pytest.raises(ConfigError, match="was made with passes 4, not 6"):
        compare(table, out=out, **asked, **{**SETTINGS, "passes": 6})  # type: ignore[arg-type]


@pytest.mark.slow
def test_an_arm_that_diverged_with_every_setting_is_left_out_and_the_others_are_judged(tmp_path: Path) -> None:
    table, settings = _table(tmp_path), {**SETTINGS, "methods": ("baseline",), "quiet": True}
    rates = {"heads": ("l1", "mse"), "seeds": 1, "lrs": (50.0, 100.0)}
    done = compare(table, out=tmp_path / "c", **rates, **settings)  # type: ignore[arg-type]
    assert set(done.rows["arm"]) == {"baseline-l1", "median", "mean", "linear-raw"}
    told = "MSE diverged with every setting tried (lr 50; lr 100). Try lower --lrs. It is left out."
    assert told in done.tuning
    assert told in done.page.read_text()
    with pytest.raises(ConfigError, match="MSE diverged with every setting tried"):  # the reference is needed
        compare(table, out=tmp_path / "d", **{**rates, "heads": ("mse", "l1")}, **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_classes_are_compared_too(tmp_path: Path) -> None:
    settings = {"category": "size", "features": ["a", "b"], "passes": 4}
    done = compare(
        _table(tmp_path),
        methods=("baseline", "supcon"),
        seeds=1,
        tune="none",
        out=tmp_path / "c",
        quiet=True,
        **settings,
    )  # type: ignore[arg-type]
    assert {"baseline-classify", "supcon-classify", "supcon-knn", "most-frequent", "linear-raw"} == set(
        done.rows["arm"]
    )
    assert done.rows["accuracy"].between(0, 1).all()
    assert "error rate" in done.text


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_comparison_ends_with_the_same_table(tmp_path: Path) -> None:
    _table(tmp_path)
    straight = tmp_path / "straight"
    assert _start(straight).wait() == 0
    killed = tmp_path / "killed"
    waits = (
        lambda: any((killed / "runs").glob("*/checkpoints/*")),  # in the first cell
        lambda: len(list((killed / "runs").glob("*/metrics.json"))) >= 1,  # after a cell
        lambda: len(list((killed / "predictions").glob("*.npz"))) >= 2,  # among the heads
    )
    for wait in waits:
        process = _start(killed)
        while process.poll() is None and not wait():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (killed / "compare.csv").exists()
    assert _start(killed).wait() == 0
    for name in ("compare.csv", "summary.csv"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes()


def test_what_it_cannot_compare_is_said_before_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as arrays:
        compare((np.eye(3), np.ones(3)), out=tmp_path / "o")
    assert str(arrays.value) == (
        "a comparison reads a table, so that it can go on after a stop; got tuple. Write the arrays as a CSV, Parquet "
        "or .npz file."
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError) as processes:
        compare(tmp_path / "t.csv", out=tmp_path / "o", target="y")
    assert str(processes.value) == "a comparison runs in one process. Start it without a launcher."
    assert not (tmp_path / "o").exists()


def test_it_is_a_verb_of_the_package() -> None:
    assert isotone.compare is compare


# ----------------------------------------------------------------------------------------------------------------------


def _start(out: Path) -> "subprocess.Popen[bytes]":
    words = "compare t.csv --target y --features a,b --methods rnc --heads l1,mse --seeds 2 --tune none --passes 20"
    words += f" --batch-size 16 --checkpoint-steps 2 --head-epochs 5 --out {out.name}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "isotone", *words.split()], cwd=out.parent, env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
