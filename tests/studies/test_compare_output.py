"""Tables and page of a comparison, made from judged arms; no run is needed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.studies.arms import Arm, Trained, asked
from isotone.studies.compare_output import as_text, write_outputs
from isotone.studies.judging import judge_arms
from isotone.studies.kept import Kept
from isotone.studies.tuning import Try, Tuned

BASE, RNC = Trained("baseline", "l1"), Trained("rnc")
ARMS = (
    Arm("baseline-l1", "L1", "end to end", BASE),
    Arm("rnc-l1", "RnC + L1", "head on the frozen encoder", RNC, "l1"),
    Arm("median", "median", "constant"),
)
Y = np.repeat([[0.5], [-7.5]], [60, 20], axis=0)  # training targets
TUNED = {BASE: Tuned("L1", (Try(0.1), Try(0.2)), (0.5, 0.4)), RNC: Tuned("RnC", (Try(),), (0.0,))}


def _kept(error: float, seed: int) -> Kept:
    draw = np.random.default_rng([seed, round(100 * error)])
    row = np.arange(120)
    y = np.random.default_rng(seed).normal(size=(120, 1)) * 5
    return Kept(
        row, row.astype(str), np.array(["val", "test"])[row % 2], np.zeros(0, str), y, y + error * draw.random((120, 1))
    )


def test_every_table_is_written_and_the_page_holds_it(tmp_path: Path) -> None:
    errors = {"baseline-l1": 1.0, "rnc-l1": 0.8, "median": 9.0}
    kept = {(name, seed): _kept(error, seed) for name, error in errors.items() for seed in (0, 1)}
    judged = judge_arms(ARMS, kept, trained=[Y] * 2, targets=("=y",), task="numbers", group=None)
    question = asked("<t>.csv", ("baseline", "rnc"), (), 2, {"target": ["=y"], "passes": 4})
    done = write_outputs(tmp_path, judged, TUNED, question, notes=("a note.",), command="isotone compare t.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("compare.csv", "compare.html", "summary.csv", "tuning.csv"),
    ]
    rows = pd.read_csv(tmp_path / "compare.csv")
    assert list(rows["arm"]) == [name for name in errors for _ in (0, 1)]
    assert list(rows["lr"].dropna()) == [0.2, 0.2, 0.5, 0.5]
    assert list(rows["passes"].dropna()) == [4, 4, 4, 4]
    assert set(rows["target"]) == {"'=y"}  # no formula
    assert (rows["n_many"] + rows["n_medium"] + rows["n_few"] == 60).all()
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert list(summary["balanced_mae"]) == pytest.approx([rows["balanced_mae"][i : i + 2].mean() for i in (0, 2, 4)])
    assert list(summary["verdict"].fillna("")) == ["", "better", ""]
    assert summary["percent_low"][1] < summary["percent"][1] < summary["percent_high"][1] < 0
    assert list(pd.read_csv(tmp_path / "tuning.csv")["taken"]) == [False, True, True]
    page = done.page.read_text()
    for part in (
        "RnC + L1 beats L1 by",
        "a note.",
        "lr 0.2: 0.4 (taken)",
        "&lt;t&gt;.csv",
        "isotone compare t.csv",
        "are common, rare: MAE (=y)",
        "Settings tried, and the error of each",
        "at the edge of those tried for L1: a wider grid may do better",
    ):
        assert part in page
    assert done.text.splitlines()[0].split()[:2] == ["arm", "MAE"]
    assert "RnC + L1" in done.text
    assert done.tuning == ("a note.", "L1: lr 0.1: 0.5; lr 0.2: 0.4 (taken). The choice is at the edge of the learning "
        "rates tried; a wider grid may do better.", "RnC: defaults, nothing tuned.")  # fmt: skip


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    kept = {(arm.name, 0): _kept(1.0 + i, 0) for i, arm in enumerate(ARMS)}
    question = asked("t.csv", ("baseline", "rnc"), (), 1, {"target": ["y"]})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        judged = judge_arms(ARMS, kept, trained=[Y], targets=("y",), task="numbers", group=None)
        write_outputs(tmp_path / name, judged, TUNED, question)
    assert (
        "isotone.compare(&#39;t.csv&#39;, methods=[&#39;baseline&#39;" in (tmp_path / "a" / "compare.html").read_text()
    )
    for file in ("compare.csv", "summary.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_text_is_aligned() -> None:
    assert as_text([("arm", "x"), ("a", "10")]) == "arm   x\na    10"
