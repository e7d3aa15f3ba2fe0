"""The probes by name, the rows they give, the features a run keeps; and the proof that a probe changes no encoder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import nn

import isotone
from isotone.errors import ConfigError
from isotone.evaluate.knn import knn_numbers
from isotone.evaluate.linear import ridge
from isotone.evaluate.metrics import regression_metrics
from isotone.evaluate.probe import ProbeData, ProbeResult
from isotone.evaluate.probes import (
    CLASS_PROBES,
    NUMBER_PROBES,
    FrozenRows,
    append_rows,
    kept_rows,
    number_probes,
    probe_rows,
)

ROWS, Y = load_diabetes(return_X_y=True)
ROWS, Y = ROWS[:120].astype(np.float32), Y[:120]
FAST = {"passes": 4, "batch_size": 32, "quiet": True, "device": "cpu"}


def _encoder() -> nn.Module:
    """Batch norm, whose running statistics move in every training pass."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> isotone.Run:
    out = tmp_path_factory.mktemp("probes") / "run"
    return isotone.fit(
        (ROWS, np.stack([Y, -2 * Y], 1)), encoder=_encoder(), out=out, groups=np.arange(120) // 4, **FAST
    )


def _frozen() -> FrozenRows:
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(40, 3)), draw.normal(size=(40, 2))
    return FrozenRows(h, y, ("a", "b"), np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10))


