"""The projection: its layers, its first weights, and the representation brought to length 1 before it."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.nets.heads import Projection
from isotone.nets.network import Network


def test_an_mlp_and_a_linear_head_are_what_they_say() -> None:
    x = torch.randn(5, 4)
    linear, mlp = Projection(4, 3, "linear"), Projection(4, 3, hidden=7)
    (only,) = linear.layers
    assert torch.equal(linear(nn.Identity(), x), only(x))
    first, middle, last = mlp.layers
    assert (first.out_features, last.in_features, type(middle)) == (7, 7, nn.ReLU)
    torch.testing.assert_close(mlp(nn.Identity(), x), last(first(x).relu()))
    assert Projection(4, 3).layers[0].out_features == 4  # as wide as the representation


def test_it_is_a_part_of_a_network() -> None:
    encoder, part, x = nn.Linear(6, 4), Projection(4, 3), torch.randn(5, 6)
    assert torch.equal(Network(encoder, parts={"z": part})(x, "z"), part(encoder, x))


def test_the_seed_alone_decides_the_first_weights() -> None:
    def weight(seed: int) -> torch.Tensor:
        return Projection(4, 3, seed=seed).layers[0].weight

    torch.manual_seed(1)
    first, state = weight(0), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, weight(0))
    assert not torch.equal(first, weight(1))
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


def test_a_normalised_representation_has_no_scale() -> None:
    part, x = Projection(4, 3, normalise=True), torch.randn(5, 4)
    torch.testing.assert_close(part(nn.Identity(), x), part(nn.Identity(), 100 * x))
    torch.testing.assert_close(part(nn.Identity(), x), part.layers(nn.functional.normalize(x)))
    assert part(nn.Identity(), torch.zeros(2, 4)).isfinite().all()
    assert part.half()(nn.Identity(), 300 * x.half()).isfinite().all()  # squares beyond float16


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        Projection(4, 0)
    assert str(caught.value) == "`out` must be a finite number above 0, got 0."
