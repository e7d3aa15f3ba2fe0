"""The work of a comparison with its cells played: what is said, what is not done twice, what is refused."""

import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from isotone.errors import ConfigError, DivergenceError, StoppedError
from isotone.studies import compare_work
from isotone.studies.arms import Arm, Trained, asked
from isotone.studies.compare_work import Work
from isotone.studies.tuning import Try

EDGE = " The choice is at the edge of the learning rates tried; a wider grid may do better."
BASE = Trained("baseline", "l1")
TRIES = (Try(0.1), Try(0.2))


def _work(folder: Path, seeds: int = 2) -> Work:
    pd.DataFrame({"a": range(40), "y": [i / 2 for i in range(40)]}).to_csv(folder / "t.csv", index=False)
    question = asked(folder / "t.csv", ("baseline",), (), seeds, {"target": ["y"], "features": ["a"]})
    return Work(question, folder / "cmp", io.StringIO())


def _play(
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
    raises: Exception | None = None,
    errors: Mapping[str, float] | None = None,
) -> list[str]:
    """Play the cells: each leaves a data.json and a score; returns the names of those that were asked for.

    Args:
        monkeypatch: puts the play in place.
        work: whose cells are played.
        raises: by every cell.
        errors: by name of the cell, where it is not the learning rate; the median's error is 1.
    """
    calls: list[str] = []

    def cell(place: Path, table: Path, *, method: str, quiet: bool, **settings: Any) -> SimpleNamespace:
        calls.append(place.name)
        place.mkdir(parents=True, exist_ok=True)
        if raises is not None:
            raise raises
        fingerprint = work.data(settings["seed"]).fingerprint
        (place / "data.json").write_text(json.dumps({"fingerprint": fingerprint}))
        (place / "metrics.json").write_text("{}")
        about, error = {"split": "val", "target": "y"}, (errors or {}).get(place.name, settings["lr"])
        rows = [about | {"role": "model", "mae": {"value": error}}]
        rows += [about | {"role": "constant", "mae": {"value": value}} for value in (1.0, 1.1)]  # median, mean
        return SimpleNamespace(folder=place, metrics={"rows": rows})

    monkeypatch.setattr(compare_work, "cell", cell)
    return calls


def _said(work: Work) -> str:
    assert isinstance(work.stream, io.StringIO)
    return work.stream.getvalue()


def test_the_grid_and_the_cells_are_said_with_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    calls = _play(monkeypatch, work)
    work.begin({BASE: TRIES}, ("a note",))
    found = work.tune(BASE, TRIES)
    assert found.chosen == Try(0.1)
    assert calls == ["seed0-baseline-l1-lr0.1", "seed0-baseline-l1-lr0.2"]
    lines = _said(work).splitlines()
    assert lines[:3] == [
        "note: a note",
        "L1: tries lr 0.1; lr 0.2 on seed 0, chosen by validation",
        "cell 1 of 3: L1, seed 0, lr 0.1",
    ]
    assert re.fullmatch(r"cell 2 of 3: L1, seed 0, lr 0\.2, about \d+ s left", lines[3])
    assert json.loads((work.folder / "compare.json").read_text())["seeds"] == 2


def test_a_try_that_diverged_counts_as_the_worst_and_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = _work(tmp_path)
    calls = _play(monkeypatch, work, raises=DivergenceError("the loss is nan"))
    assert work.tune(BASE, TRIES).errors == (math.inf, math.inf)
    assert work.tune(BASE, TRIES).errors == (math.inf, math.inf)
    assert len(calls) == 2
    assert "note: L1 diverged with lr 0.1" in _said(work)


def test_a_choice_that_learns_nothing_on_another_seed_gives_way_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = _work(tmp_path, seeds=3)
    calls = _play(monkeypatch, work, errors={"seed2-baseline-l1-lr0.1": 0.96, "seed1-baseline-l1-lr0.2": 0.94})
    found = work.settle(BASE, work.tune(BASE, TRIES))
    assert found.chosen == Try(0.2)
    names = [f"seed{seed}-baseline-l1-lr0.{rate}" for rate in (1, 2) for seed in (1, 2)]
    assert calls[2:] == names
    assert found.told == "L1: lr 0.1: 0.01773 (learned nothing on seed 2); lr 0.2: 0.03547 (taken)." + EDGE
    assert "note: L1 with lr 0.1 learned nothing on seed 2; the next best is taken\n" in _said(work)


def test_the_best_of_settings_that_all_fail_somewhere_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    _play(monkeypatch, work, errors={f"seed1-baseline-l1-lr0.{rate}": 2.0 for rate in (1, 2)})
    found = work.settle(BASE, work.tune(BASE, TRIES))
    assert (found.chosen, len(found.lost)) == (Try(0.1), 2)


def test_a_choice_that_diverges_on_another_seed_gives_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    _play(monkeypatch, work)
    found = work.tune(BASE, TRIES)
    marker = work.folder / "runs" / "seed1-baseline-l1-lr0.1" / compare_work.DIVERGED
    marker.parent.mkdir(parents=True)
    marker.write_text("the loss is nan\n")
    assert work.settle(BASE, found).lost == {Try(0.1): "diverged on seed 1"}


def test_a_stop_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    work.begin({BASE: TRIES})
    _play(monkeypatch, work, raises=StoppedError("stopped at step 3 of 9"))
    with pytest.raises(StoppedError) as caught:
        work.tune(BASE, TRIES)
    assert str(caught.value) == "stopped in cell 1 of 3; all is saved. Go on with the same command."


def test_a_run_of_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    _play(monkeypatch, work)
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + "7,3.5\n")
    cell = compare_work.cell

    def other(place: Path, *args: Any, **more: Any) -> Any:
        made = cell(place, *args, **more)
        (place / "data.json").write_text('{"fingerprint": "other"}')
        return made

    monkeypatch.setattr(compare_work, "cell", other)
    with pytest.raises(ConfigError) as caught:
        work.tune(BASE, TRIES)
    assert str(caught.value) == (
        f"{tmp_path / 'cmp' / 'runs' / 'seed0-baseline-l1-lr0.1'} was made from other data than {tmp_path / 't.csv'} "
        "holds now. Bring them back, or choose another --out."
    )


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    work = _work(tmp_path)
    work.folder.mkdir()
    (work.folder / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError) as caught:
        work.begin({BASE: TRIES})
    assert str(caught.value) == f"{work.folder} holds something that is no comparison. Choose another --out."


def test_references_are_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, arm = _work(tmp_path), Arm("median", "median", "constant")
    first = work.predictions(arm, 1, {})
    monkeypatch.setattr(compare_work, "predicted", lambda *_: pytest.fail("made twice"))
    assert work.predictions(arm, 1, {}).prediction.tolist() == first.prediction.tolist()
    assert (work.folder / "predictions" / "seed1-median.npz").is_file()


def test_one_try_needs_no_cell_to_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _work(tmp_path)
    assert _play(monkeypatch, work) == []
    assert work.tune(BASE, (Try(),)).chosen == Try()
