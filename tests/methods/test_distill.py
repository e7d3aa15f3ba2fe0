"""Distillation as a method: cross-entropy with a teacher's probabilities, softened or not."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.distill import Distill, SoftTargets
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags, Teacher

ROWS = 20
P = np.random.default_rng(0).dirichlet(np.full(3, 0.3), size=ROWS).astype(np.float32)
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=ROWS, teacher=Teacher(np.zeros((ROWS, 2), np.float32), P))


def _batch(views: int = 1) -> Batch:
    make = torch.Generator().manual_seed(0)
    return Batch(torch.randn(views, 10, 5, generator=make), Tags(torch.arange(10) * 2))


def _made(method: Distill, facts: Facts = FACTS) -> tuple[Network, SoftTargets]:
    torch.manual_seed(0)
    net = method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), facts)
    return net, method.memory(net, facts)


@pytest.mark.parametrize(("temperature", "views"), [(1.0, 1), (1.0, 2), (4.0, 1), (0.5, 2)])
def test_the_loss_is_the_cross_entropy_with_the_soft_targets(temperature: float, views: int) -> None:
    method, batch = Distill(temperature=temperature, views=views), _batch(views)
    net, memory = _made(method)
    out = method.loss(net, batch, memory)
    terms, floors, same = [], [], []
    for view in batch.views:
        for x, row in zip(view, batch.tags.instance, strict=True):  # type: ignore[arg-type]
            logits = net.parts["classes"].layers[0](net.encoder(x)) / temperature  # type: ignore[union-attr, index, operator]
            q = torch.from_numpy(P)[row] ** (1 / temperature)
            q = q / q.sum()
            terms.append(temperature**2 * sum(q[c] * (logits.logsumexp(0) - logits[c]) for c in range(3)))
            floors.append(-(temperature**2) * float(sum(q[c] * q[c].log() for c in range(3))))
            same.append(float(int(logits.argmax()) == int(q.argmax())))
    torch.testing.assert_close(out.total, torch.stack(terms).mean())
    assert float(out.parts["floor"]) == pytest.approx(sum(floors) / len(floors), rel=1e-5)
    assert float(out.parts["agreement"]) == pytest.approx(sum(same) / len(same))


def test_a_teacher_that_is_sure_is_plain_cross_entropy() -> None:
    sure = np.eye(3, dtype=np.float32)[np.arange(ROWS) % 3]
    method, batch = Distill(temperature=2.0), _batch()
    net, memory = _made(method, Facts(**{**vars(FACTS), "teacher": Teacher(FACTS.teacher.h, sure)}))  # type: ignore[union-attr]
    logits = net(batch.views[0], "classes")
    label = torch.arange(10) * 2 % 3
    out = method.loss(net, batch, memory)
    torch.testing.assert_close(out.total, 4 * nn.functional.cross_entropy(logits / 2, label))
    assert float(out.parts["floor"]) == 0.0


def test_the_loss_comes_down_to_its_floor() -> None:
    method, batch = Distill(), _batch()
    net, memory = _made(method)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(500):
        out = method.loss(net, batch, memory)
        optimizer.zero_grad()
        out.total.backward()
        optimizer.step()
    assert 0 < float((out.total - out.parts["floor"]).detach()) < 0.05


def test_a_checkpoint_holds_the_probabilities_and_there_is_no_score() -> None:
    _, memory = _made(Distill())
    assert torch.equal(memory.state_dict()["probabilities"], torch.from_numpy(P))
    assert math.isnan(Distill().score(torch.zeros(3, 2), Tags()))


@pytest.mark.parametrize(
    ("teacher", "text"),
    [
        (None, "distillation learns what a trained run predicts. Name its folder with --teacher."),
        (
            Teacher(np.zeros((ROWS, 2), np.float32)),
            "distillation learns the class probabilities of a trained run, and the run that --teacher names tells no "
            "classes apart. Name one that was trained with --category, or use clusterfit, which takes any run.",
        ),
    ],
)
def test_without_a_teacher_that_tells_classes_apart(teacher: Teacher | None, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Distill().build(nn.Linear(5, 8), Facts(width=8, instances=ROWS, teacher=teacher))
    assert str(caught.value) == text


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        Distill(temperature=0.0)
    assert str(caught.value) == "`temperature` must be a finite number above 0, got 0.0."
