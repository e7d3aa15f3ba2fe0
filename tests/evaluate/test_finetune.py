"""Fine-tuning a copy: it learns, on shares that are drawn class by class, and never touches the run's encoder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from evaluate.subjects import digits, subject
from torch import nn

from isotone.data.views import Views
from isotone.errors import ConfigError
from isotone.evaluate import finetune as module
from isotone.evaluate.finetune import draw_share, finetune, tune
from isotone.evaluate.stage_two import HeadSettings
from isotone.evaluate.subject import Subject
from isotone.methods.rnc import RnC
from isotone.nets.network import Network
from isotone.predict.scaling import Scaling
from isotone.records import Dataset
from isotone.train.loop import Job
from isotone.train.settings import TrainSettings


def _blobs(*, told: str = "classes", rows: int = 120) -> Dataset:
    """Rows of two numbers in three clouds; the number is the distance from 0 of the first one."""
    code = np.arange(rows) % 3
    noise = np.random.default_rng(0).normal(scale=0.3, size=(rows, 2))
    x = (np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])[code] + noise).astype(np.float32)
    split = np.resize(["train", "train", "train", "val", "test"], rows)
    data = Dataset("blobs", "rows", x, np.zeros((rows, 0)), (), split, split, np.arange(rows))
    if told == "numbers":
        return replace(data, target=np.abs(x[:, :1]).astype(np.float64), target_names=("far",))
    return replace(data, category=code.astype(np.int64), classes=("a", "b", "c"), category_name="cloud")


def _subject(data: Dataset, *, seed: int = 0) -> Subject:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU())
    made = subject(data, encoder, seed=seed)
    made.views = Views("rows", seed=seed, mean=(0.0,), std=(1.0,))
    return made


def test_a_share_has_its_part_of_each_class_and_at_least_one_row() -> None:
    made = subject()
    category = made.dataset.category
    train = made.dataset.rows("train")
    whole = np.bincount(category[train])
    assert draw_share(made, 1.0).tolist() == train.tolist()
    for share in (0.01, 0.1, 0.5):
        rows = draw_share(made, share)
        assert np.bincount(category[rows]).tolist() == [max(1, round(share * n)) for n in whole]
        assert np.isin(rows, train).all()
    assert np.isin(draw_share(made, 0.1), draw_share(made, 0.5)).all()
    assert draw_share(made, 0.5).tolist() != draw_share(subject(seed=1), 0.5).tolist()
    assert len(draw_share(subject(digits(answers="numbers")), 0.01)) == 2


def test_rows_without_a_label_are_not_drawn() -> None:
    data = digits()
    category = data.category.copy()
    category[data.rows("train")[:30]] = -1
    assert not np.isin(draw_share(subject(replace(data, category=category)), 1.0), data.rows("train")[:30]).any()


def test_classes_are_learned_on_a_copy() -> None:
    made = _subject(_blobs())
    before = {name: x.clone() for name, x in made.encoder.state_dict().items()}
    (row,) = finetune(made, passes=20)
    assert (row["probe"], row["target"], row["score_name"], row["n"]) == ("finetune", "cloud", "accuracy", 24)
    assert row["score"] > 0.9
    assert row["accuracy"]["low"] <= row["score"]
    assert row["settings"] == {"labels": "100 %", "rows": 72, "passes": 20, "lr": 0.05}
    assert row["notes"] == ["the epoch is picked on the labels of all 24 validation rows"]
    after = made.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in made.encoder.parameters())
    assert not made.encoder.training
    assert finetune(made, passes=20) == [row]


def test_numbers_are_learned_in_the_users_unit() -> None:
    made = _subject(_blobs(told="numbers"))
    (row,) = finetune(made, passes=30)
    y = made.dataset.target[:, 0]
    constant = np.abs(y[made.dataset.rows("test")] - np.median(y[made.dataset.rows("train")])).mean()
    assert row["score_name"] == "mae"
    assert row["score"] == pytest.approx(row["mae"]["value"])
    assert row["score"] < 0.5 * constant


def test_few_labels_are_seen_more_often_and_called_semi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PASSES", 2)
    monkeypatch.setattr(module, "STEPS", 6)
    rows = finetune(_subject(_blobs(rows=400)), shares=(0.05, 0.5, 1.0))
    assert [row["probe"] for row in rows] == ["semi", "semi", "finetune"]
    assert [row["settings"]["labels"] for row in rows] == ["5 %", "50 %", "100 %"]
    assert [row["settings"]["rows"] for row in rows] == [12, 120, 240]
    assert [row["settings"]["passes"] for row in rows] == [6, 6, 2]  # 1, 1 and 3 batches of 64 an epoch
    assert [row["settings"]["lr"] for row in rows] == [0.05] * 3


def test_a_side_without_labels_is_named() -> None:
    data = _blobs()
    split = np.where(data.split == "val", "train", data.split)
    with pytest.raises(ConfigError) as caught:
        finetune(_subject(replace(data, split=split)))
    assert str(caught.value) == ("Fine-tuning needs val rows with labels, and there are none. Look at the split.")


def _job(folder: Path) -> tuple[Job, nn.Linear]:
    """Return the job of a trained run whose encoder changes nothing, and the head that predicts its target exactly."""
    data = _blobs(told="numbers")
    data = replace(data, target=data.inputs[:, :1].astype(np.float64))
    encoder, layer = nn.Linear(2, 2), nn.Linear(2, 1)
    scaling = Scaling.of(data.target[data.labelled("train")])
    encoder.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})
    weight = torch.tensor([[1.0, 0.0]]) / scaling.std[0]
    layer.load_state_dict({"weight": weight, "bias": torch.tensor([-scaling.mean[0] / scaling.std[0]])})
    views = Views("rows", seed=0, mean=(0.0,), std=(1.0,))
    settings = TrainSettings(passes=50, batch_size=16, lr=0.8, warmup=0.0)
    return Job(RnC(), Network(encoder), data, views, scaling, settings, folder, "go on"), layer


def test_a_run_is_tuned_from_the_fitted_head(tmp_path: Path) -> None:
    job, layer = _job(tmp_path)
    nn.init.zeros_(layer.weight)
    tuned = tune(job, layer, HeadSettings(finetune_passes=5), Accelerator(cpu=True))
    assert tuned.best < 0.8 * tuned.start
    assert tuned.net.head is layer
    assert not torch.equal(tuned.net.encoder.state_dict()["weight"], torch.eye(2))
    log = [json.loads(line) for line in (tmp_path / "finetune" / "log.jsonl").read_text().splitlines()]
    assert len(log) == 5
    assert 0 < log[0]["lr"] <= 0.8 / 10 * 16 / 256  # a tenth of the run's
    assert tuned.best == pytest.approx(min(line["score"] for line in log))


def test_the_start_is_kept_where_no_epoch_is_better(tmp_path: Path) -> None:
    job, layer = _job(tmp_path)
    before = {name: x.clone() for name, x in Network(job.net.encoder, layer).state_dict().items()}  # type: ignore[arg-type]
    tuned = tune(job, layer, HeadSettings(finetune_passes=2, finetune_lr=0.3), Accelerator(cpu=True))
    assert tuned.best == tuned.start < 1e-6
    assert all(torch.equal(before[name], x) for name, x in tuned.net.state_dict().items())