def _without_features(run: isotone.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotone.api.kept_rows", lambda folder: None)


def test_names_are_read_and_checked() -> None:
    assert number_probes(("linear", "knn", "linear")) == ("linear", "knn")
    assert number_probes(" knn,linear ") == ("knn", "linear")
    assert set(NUMBER_PROBES) <= set(CLASS_PROBES)
    with pytest.raises(ConfigError) as caught:
        number_probes("linear,knm")
    assert str(caught.value) == "`probe` has no 'knm'; there are linear, knn. Did you mean 'knn'?"
    with pytest.raises(ConfigError) as caught:
        number_probes("svm")
    assert str(caught.value) == (
        "the probe 'svm' tells classes apart, and this run's target is a number. Use linear or knn."
    )
    with pytest.raises(ConfigError) as caught:
        number_probes("")
    assert str(caught.value) == "`probe` has no ''; there are linear, knn."


@pytest.mark.parametrize("name", ["linear", "knn"])
def test_a_row_is_the_probes_result_with_intervals(name: str) -> None:
    frozen = _frozen()
    rows = probe_rows(frozen, [name], seed=3)
    h, y = frozen.h, frozen.target
    for column, row in enumerate(rows):
        data = ProbeData(h[:20], y[:20, column], h[20:30], y[20:30, column], h[30:], y[30:, column])
        result = (ridge if name == "linear" else knn_numbers)(data)
        assert row["score"] == result.score == pytest.approx(row["mae"]["value"])
        assert row["settings"] == result.settings
        interval = regression_metrics(y[30:, column], result.prediction, seed=3)["r2"]
        assert row["r2"] == {"value": interval.value, "low": interval.low, "high": interval.high}
    assert [(row["probe"], row["target"], row["split"], row["n"]) for row in rows] == [
        (name, "a", "test", 10),
        (name, "b", "test", 10),
    ]


def test_what_is_not_defined_is_null() -> None:
    frozen = _frozen()
    same = FrozenRows(frozen.h, np.ones((40, 1)), ("a",), frozen.split, np.array(["g"] * 40))
    row = probe_rows(same, ["knn"], seed=0)[0]
    assert row["r2"] == {"value": None, "low": None, "high": None}
    assert row["mae"]["low"] is None  # one group
    assert "NaN" not in json.dumps(row)


def test_rows_are_appended(tmp_path: Path) -> None:
    for _ in range(2):
        append_rows(tmp_path / "probes.jsonl", probe_rows(_frozen(), ["knn", "linear"], seed=0))
    rows = [json.loads(line) for line in (tmp_path / "probes.jsonl").read_text().splitlines()]
    assert [row["probe"] for row in rows] == ["knn", "linear"] * 4
    assert all(row.pop("time") for row in rows)
    assert rows[:4] == rows[4:]


def test_the_kept_features_are_those_of_all_rows_in_order(run: isotone.Run) -> None:
    kept = kept_rows(run.folder)
    assert kept is not None
    np.testing.assert_allclose(kept.h, run.embed(ROWS), rtol=1e-4, atol=1e-5)
    assert np.array_equal(kept.target[:, 0], Y)
    assert len(kept.target_names) == 2
    assert kept.group is not None


def test_features_of_some_rows_or_none_or_damaged_are_not_taken(run: isotone.Run, tmp_path: Path) -> None:
    assert kept_rows(tmp_path) is None
    about = json.loads((run.folder / "data.json").read_text())
    (tmp_path / "features.npz").write_bytes((run.folder / "features.npz").read_bytes())
    (tmp_path / "data.json").write_text(json.dumps(about | {"rows": 121}))
    assert kept_rows(tmp_path) is None
    (tmp_path / "data.json").write_text(json.dumps(about))
    assert kept_rows(tmp_path) is not None
    (tmp_path / "features.npz").write_bytes((run.folder / "features.npz").read_bytes()[:500])
    assert kept_rows(tmp_path) is None


def test_a_probe_leaves_the_encoder_as_it_is(run: isotone.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weight, no batch norm statistic and no file of the model changes; the features are computed anew."""
    _without_features(run, monkeypatch)
    before = {name: x.clone() for name, x in run.model.encoder.state_dict().items()}
    files = {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()}
    assert "1.running_mean" in before
    run.evaluate(data=(ROWS, np.stack([Y, -2 * Y], 1)), groups=np.arange(120) // 4)
    after = run.model.encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in run.model.encoder.parameters())
    assert files == {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()}


def test_features_computed_anew_give_the_rows_of_the_kept_ones(run: isotone.Run) -> None:
    kept = run.evaluate()
    again = run.evaluate("linear,knn", (ROWS, np.stack([Y, -2 * Y], 1)), groups=np.arange(120) // 4)
    assert [row["settings"] for row in kept] == [row["settings"] for row in again]
    np.testing.assert_allclose([row["score"] for row in kept], [row["score"] for row in again], rtol=1e-4)
    assert run.evaluate() == kept
    assert kept[0]["score"] < kept[2]["score"] == pytest.approx(2 * kept[0]["score"], rel=1e-5)  # the same, in -2 units


def test_arrays_are_asked_for_where_not_all_features_are_kept(
    run: isotone.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_features(run, monkeypatch)
    with pytest.raises(ConfigError) as caught:
        run.evaluate()
    assert str(caught.value) == (
        f"{run.folder} was made from arrays and kept the features of only some of its rows: "
        "probe it in Python with run.evaluate(data=(X, y)), with groups= and split= as in fit."
    )


@pytest.mark.parametrize("change", [lambda x, y: (x + 1, y), lambda x, y: (x, y + 1)])
def test_other_data_are_refused(run: isotone.Run, change: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    x, y = change(ROWS, np.stack([Y, -2 * Y], 1))
    before = (run.folder / "probes.jsonl").read_bytes() if (run.folder / "probes.jsonl").exists() else None
    with pytest.raises(ConfigError) as caught:
        run.evaluate(data=(x, y), groups=np.arange(120) // 4)
    assert str(caught.value) == (
        f"the data are not those that {run.folder} was started with. Bring them back, or start a new run with --out."
    )
    after = (run.folder / "probes.jsonl").read_bytes() if (run.folder / "probes.jsonl").exists() else None
    assert before == after


def test_every_probe_of_a_kind_takes_the_same_data_and_names_itself() -> None:
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(30, 3)), draw.normal(size=30)
    for kind, answers in ((NUMBER_PROBES, y), (CLASS_PROBES, (y > 0).astype(int))):
        for name, probe in kind.items():
            result = probe(ProbeData(h, answers, h, answers, h, answers))
            assert isinstance(result, ProbeResult)
            assert result.name == name
            assert len(result.prediction) == 30
