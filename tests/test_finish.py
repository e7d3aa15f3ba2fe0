"""From data set to judged run: what is fitted on what."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor, nn

import isotone
from isotone.errors import ConfigError, DataError
from isotone.methods import METHODS
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags

IMAGES = (load_digits().images[:150] * 15).astype(np.uint8)
Y = IMAGES.mean((1, 2))
DIGIT = load_digits().target[:150]
FAST = {"passes": 6, "batch_size": 32, "quiet": True, "device": "cpu", "image_size": 8}
QUICK = FAST | {"passes": 2}


def _roles(run: isotone.Run) -> list[str]:
    return [row["role"] for row in run.metrics["rows"] if row["split"] == "test"]


def test_the_baseline_shows_its_head_and_the_head_fitted_again(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), method="baseline", out=tmp_path / "b", **FAST)
    assert _roles(run) == ["model", "refit", "constant", "constant"]


def test_intervals_are_written_and_checked_on_the_test_rows(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), out=tmp_path / "r", interval=0.9, **QUICK)
    found, row = run.metrics["intervals"], run.metrics["intervals"]["rows"][0]
    kept = pd.read_csv(run.folder / "predictions.csv")
    test = kept[kept["split"] == "test"]
    assert list(kept)[-3:] == ["predicted_target", "low_target", "high_target"]
    inside = (test["target"] >= test["low_target"]) & (test["target"] <= test["high_target"])
    assert row["coverage"]["value"] == pytest.approx(inside.mean())
    assert row["width"] == pytest.approx(2 * run.model.half_width(0.9)[0])
    assert found["calibrated_on"] == (kept["split"] == "val").sum()
    assert "Prediction intervals" in (run.folder / "report.html").read_text()


def test_quantile_intervals_are_written_checked_and_the_same_after_a_resume(tmp_path: Path) -> None:
    settings = QUICK | {"interval": 0.8, "interval_form": "quantile"}
    run = isotone.fit((IMAGES, Y), groups=np.arange(150) // 3, out=tmp_path / "r", **settings)
    found, row = run.metrics["intervals"], run.metrics["intervals"]["rows"][0]
    kept = pd.read_csv(run.folder / "predictions.csv")
    test = kept[kept["split"] == "test"]
    width = test["high_target"] - test["low_target"]
    inside = (test["target"] >= test["low_target"]) & (test["target"] <= test["high_target"])
    assert (found["form"], found["calibrated_on_groups"]) == (
        "quantile",
        kept["group"][kept["split"] == "val"].nunique(),
    )
    assert row["coverage"]["value"] == pytest.approx(inside.mean())
    assert row["width"] == pytest.approx(width.mean())
    assert width.std() > 0
    one = found["by_group"][0]
    assert one["width"] == pytest.approx(width[test["group"].astype(str) == one["group"]].mean())
    assert "<td>quantile</td>" in (run.folder / "report.html").read_text()
    ends = isotone.load(run.folder).model.interval(0.8)(run.embed(IMAGES))
    np.testing.assert_allclose(np.concatenate(ends, axis=1), kept[["low_target", "high_target"]], rtol=1e-4)
    before = (run.folder / "predictions.csv").read_bytes(), (run.folder / "model" / "model.safetensors").read_bytes()
    (run.folder / "metrics.json").unlink()  # killed after the training
    shutil.rmtree(run.folder / "model")
    for newest in sorted((run.folder / "checkpoints").iterdir())[-1:]:
        shutil.rmtree(newest)
    isotone.resume(run.folder, (IMAGES, Y), groups=np.arange(150) // 3, quiet=True)
    assert (
        (run.folder / "predictions.csv").read_bytes(),
        (run.folder / "model" / "model.safetensors").read_bytes(),
    ) == before


def test_rnc_shows_the_head_on_the_frozen_encoder(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), method="rnc", out=tmp_path / "r", head_epochs=7, **FAST)
    assert _roles(run) == ["model", "constant", "constant"]
    assert len(run.metrics["head"]["val_scores"]) >= 7


@pytest.mark.parametrize("views", [0, 3])
def test_stage_two_leaves_the_encoder_alone(tmp_path: Path, views: int) -> None:
    from safetensors.torch import load_file

    run = isotone.fit((IMAGES, Y), out=tmp_path / "r", head_views=views, **FAST)
    newest = sorted((run.folder / "checkpoints").iterdir())[-1]
    trained = load_file(newest / "model.safetensors")
    saved = load_file(run.folder / "model" / "model.safetensors")
    assert trained.keys() == {name for name in saved if name.startswith("encoder.")}
    assert all(bool((trained[name] == saved[name]).all()) for name in trained)


def test_both_methods_see_each_row_equally_often(tmp_path: Path) -> None:
    steps = {}
    for method in ("rnc", "baseline"):
        run = isotone.fit((IMAGES, Y), method=method, out=tmp_path / method, **FAST)
        log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
        steps[method] = log[-1]["step"] * run.settings.method.views
    assert steps["rnc"] == steps["baseline"]


def test_a_run_that_diverges_exports_nothing(tmp_path: Path) -> None:
    from isotone.errors import DivergenceError

    with pytest.raises(DivergenceError):
        isotone.fit((IMAGES, Y), method="baseline", out=tmp_path / "b", lr=1e30, warmup=0.0, **FAST)
    assert not (tmp_path / "b" / "model").exists()
    assert json.loads((tmp_path / "b" / "run.json").read_text())["status"] == "running"


def test_classes_from_data_to_predictions(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, DIGIT), method="baseline", category="digit", out=tmp_path / "c", **FAST)
    assert run.settings.method.head == "classify"  # resolved, and so in config.yaml
    assert run.settings.data.category == "digit"
    metrics = run.metrics
    assert metrics["task"] == "classes"
    assert _roles(run) == ["model", "refit", "constant"]
    refit, constant = (next(r for r in metrics["rows"] if r["role"] == role) for role in ("refit", "constant"))
    assert refit["accuracy"]["value"] > constant["accuracy"]["value"] + 0.3
    assert len(metrics["confusion"]) == len(metrics["by_class"]) == 10
    assert set(metrics["head"]) == {"penalty", "penalties", "val_scores"}
    again = isotone.load(run.folder)
    assert again.predict(IMAGES).tolist() == run.predict(IMAGES).tolist()
    assert set(again.predict(IMAGES)) <= set("0123456789")
    np.testing.assert_allclose(again.model.probabilities(again.embed(IMAGES)).sum(axis=1), 1, rtol=1e-5)
    kept = np.load(run.folder / "features.npz", allow_pickle=False)
    assert kept["classes"].tolist() == list("0123456789")
    assert [kept["classes"][int(code)] for code in kept["prediction"][:, 0]] == run.predict(IMAGES).tolist()
    assert (run.folder / "report.html").is_file()


ROWS = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
FAR = np.stack([3 * ROWS[:, 0] + ROWS[:, 1], ROWS[:, 2] ** 2], axis=1)  # two targets
SOON = {"passes": 4, "batch_size": 32, "quiet": True, "device": "cpu", "head_bins": 6}


@pytest.mark.parametrize(("method", "head"), [("baseline", "dex"), ("rnc", "or")])
def test_heads_with_bins_end_to_end_and_on_a_frozen_encoder(tmp_path: Path, method: str, head: str) -> None:
    run = isotone.fit((ROWS, FAR), method=method, head=head, out=tmp_path / "r", **SOON)
    assert ("refit" in _roles(run)) == (method == "baseline")
    found, kept = run.predict(ROWS), np.load(run.folder / "features.npz", allow_pickle=False)
    train = FAR[kept["split"] == "train"]
    assert found.shape == (120, 2)
    assert np.all((found > train.min(axis=0) - 1e-3) & (found < train.max(axis=0) + 1e-3))
    np.testing.assert_allclose(found, kept["prediction"], rtol=1e-4, atol=1e-4)
    assert run.model.scaling.bins is not None
    assert run.model.scaling.bins.count == 6
    assert run.metrics["rows"][0]["model"] == f"{method}, {head} head"


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["numbers", "classes"])
def test_fine_tuning_trains_encoder_and_head_and_goes_on(tmp_path: Path, labels: str) -> None:
    chosen = {"head": "dex"} if labels == "numbers" else {"category": True, "method": "supcon"}
    y = FAR[:, 0] if labels == "numbers" else (FAR[:, 0] > 0).astype(int)
    settings = {**SOON, **chosen, "scheme": "finetune", "finetune_passes": 6}
    run = isotone.fit((ROWS, y), out=tmp_path / "r", **settings)
    assert _roles(run)[:2] == ["model", "refit"]
    assert run.metrics["rows"][0]["model"].startswith("rnc fine-tuned" if labels == "numbers" else "supcon fine-tuned")
    scores = run.metrics["finetune"]
    assert scores["val_score"] <= scores["val_score_before"]
    log = [json.loads(line) for line in (run.folder / "finetune" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == list(range(1, 7))
    frozen = isotone.fit((ROWS, y), out=tmp_path / "f", **{**settings, "scheme": "frozen"})
    kept = scores["val_score"] == scores["val_score_before"]
    assert np.array_equal(frozen.embed(ROWS), run.embed(ROWS)) == kept
    found = run.predict(ROWS).tolist()
    (run.folder / "metrics.json").unlink()  # killed after the training, and before the last fine-tuning steps
    shutil.rmtree(run.folder / "model")
    for newest in sorted((run.folder / "finetune" / "checkpoints").iterdir())[-1:]:
        shutil.rmtree(newest)
    assert isotone.resume(run.folder, (ROWS, y), quiet=True).predict(ROWS).tolist() == found


def test_fine_tuning_without_labels_or_end_to_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="baseline trains encoder and head together already"):
        isotone.fit((ROWS, FAR), method="baseline", scheme="finetune", out=tmp_path / "r", **SOON)
    with pytest.raises(ConfigError, match="the data have none"):
        isotone.fit(ROWS, method="toy", scheme="finetune", out=tmp_path / "r", **SOON)
    assert not (tmp_path / "r").exists()


@dataclass(frozen=True)
class _Toy:
    """Pulls representations to length one, and meets its teacher and partners where it needs them.

    Args:
        views: augmented copies of each sample in a batch.
        head: predictor on the frozen encoder.
        teacher: folder of a run.
    """

    views: int = 1
    head: Literal["auto", "l1", "classify"] = "auto"
    teacher: str = ""

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")
    told: ClassVar[list[Facts]] = []
    partners: ClassVar[list[tuple[int, ...] | None]] = []

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        self.told[:] = [facts]
        self.partners.clear()
        return Network(encoder)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        assert isinstance(net, Network)
        del facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        del memory
        self.partners.append(None if batch.partners is None else tuple(batch.partners.shape))
        return LossOutput((net(batch.views.flatten(0, 1)).norm(dim=1) - 1).square().mean())

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        raise NotImplementedError


class _Taught(_Toy):
    needs: ClassVar[tuple[Need, ...]] = ("teacher",)


class _Tracked(_Toy):
    needs: ClassVar[tuple[Need, ...]] = ("sequence",)


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, method in {"toy": _Toy, "taught": _Taught, "tracked": _Tracked}.items():
        monkeypatch.setitem(METHODS, name, method)


def _told() -> Facts:
    return _Toy.told[0]


def test_a_run_without_labels_keeps_features_and_judges_nothing(tmp_path: Path) -> None:
    run = isotone.fit(IMAGES, method="toy", out=tmp_path / "n", **QUICK)
    assert run.metrics == {"task": "none", "rows": [], "order": None}
    assert run.settings.method.head == "auto"  # the same settings fit labels, should there be some
    assert not (run.folder / "predictions.csv").exists()
    kept = np.load(run.folder / "features.npz", allow_pickle=False)
    assert kept["prediction"].shape == (150, 0)
    np.testing.assert_allclose(run.embed(IMAGES), kept["h"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="this run was trained without labels"):
        run.predict(IMAGES)
    facts = _told()
    assert (facts.k, facts.classes, facts.shape, facts.kind) == (0, 0, (1, 8, 8), "image")
    assert facts.instances == (kept["split"] == "train").sum()
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert log[-1]["score"] is None
    assert "effective_rank" in log[-1]["watch"]


def test_a_method_is_told_the_training_targets_in_standard_units(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), method="toy", out=tmp_path / "t", **QUICK)
    told, split = _told().targets, np.load(run.folder / "features.npz", allow_pickle=False)["split"]
    assert told is not None
    assert told.shape == ((split == "train").sum(), 1)
    y = Y[split == "train"]
    np.testing.assert_allclose(told[:, 0], (y - y.mean()) / y.std())
    isotone.fit((IMAGES, DIGIT), method="toy", category=True, out=tmp_path / "c", **QUICK)
    assert _told().targets is None


def test_few_labels_are_used_for_the_head_and_the_verdict_alone(tmp_path: Path) -> None:
    some = np.where(np.arange(150) % 2, DIGIT % 3, -1)
    run = isotone.fit((IMAGES, some), method="toy", category=True, unlabelled=True, out=tmp_path / "s", **QUICK)
    about = json.loads((run.folder / "data.json").read_text())
    assert _told().instances == about["counts"]["train"] > about["labelled"]["train"]
    assert _told().classes == 3
    assert run.metrics["rows"][0]["n"] == about["labelled"]["test"]
    assert run.metrics["rows"][0]["model"] == "toy, classify head"
    isotone.fit((IMAGES, some), method="baseline", category=True, unlabelled=True, out=tmp_path / "b", **QUICK)


@pytest.mark.parametrize("labels", [True, False])
def test_signals(tmp_path: Path, labels: bool) -> None:
    draw = np.random.default_rng(0)
    waves = draw.normal(size=(60, 2, 64)).cumsum(axis=2)
    y = waves[:, 0].mean(axis=1) if labels else None
    run = isotone.fit((waves, y), method="toy", signal=True, out=tmp_path / "w", **QUICK)
    assert run.model.encoder_name == "cnn-1d"
    assert _told().shape == (2, 64)
    assert isotone.load(run.folder).embed(waves[:5]).shape == (5, _told().width)


def test_neighbours_in_time_come_as_partners(tmp_path: Path) -> None:
    tracks = np.arange(60) // 10
    isotone.fit(IMAGES[:60], method="tracked", sequence=tracks, out=tmp_path / "t", **QUICK)
    assert set(_Toy.partners) == {(1, 32, 1, 8, 8)}
    far = {"sequence": tracks, "time": 5.0 * np.arange(60)}
    with pytest.raises(DataError, match="no training row has a neighbour"):
        isotone.fit(IMAGES[:60], method="tracked", out=tmp_path / "far", **far, **QUICK)
    assert not (tmp_path / "far").exists()


def test_a_teacher_tells_the_training_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, digit = IMAGES[:60], DIGIT[:60] % 2
    monkeypatch.chdir(tmp_path)
    teacher = isotone.fit((images, digit), method="baseline", category=True, out="teacher", **QUICK)
    isotone.fit(images, method="taught", teacher="teacher", out="pupil", **QUICK)
    train = np.flatnonzero(np.load("pupil/features.npz", allow_pickle=False)["split"] == "train")
    said = _told().teacher
    assert said is not None
    np.testing.assert_allclose(said.h, teacher.embed(images)[train], rtol=1e-4, atol=1e-5)
    assert said.probabilities is not None
    np.testing.assert_allclose(said.probabilities, teacher.model.probabilities(said.h), rtol=1e-5)
    (tmp_path / "teacher").rename(tmp_path / "moved")
    monkeypatch.chdir("/")  # where the teacher was is written down
    with pytest.raises(ConfigError) as caught:
        isotone.resume(tmp_path / "pupil", images, quiet=True)
    assert str(caught.value) == (f"the teacher {tmp_path / 'teacher'} is not the folder of a run: it has no run.json.")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "taught"}, "_Taught needs a `teacher`, the folder of a finished run. Name it: --teacher RUN."),
        (
            {"method": "tracked"},
            "_Tracked needs a `sequence`, but data set `arrays` names none. Name its column: --sequence.",
        ),
        (
            {"method": "toy", "head": "l1"},
            "the head 'l1' is fitted on labels, and data set `arrays` has none. Leave out --head, or name a --target "
            "or a --category.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_folder(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        isotone.fit(IMAGES, out=tmp_path / "r", **settings, **FAST)
    assert str(caught.value) == message
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rnc", "baseline"])
def test_a_circle_has_no_jump_from_the_loss_to_the_prediction(tmp_path: Path, method: str) -> None:
    """Rows hold the place itself, so all that is left is the fit's error; on raw degrees it would be tens of them."""
    degrees = np.random.default_rng(0).uniform(0, 360, (300, 1))
    rows = np.concatenate([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)
    settings = {**QUICK, "passes": 20, "lr": 0.05, "head_epochs": 20, "geometry": "circle:360", "augment": "none"}
    settings |= {"queue": 32} if method == "rnc" else {}
    run = isotone.fit((rows, degrees), method=method, out=tmp_path / "r", **settings)
    score = {row["role"]: row["mae"]["value"] for row in run.metrics["rows"] if row["split"] == "test"}
    assert score.get("refit", score["model"]) < 8
    assert score["constant"] > 60
    told = isotone.load(run.folder).predict(rows)
    assert told.shape == (300,)
    assert ((told >= 0) & (told < 360)).all()
    if method == "rnc":
        assert run.settings.flat()["distance"] == "circular:360"


@pytest.mark.slow
def test_gazes_are_ranked_by_angle_and_judged_in_degrees(tmp_path: Path) -> None:
    gaze = np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    settings = {**QUICK, "passes": 10, "head_epochs": 10, "geometry": "gaze", "augment": "none"}
    run = isotone.fit((gaze, gaze), target=("pitch", "yaw"), out=tmp_path / "r", **settings)
    rows = [row for row in run.metrics["rows"] if row["split"] == "test"]
    assert rows[0]["angle"]["value"] < 3 < 15 < rows[-1]["angle"]["value"]
    assert run.settings.flat()["distance"] == "angular"
    assert "Angle, degrees" in run.report().read_text()
    with pytest.raises(ConfigError, match="turns a gaze without its target"):
        isotone.fit((IMAGES, gaze[:150]), geometry="gaze", out=tmp_path / "i", **QUICK)
