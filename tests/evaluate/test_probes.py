"""The probes by name, what they can be asked of, the lines they give; and the proof that none changes the encoder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from evaluate.subjects import CLASSES, digits, subject
from evaluate.test_voc import write_voc
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import isotone
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.evaluate import finetune as finetuning
from isotone.evaluate.knn import knn_numbers
from isotone.evaluate.linear import ridge
from isotone.evaluate.metrics import regression_metrics
from isotone.evaluate.probe import ProbeData, ProbeResult
from isotone.evaluate.probes import (
    CLASS_PROBES,
    NUMBER_PROBES,
    TELLS,
    ProbeSettings,
    append_rows,
    evaluate_run,
    kept_rows,
    probe_names,
    probe_rows,
    probe_settings,
    unchanged,
)
from isotone.evaluate.subject import FrozenRows

ROWS, Y = load_diabetes(return_X_y=True)
ROWS, Y = ROWS[:120].astype(np.float32), Y[:120]
FAST = {"passes": 4, "batch_size": 32, "quiet": True, "device": "cpu"}
KNOWN = "linear, knn, svm, layers, low-shot, semi, finetune, invariance, detection"


def _encoder() -> nn.Module:
    """Batch norm, whose running statistics move in every training pass."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> isotone.Run:
    out = tmp_path_factory.mktemp("probes") / "run"
    y = np.stack([Y, -2 * Y], 1)
    return isotone.fit((ROWS, y), encoder=_encoder(), out=out, groups=np.arange(120) // 4, **FAST)


def _frozen() -> FrozenRows:
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(40, 3)), draw.normal(size=(40, 2))
    return FrozenRows(h, y, ("a", "b"), np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10))


