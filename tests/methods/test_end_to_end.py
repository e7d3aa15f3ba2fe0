"""What the regularised regressions share: the baseline's weights and score, rows in order, one target where asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import isotone
from isotone.errors import ConfigError
from isotone.methods import METHODS
from isotone.methods.baseline import Baseline
from isotone.methods.end_to_end import answers, beside, error, network, one_target, outputs, split
from isotone.records import Batch, Facts, Tags

FACTS = Facts(4, kind="rows", shape=(3,), k=1, classes=10, seed=3)
REGULAR = ("lds", "fds", "ranksim", "cmixup", "ordinal-entropy", "joint")


def test_the_network_begins_as_the_baselines_does_whatever_classes_there_are() -> None:
    encoder = nn.Linear(3, 4)
    own = network("l1", encoder, FACTS)
    baseline = Baseline("l1").build(encoder, replace(FACTS, classes=0))
    assert own.head is not None
    assert baseline.head is not None
    assert own.head.out_features == 1
    assert torch.equal(own.head.weight, baseline.head.weight)


def test_the_score_is_the_error_of_the_targets_whatever_classes_there_are() -> None:
    y = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    assert error("mse", torch.zeros(2, 1), Tags(category=torch.tensor([0, 1]), scaled=y)) == pytest.approx(1.5)


def test_rows_come_sample_by_sample() -> None:
    views, y = torch.arange(6.0).view(2, 3, 1), torch.arange(3.0, dtype=torch.float64)[:, None]
    batch = Batch(views, Tags(scaled=y))
    assert outputs(nn.Identity(), batch).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert answers(batch).flatten().tolist() == [0, 0, 1, 1, 2, 2]


def test_the_part_beside_is_both_outputs_and_is_saved_once() -> None:
    net = beside("l1", nn.Linear(3, 4), FACTS)
    x = torch.randn(5, 3)
    h, out = split(net(x, "beside"), 1)
    assert torch.equal(h, net.encoder(x))
    assert torch.equal(out, net(x))
    assert sorted(net.state_dict()) == ["encoder.bias", "encoder.weight", "head.bias", "head.weight"]


@pytest.mark.parametrize("name", ["lds", "fds", "ranksim"])
def test_several_targets_are_refused_where_the_paper_has_one(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        METHODS[name]().build(nn.Linear(3, 4), replace(FACTS, k=2))
    owner = {"lds": "LDS", "fds": "FDS", "ranksim": "RankSim"}[name]
    assert str(caught.value) == (
        f"{owner} is defined for one target, got 2. Name one --target, or use --method baseline, cmixup, joint or "
        "ordinal-entropy, which take several."
    )
    one_target(owner, FACTS)


@pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)
@pytest.mark.parametrize("name", REGULAR)
def test_settings_out_of_range(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        METHODS[name](head="classify")
    assert str(caught.value) == "`head` has no 'classify'; there are l1, mse, huber."
    with pytest.raises(ConfigError) as caught:
        METHODS[name](views=0)
    assert str(caught.value) == "`views` must be between 1 and 16, got 0."


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize("rows", ["two", "constant"])
def test_a_batch_of_two_and_constant_targets_are_finite(name: str, rows: str) -> None:
    n = 2 if rows == "two" else 6
    y = torch.arange(n, dtype=torch.float64)[:, None] * (rows == "two")
    facts = replace(FACTS, instances=n, targets=y.numpy())
    method = METHODS[name]()
    net = method.build(nn.Linear(3, 4), facts)
    memory = method.memory(net, facts)
    for epoch in range(3):
        batch = Batch(
            torch.randn(method.views, n, 3, generator=torch.Generator().manual_seed(epoch)),
            Tags(torch.arange(n), target=10 * y, scaled=y),
            epoch=epoch,
        )
        out = method.loss(net, batch, memory)
        out.total.backward()
        assert torch.isfinite(out.total)
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
        method.after_step(net, memory, out)


@pytest.mark.slow
@pytest.mark.parametrize("name", REGULAR)
def test_a_whole_run_keeps_the_end_to_end_head_and_can_be_loaded(tmp_path: Path, name: str) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(150, 5)).astype(np.float32)
    y = np.exp(x[:, 0] + 0.1 * draw.normal(size=150))
    run = isotone.fit((x, y), method=name, out=tmp_path / "r", passes=10, batch_size=32, quiet=True, device="cpu")
    roles = [row["role"] for row in run.metrics["rows"] if row["split"] == "test"]
    assert roles == ["model", "refit", "constant", "constant"]
    again = isotone.load(run.folder)
    assert again.settings.method == run.settings.method
    assert again.predict(x).tolist() == run.predict(x).tolist()
