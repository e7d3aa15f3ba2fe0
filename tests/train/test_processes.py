"""What processes do together, in one process; `tests/distributed/test_micro_batch.py` runs it in two."""

import os
import socket
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from isotone.train.processes import average_gradients, largest, several, share_weights

CPU = torch.device("cpu")


def test_one_process_is_left_as_it_is() -> None:
    net = nn.Linear(2, 2)
    net.weight.grad = torch.ones(2, 2)
    grad = net.weight.grad
    share_weights(net)
    average_gradients(net)
    assert net.weight.grad is grad
    assert net.bias.grad is None
    assert not several()
    assert largest(-5, CPU) == -5


@pytest.fixture
def as_if_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process group of one that says it has two: sums are those of one process, means are halved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", os.environ.get("GLOO_SOCKET_IFNAME", "lo"))
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("as_if_two")
def test_the_mean_keeps_shapes_types_and_missing_gradients() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1, dtype=torch.float64), nn.Linear(1, 1))
    net[0].weight.requires_grad_(False)
    net[0].bias.grad = torch.tensor([2.0, 4.0])
    net[1].weight.grad = torch.tensor([[1.0, 1e-12]], dtype=torch.float64)
    average_gradients(net)
    assert net[0].weight.grad is None
    assert net[0].bias.grad.tolist() == [1.0, 2.0]
    assert net[1].weight.grad.tolist() == [[0.5, 5e-13]]
    assert net[1].bias.grad is None
    assert net[2].weight.grad is None
    assert several()
    assert largest(7, CPU) == 7
