"""Encoder with and without a head."""

import torch
from torch import nn

from isotone.nets.network import Network


def test_the_head_is_optional() -> None:
    encoder, head, x = nn.Linear(3, 4), nn.Linear(4, 2), torch.randn(5, 3)
    assert torch.equal(Network(encoder)(x), encoder(x))
    assert torch.equal(Network(encoder, head)(x), head(encoder(x)))
    assert "head.weight" in Network(encoder, head).state_dict()
    assert set(Network(encoder).state_dict()) == {"encoder.weight", "encoder.bias"}
