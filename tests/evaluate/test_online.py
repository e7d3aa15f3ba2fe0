"""The online signal: its kNN is the probe's, few rows are drawn once, and each sentence is said once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.online import K, online
from isotone.evaluate.probe import ProbeData
from isotone.nets.network import Network
from isotone.records import Dataset

HEALTH = {"effective_rank", "dead_units", "cosine", "spread"}
CPU = torch.device("cpu")
VIEWS = Views("rows", mean=(0.0,), std=(1.0,))


def _numbers(rows: int = 120) -> Dataset:
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    return load_arrays(x, np.stack([x[:, 0], x[:, 1] ** 2], axis=1), settings=DataSettings(), seed=0)


def _classes() -> Dataset:
    made = _numbers()
    category = (made.target[:, 0] > 0).astype(np.int64)
    category[made.rows("train")[:10]] = -1
    return replace(made, target=np.zeros((120, 0)), target_names=(), category=category, classes=("no", "yes"))


def _watch(dataset: Dataset, net: nn.Module | None = None, **settings: object) -> dict[str, float]:
    made = online(dataset, VIEWS, device=CPU, seed=0, **settings)  # type: ignore[arg-type]
    return made(Network(net or nn.Identity(), nn.Linear(3, 1)))


def _data(dataset: Dataset, y: np.ndarray) -> ProbeData:
    x, train, val = dataset.inputs, dataset.labelled("train"), dataset.labelled("val")
    return ProbeData(x[train], y[train], x[:0], y[:0], x[val], y[val])


def test_numbers_are_scored_against_the_median() -> None:
    dataset = _numbers()
    gains = []
    for y in dataset.target.T:
        data = _data(dataset, y)
        gains.append(1 - knn_numbers(data, k=K).score / np.abs(data.test_y - np.median(data.train_y)).mean())
    found = _watch(dataset)
    assert found["knn"] == pytest.approx(np.mean(gains))
    assert set(found) == HEALTH | {"knn"}
    assert found["dead_units"] == 0


def test_classes_are_scored_by_accuracy_on_the_rows_that_have_one() -> None:
    dataset = _classes()
    assert dataset.category is not None
    expected = knn_classes(_data(dataset, dataset.category), k=K).score
    assert _watch(dataset)["knn"] == expected
    assert expected > 0.8


def test_without_labels_there_is_health_alone() -> None:
    made = _numbers()
    assert set(_watch(replace(made, target=np.zeros((120, 0)), target_names=()))) == HEALTH
    assert set(_watch(replace(_classes(), category=np.full(120, -1)))) == HEALTH
    assert set(_watch(replace(_classes(), category=np.zeros(120, np.int64)))) == HEALTH  # one class alone
    assert set(_watch(replace(made, target=np.ones((120, 1)), target_names=("y",)))) == HEALTH  # a constant


def test_without_validation_rows_there_is_nothing() -> None:
    assert _watch(replace(_numbers(), split=np.full(120, "train"))) == {}


class _Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        self.seen.append(x)
        return x


def test_few_rows_are_drawn_and_the_same_each_time() -> None:
    encoder, dataset = _Counted(), _numbers()
    watch = online(dataset, VIEWS, device=CPU, seed=0, most_rows=10)
    net = Network(encoder)
    assert watch(net) == watch(net)
    assert [len(x) for x in encoder.seen] == [10] * 4
    assert net.training
    other = _Counted()
    online(dataset, VIEWS, device=CPU, seed=1, most_rows=10)(Network(other))
    assert not torch.equal(encoder.seen[0], other.seen[0])


class _Collapsed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1 + 1e-5 * x


def test_each_sentence_is_said_once(tmp_path: Path) -> None:
    net = Network(_Collapsed())
    with (tmp_path / "said").open("w") as stream:
        watch = online(_numbers(), VIEWS, device=CPU, seed=0, stream=stream)
        watch(net)
        watch(net)
    assert (tmp_path / "said").read_text() == (
        "The representation has collapsed to a point: its rows differ by 0.00 % of their length. "
        "Try a lower --lr, a larger --batch-size, --norm group, or a higher --temperature where the method has one.\n"
    )


class _Line(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1].expand(-1, 8)


def test_a_line_is_no_fault_where_the_loss_asks_for_it(tmp_path: Path) -> None:
    for ordered in (False, True):
        with (tmp_path / "said").open("w") as stream:
            online(_numbers(), VIEWS, device=CPU, seed=0, ordered=ordered, stream=stream)(Network(_Line()))
        assert bool((tmp_path / "said").read_text()) != ordered


class _Diverged(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * float("nan")


def test_a_diverged_network_gives_no_numbers() -> None:
    assert _watch(_numbers(), _Diverged()) == {}
