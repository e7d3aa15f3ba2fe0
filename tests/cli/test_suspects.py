"""`suspects`: a table and a page in the run's folder, the first rows on the screen; Python does the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import isotone
from isotone.errors import ConfigError

Cli = Callable[..., tuple[int, str, str]]


def test_rows_are_ranked_into_the_runs_folder(finished: tuple[Path, Path], cli: Cli) -> None:
    table, run = finished
    before = table.read_bytes()
    status, out, said = cli("suspects", run, "--rows", "all", "--top", "5")
    assert status == 0, said
    frame = pd.read_csv(run / "suspects.csv")
    assert len(frame) == 60
    assert set(frame["split"]) == {"train", "val", "test"}
    lines = out.splitlines()
    assert lines[0].split() == ["row", "file", "grey", "neighbours", "score"]
    assert lines[1].split()[:2] == [str(frame["row"][0]), frame["file"][0]]
    assert lines[-2:] == [f"all 60: {run / 'suspects.csv'}", f"with pictures: {run / 'suspects.html'}"]
    assert f"isotone suspects {run} --rows all --top 5" in (run / "suspects.html").read_text()
    assert table.read_bytes() == before
    again = isotone.load(run).suspects(rows="all")
    assert again["score"].tolist() == pytest.approx(frame["score"].tolist())
    train = isotone.load(run).suspects()
    assert set(train["split"]) == {"train"}


def test_a_run_on_arrays_is_given_them_again(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    y = 5 * x[:, 0]
    run = isotone.fit((x, y), out=tmp_path / "run", passes=2, batch_size=32, quiet=True, device="cpu")
    frame = run.suspects((x, y))
    assert list(frame)[:2] == ["row", "file"]
    with pytest.raises(ConfigError) as caught:
        run.suspects()
    assert str(caught.value) == (
        f"{run.folder} was made from arrays, which are needed again: run.evaluate(data=(X, y)) or "
        "run.suspects((X, y)) in Python, with groups= and split= as in fit."
    )


def test_other_rows_than_those_are_refused(finished: tuple[Path, Path], cli: Cli) -> None:
    status, _, said = cli("suspects", finished[1], "--rows", "test")
    assert status == 2
    assert said.startswith("isotone: argument --rows: invalid choice: 'test'")
