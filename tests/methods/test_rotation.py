"""Rotation prediction: the loss is that of all four exact turns of every image."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from isotone.errors import ConfigError
from isotone.methods.rotation import Rotation
from isotone.nets.encoders import build_encoder
from isotone.nets.network import Network
from isotone.records import Batch, Facts, LossOutput, Tags

FACTS = Facts(width=512, shape=(1, 16, 16), instances=16, seed=3)


def _batch(views: int = 1, rows: int = 16) -> Batch:
    digits = torch.from_numpy(load_digits().images[:rows]).float()[:, None] / 8 - 1
    images = digits.repeat_interleave(2, 2).repeat_interleave(2, 3)  # (rows, 1, 16, 16)
    return Batch(torch.stack([images + 0.1 * view for view in range(views)]), Tags(torch.arange(rows)))


def _net(method: Rotation) -> Network:
    encoder, width = build_encoder("small-cnn", kind="image", shape=(1, 16, 16), norm="group", seed=3)
    assert width == FACTS.width
    return method.build(encoder, FACTS)


def _steps(method: Rotation, batch: Batch, count: int) -> tuple[Network, list[LossOutput]]:
    net, found = _net(method), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    for _ in range(count):
        found.append(method.loss(net, batch))
        optimizer.zero_grad()
        found[-1].total.backward()
        optimizer.step()
        method.after_step(net, None, found[-1])
    return net, found


@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_the_cross_entropy_of_numpys_turns(views: int) -> None:
    method, batch = Rotation(views=views), _batch(views, rows=3)
    net, terms, right = _net(method), [], []
    for image in batch.views.flatten(0, 1):
        for quarters in range(4):
            turned = torch.from_numpy(np.rot90(image.numpy(), quarters, axes=(1, 2)).copy())[None]
            logits = net(turned, "turns")[0]
            terms.append(-logits.log_softmax(0)[quarters])
            right.append(logits.argmax() == quarters)
    out = method.loss(net, batch)
    torch.testing.assert_close(out.total, torch.stack(terms).mean())
    torch.testing.assert_close(out.parts["accuracy"], torch.stack(right).float().mean())
    assert not out.parts["accuracy"].requires_grad


def test_twenty_steps_learn_what_is_upright() -> None:
    _, outs = _steps(Rotation(), _batch(), 20)
    assert float(outs[0].total.detach()) == pytest.approx(math.log(4), abs=0.3)
    assert outs[-1].total < 0.7 * outs[0].total
    assert outs[-1].parts["accuracy"] > 0.7


def test_nothing_is_learned_where_there_is_no_upright() -> None:
    images = torch.linspace(-1, 1, 8)[:, None, None, None].expand(8, 1, 16, 16)
    _, outs = _steps(Rotation(), Batch(images[None], Tags(torch.arange(8))), 20)
    assert min(float(out.total.detach()) for out in outs) >= math.log(4) - 1e-5
    assert outs[-1].parts["accuracy"] == 0.25


def test_the_order_of_the_samples_does_not_matter() -> None:
    method, batch = Rotation(), _batch()
    back = Batch(batch.views.flip(1), Tags(torch.arange(16).flip(0)))
    net = _net(method)
    torch.testing.assert_close(method.loss(net, back).total, method.loss(net, batch).total)


def test_what_it_is_and_what_it_refuses() -> None:
    method, net = Rotation(), nn.Linear(2, 2)
    assert method.memory(net, FACTS) is None
    assert math.isnan(method.score(torch.zeros(2, 2), Tags()))
    assert (method.needs, method.kinds, method.scored, method.select) == ((), ("image",), False, "last")
    with pytest.raises(ConfigError) as caught:
        Rotation(views=0)
    assert str(caught.value) == "`views` must be between 1 and 16, got 0."