def _without_features(run: isotone.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotone.run.kept_rows", lambda folder: None)


def test_names_are_read_and_checked() -> None:
    assert probe_names(("linear", "knn", "linear")) == ("linear", "knn")
    assert probe_names(" knn,low-shot ") == ("knn", "low-shot")
    assert set(NUMBER_PROBES) <= set(CLASS_PROBES) <= set(TELLS)
    for names, came, nearest in (("linear,knm", "knm", " Did you mean 'knn'?"), ("", "", "")):
        with pytest.raises(ConfigError) as caught:
            probe_names(names)
        assert str(caught.value) == f"`probe` has no {came!r}; there are {KNOWN}.{nearest}"


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


def test_classes_are_told_by_the_probes_of_classes() -> None:
    made = subject()
    rows = evaluate_run(("linear", "knn", "svm"), made)
    assert [(row["probe"], row["target"], row["score_name"]) for row in rows] == [
        *(("linear", "digit", "accuracy"), ("knn", "digit", "accuracy")),
        ("svm", "digit", "mean average precision"),
    ]
    assert rows[1]["settings"] == {"k": 80, "temperature": 0.07, "metric": "cosine"}
    assert rows[0]["score"] > 0.6
    assert rows[0]["accuracy"]["low"] <= rows[0]["score"]
    assert rows[2]["by_class"].keys() == set(CLASSES)
    assert all("data" not in row for row in rows)


PROBES = {
    "classes": ["linear", "knn", "svm", "layers", "low-shot", "semi", "finetune", "invariance", "detection"],
    "numbers": ["linear", "knn", "layers", "semi", "finetune", "invariance", "detection"],
    "none": ["invariance", "detection"],
}


@pytest.mark.parametrize(("answers", "name"), [(told, name) for told, names in PROBES.items() for name in names])
def test_a_probe_changes_no_bit_of_the_encoder(
    answers: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, statistics of batch norm, gradients and modes; with every probe that such answers allow."""
    monkeypatch.setattr(finetuning, "STEPS", 2)
    made = subject(digits(60, answers=answers, side=16))
    before = {key: x.clone() for key, x in made.encoder.state_dict().items()}
    assert "stages.0.1.running_mean" in before
    if name == "detection":
        write_voc(tmp_path, {f"{i}": [("cell", (1, 1, 30, 30))] for i in range(4)})
    voc = tmp_path if name == "detection" else None
    settings = ProbeSettings(passes=1, voc=voc, train_encoder=True, steps=1)
    rows = evaluate_run((name,), made, settings)
    assert rows
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    needed = {"probe", "target", "split", "n", "score", "score_name", "higher_is_better", "settings", "notes"}
    assert all(needed <= row.keys() for row in rows)
    assert {row["probe"] for row in rows} == {name}
    after = made.encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None and p.requires_grad for p in made.encoder.parameters())
    assert not any(module.training for module in made.encoder.modules())
    assert not any(module._forward_hooks for module in made.encoder.modules())


def test_an_encoder_that_changes_itself_is_refused() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x.flatten(1)[:, :4]

    with pytest.raises(ConfigError) as caught:
        evaluate_run(("knn",), subject(digits(), Counting()))
    assert str(caught.value) == (
        "the probe 'knn' changed `count` of the encoder, and its scores are not kept. An encoder of your own must not "
        "write to its weights or buffers in eval mode."
    )


@pytest.mark.parametrize("change", ["weight", "bit", "statistic", "new"])
def test_every_kind_of_change_is_seen(change: str) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    changes: dict[str, Callable[[], object]] = {
        "weight": lambda: net[0].weight.add_(1),
        "bit": lambda: net[0].bias.copy_(net[0].bias.nextafter(torch.ones(2))),
        "statistic": lambda: net[1].num_batches_tracked.add_(1),
        "new": lambda: net.register_buffer("more", torch.zeros(1)),
    }
    with pytest.raises(ConfigError) as caught, unchanged(net, "x"), torch.no_grad():
        changes[change]()
    expected = {"weight": "0.weight", "bit": "0.bias", "statistic": "1.num_batches_tracked", "new": "more"}[change]
    assert f"changed `{expected}` of the encoder" in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "name", "message"),
    [
        *[
            ("numbers", name, f"the probe {name!r} tells classes apart, and the target is a number. "
             "Use linear, knn or layers.")
            for name in ("svm", "low-shot")
        ],
        *[
            ("none", name, f"the probe {name!r} needs labels, and these data have none. Name the column that holds "
             "them, --category or --target, of this table or with --data of another; invariance and detection need "
             "none.")
            for name in ("linear", "layers", "semi")
        ],
        ("classes", "detection", "the probe 'detection' needs a folder of images with boxes in the layout of Pascal "
         "VOC: --voc FOLDER."),
    ],
)  # fmt: skip
def test_a_probe_that_does_not_fit_is_refused_before_any_runs(
    answers: str, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = subject(digits(answers=answers))
    monkeypatch.setattr(made, "embed", lambda *_: pytest.fail("nothing is computed"))
    with pytest.raises(ConfigError) as caught:
        evaluate_run(("invariance", name), made)
    assert str(caught.value) == message


def test_the_name_of_another_table_is_in_each_line() -> None:
    rows = evaluate_run(("knn",), subject(), data="/somewhere/new.csv")
    assert [row["data"] for row in rows] == ["new.csv"]


def test_other_columns_and_settings_are_told_apart() -> None:
    own = DataSettings(target=("age",), group="person", split_column="side", image_column="file")
    assert probe_settings(own, {}) == (own, ProbeSettings())
    assert probe_settings(own, {"lr": 0.5, "voc": "x"})[0] is own
    other, probing = probe_settings(own, {"category": "sex", "steps": 3})
    assert other == replace(own, target=(), category="sex", group=None, split_column=None, unlabelled=True)
    assert probing == ProbeSettings(steps=3)
    assert probe_settings(own, {"target": "a,b", "group": "g"})[0].target == ("a", "b")
    other, probing = probe_settings(own, {"labels": "a,b"})
    assert (other.target, probing.labels) == (("a", "b"), ("a", "b"))
    assert probe_settings(own, {"labels": ["a"]})[0].target == ("a",)
    assert probe_settings(own, {"target": ["a"], "image_column": "i"})[0].image_column == "i"
    assert probe_settings(own, {"category": True})[0].category == "category"
    for values, message in (
        ({"pases": 3}, "`setting of evaluate` has no 'pases'; there are category, target, labels, group, "
         "split_column, image_column, passes, lr, voc, train_encoder, steps. Did you mean 'passes'?"),
        ({"passes": -1}, "`passes` must be between 0 and 1,000,000, got -1."),
        ({"lr": -0.1}, "`lr` must be a finite number above 0, got -0.1."),
        *[
            ({"labels": "a,b", name: "c"},
             "`labels` names what is probed, as target and category do. Name one of the three.")
            for name in ("target", "category")
        ],
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            probe_settings(own, values)
        assert str(caught.value) == message


def test_the_kept_features_are_those_of_all_rows_in_order(run: isotone.Run) -> None:
    kept = kept_rows(run.folder)
    assert kept is not None
    np.testing.assert_allclose(kept.h, run.embed(ROWS), rtol=1e-4, atol=1e-5)
    assert np.array_equal(kept.target[:, 0], Y)
    assert len(kept.target_names) == 2
    assert kept.group is not None
    assert kept.category is None


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


def test_the_kept_classes_are_read(tmp_path: Path) -> None:
    words = np.array(["train", "test"])
    kept = {"index": np.arange(2), "h": np.eye(2), "target": np.zeros((2, 0)), "split": words, "group": np.array([])}
    np.savez(tmp_path / "features.npz", category=np.array([1, -1]), classes=np.array(["a", "b"]), **kept)
    (tmp_path / "data.json").write_text(json.dumps({"rows": 2, "target_names": [], "category_name": "kind"}))
    found = kept_rows(tmp_path)
    assert found is not None
    assert found.category is not None
    assert (found.category.tolist(), found.classes, found.category_name) == ([1, -1], ("a", "b"), "kind")


def test_a_probe_leaves_the_model_of_a_run_as_it_is(run: isotone.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weight, no batch norm statistic and no file of the model changes; the features are computed anew."""
    _without_features(run, monkeypatch)
    before = {name: x.clone() for name, x in run.model.encoder.state_dict().items()}
    files = {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()}
    assert "1.running_mean" in before
    run.evaluate(data=(ROWS, np.stack([Y, -2 * Y], 1)), groups=np.arange(120) // 4)
    after = run.model.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in run.model.encoder.parameters())
    assert files == {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()}


def test_features_computed_anew_give_the_rows_of_the_kept_ones(run: isotone.Run) -> None:
    kept = run.evaluate()
    again = run.evaluate("linear,knn", (ROWS, np.stack([Y, -2 * Y], 1)), groups=np.arange(120) // 4)
    assert [row["settings"] for row in kept] == [row["settings"] for row in again]
    np.testing.assert_allclose([row["score"] for row in kept], [row["score"] for row in again], rtol=1e-4)
    assert run.evaluate() == kept
    linear = [row["score"] for row in kept if row["probe"] == "linear"]
    assert linear[0] < linear[1] == pytest.approx(2 * linear[0], rel=1e-5)  # the same, in -2 units


def test_a_run_is_probed_on_other_answers_of_arrays(run: isotone.Run) -> None:
    high = np.where(np.median(Y) < Y, "high", "low")
    rows = run.evaluate("linear,layers", (ROWS, high), category="level", groups=np.arange(120) // 4)
    assert [(row["probe"], row["target"], row.get("stage")) for row in rows] == [
        ("linear", "level", None),
        *(("layers", "level", stage) for stage in ("0", "1", "2", "3", "representation")),
    ]
    assert rows[0]["score"] > 0.5


def test_arrays_are_asked_for_where_not_all_features_are_kept(
    run: isotone.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_features(run, monkeypatch)
    with pytest.raises(ConfigError) as caught:
        run.evaluate()
    assert str(caught.value) == (
        f"{run.folder} was made from arrays, which are needed again: run.evaluate(data=(X, y)) or "
        "run.suspects((X, y)) in Python, with groups= and split= as in fit."
    )


def test_other_data_are_probed_too(run: isotone.Run) -> None:
    """Transfer: other rows and another target of the same form, read with the run's encoder."""
    own = run.evaluate("linear", (ROWS, np.stack([Y, -2 * Y], 1)), groups=np.arange(120) // 4)
    other = run.evaluate("linear", (ROWS, 100 * Y), groups=np.arange(120) // 4)
    assert [row["target"] for row in other] == ["target"]
    assert other[0]["score"] == pytest.approx(100 * own[0]["score"], rel=0.1)  # another split


def test_other_labels_of_the_same_table_keep_the_split_and_the_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else rows that the encoder was trained on would be its test."""
    from isotone.evaluate import probes

    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 2))
    lines = [f"{a:.4f},{b:.4f},{a + b:.4f},{'big' if a > 0 else 'small'},p{i // 2}" for i, (a, b) in enumerate(x)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,age,size,person", *lines]) + "\n")
    done = isotone.fit(
        tmp_path / "t.csv",
        target="age",
        features=["a", "b"],
        group="person",
        passes=2,
        out=tmp_path / "run",
        quiet=True,
    )
    seen: list[probes.Subject] = []
    real = probes.evaluate_run
    monkeypatch.setattr(
        "isotone.run.evaluate_run",
        lambda names, subject, *a, **k: (seen.append(subject), real(names, subject, *a, **k))[1],
    )
    done.evaluate("linear", category="size")
    own = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert seen[0].dataset.split.tolist() == own["split"].tolist()
    assert seen[0].dataset.group is not None
    assert seen[0].dataset.group.tolist() == own["group"].tolist()
    assert seen[0].dataset.classes == ("big", "small")


def test_data_of_another_form_are_refused(run: isotone.Run) -> None:
    before = (run.folder / "probes.jsonl").read_bytes() if (run.folder / "probes.jsonl").exists() else None
    width = ROWS.shape[1]
    with pytest.raises(ConfigError) as caught:
        run.evaluate(data=(ROWS[:, :-1], Y))
    assert str(caught.value) == (
        f"the encoder of {run.folder} takes rows of ({width},), but arrays holds rows of shape ({width - 1},). "
        "Give data of the same form."
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
