"""The patch head is the encoder on each patch, then layers; which encoders take patches is asked before training."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.nets.encoders import build_encoder
from isotone.nets.network import Network
from isotone.nets.patch_heads import PatchHead, check_takes_patches


@pytest.mark.parametrize("form", ["linear", "relu", "mlp"])
def test_the_patches_are_mapped_one_by_one_and_joined_in_their_order(form: str) -> None:
    encoder, head = nn.Sequential(nn.Flatten(), nn.Linear(16, 5)), PatchHead(5, 3, 4, form)  # type: ignore[arg-type]
    x = torch.randn(2, 9, 1, 4, 4)
    found = Network(encoder, parts={"order": head})(x, "order")
    for i in range(2):
        joined = torch.cat([head.each(encoder(x[i, j : j + 1])) for j in range(9)], 1)
        torch.testing.assert_close(found[i : i + 1], head.joined(joined))
    moved = Network(encoder, parts={"order": head})(x[:, [1, 0, *range(2, 9)]], "order")
    assert not torch.allclose(moved, found)


def test_the_forms() -> None:
    kinds = {form: [type(x).__name__ for x in PatchHead(5, 3, 4, form).each] for form in ("linear", "relu", "mlp")}  # type: ignore[arg-type]
    assert kinds == {"linear": ["Linear"], "relu": ["Linear", "ReLU"], "mlp": ["Linear", "ReLU", "Linear"]}
    assert PatchHead(2048, 128, 128).joined.weight.shape == (128, 1152)  # PIRL's, as the paper gives it


def test_first_weights_depend_on_the_seed_alone() -> None:
    before = torch.get_rng_state()
    first = PatchHead(5, 3, 4, seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again, other = PatchHead(5, 3, 4, seed=1).state_dict(), PatchHead(5, 3, 4, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("name", "norm"), [("small-cnn", "batch"), ("small-cnn", "group"), ("resnet18-small", "group")]
)
def test_encoders_of_small_images_take_patches_of_8_pixels(name: str, norm: str) -> None:
    encoder, width = build_encoder(name, kind="image", shape=(3, 32, 32), norm=norm)
    before = {key: x.clone() for key, x in encoder.state_dict().items()}
    check_takes_patches(encoder, 3, 8)
    assert encoder.training
    assert all(torch.equal(x, before[key]) for key, x in encoder.state_dict().items())
    h = encoder(torch.randn(18, 3, 8, 8))
    assert h.shape == (18, width)
    assert h.std(0).max() > 0.1  # the patches are told apart


def test_an_encoder_of_one_image_size_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        check_takes_patches(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), 3, 8)
    assert str(caught.value) == (
        "the encoder does not take patches of 8 x 8 pixels: mat1 and mat2 shapes cannot be multiplied (1x192 and "
        "3072x4). Use small-cnn or resnet18-small."
    )
