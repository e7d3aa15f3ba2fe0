"""Optimizer state through tensors and numbers and back."""

import pytest
import torch
from torch import nn

from isotone.train.optimizer import build_optimizer, pack, unpack
from isotone.train.settings import TrainSettings


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_packed_state_goes_on_to_the_bit(name: str) -> None:
    settings = TrainSettings(optimizer=name)  # type: ignore[arg-type]

    def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        net(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = build_optimizer(net, settings, 0.01)
    step(net, optimizer)
    copy = nn.Linear(3, 2)
    copy.load_state_dict(net.state_dict())
    fresh = build_optimizer(copy, settings, 0.01)
    tensors, numbers = pack(optimizer.state_dict())
    tensors = {name: x.clone() for name, x in tensors.items()}  # as through a file
    fresh.load_state_dict(unpack(fresh.state_dict(), tensors, numbers))
    step(net, optimizer)
    step(copy, fresh)
    assert torch.equal(net.weight, copy.weight)


def test_biases_and_norms_are_not_decayed() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    decayed, free = build_optimizer(net, TrainSettings(weight_decay=0.1), 0.01).param_groups
    assert [p.shape for p in decayed["params"]] == [net[0].weight.shape]
    assert decayed["weight_decay"] == 0.1
    assert len(free["params"]) == 3
    assert free["weight_decay"] == 0.0
