"""Buffers kept aside and put back."""

import torch
from torch import nn

from isotone.train.buffers import copy_buffers, put_back_buffers


def test_a_pass_in_between_leaves_no_trace() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.BatchNorm1d(4)))
    net(torch.randn(8, 3))
    state, copies = {name: x.clone() for name, x in net.state_dict().items()}, copy_buffers(net)
    net(torch.randn(8, 3) * 9)
    assert not torch.equal(net[1].running_mean, state["1.running_mean"])
    put_back_buffers(net, copies)
    assert all(torch.equal(x, state[name]) for name, x in net.state_dict().items())


def test_the_copies_are_not_moved_by_the_network() -> None:
    net = nn.BatchNorm1d(2)
    copies = copy_buffers(net)
    net(torch.randn(4, 2) + 5)
    assert copies["running_mean"].tolist() == [0.0, 0.0]
