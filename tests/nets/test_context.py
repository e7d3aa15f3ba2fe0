"""CPC's context: it sees what came and nothing later, one sequence at a time."""

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.nets.context import Context, local_features
from isotone.nets.norms import group_norm
from isotone.nets.signals import CNN1d


class Stretches(nn.Module):
    """An encoder whose frames are the samples themselves, four at a time."""

    def frames(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (-1, 4)).transpose(1, 2).flatten(2)


def test_what_comes_out_is_the_frame_and_its_predictions_step_by_step() -> None:
    part, x = Context(width=8, steps=3, hidden=5), torch.randn(2, 2, 24)
    out = part(Stretches(), x)
    assert out.shape == (2, 1, 6, 4, 8)
    torch.testing.assert_close(out[:, 0, :, 0], Stretches().frames(x))
    state = torch.zeros(1, 2, 5)
    weights = part.ahead.weight.view(3, 8, 5)
    for t in range(6):
        context, state = part.gru(out[:, 0, t : t + 1, 0], state)
        for k in (1, 2, 3):
            torch.testing.assert_close(out[:, 0, t, k], context[:, 0] @ weights[k - 1].T)


def test_a_prediction_knows_nothing_of_later_frames() -> None:
    part, x = Context(width=4, steps=2), torch.randn(1, 1, 24)
    later = x.clone()
    later[..., 12:] += 1.0  # frames 3 to 5
    before, after = part(Stretches(), x), part(Stretches(), later)
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.equal(before[:, :, 3:, 1:], after[:, :, 3:, 1:])


def test_columns_of_an_image_are_sequences_of_their_own() -> None:
    part, x = Context(width=16, steps=2), torch.randn(3, 4, 5, 1, 4, 4)
    out = part(nn.Flatten(), x)
    assert out.shape == (3, 4, 5, 3, 16)
    assert torch.equal(out[1, 2, 3, 0], x[1, 2, 3].flatten())
    alone = part(nn.Flatten(), x[1:2, 2:3])
    torch.testing.assert_close(out[1:2, 2:3], alone)


def test_the_first_weights_depend_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first = Context(4, 2, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    again, other = Context(4, 2, seed=3).state_dict(), Context(4, 2, seed=4).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["ahead.weight"], other["ahead.weight"])


def test_under_autocast_the_context_is_in_full_precision() -> None:
    part, encoder, x = Context(width=128, steps=2), group_norm(CNN1d(1)), torch.randn(2, 1, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = part(encoder, x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out[..., 1:, :], part(encoder, x)[..., 1:, :], rtol=0.1, atol=0.05)


def test_a_signal_encoder_without_frames_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        local_features(nn.Linear(8, 8), torch.zeros(2, 1, 8))
    assert str(caught.value) == (
        "CPC predicts the local features of a signal and needs an encoder with a method `frames` of (b, c, t) to "
        "(b, steps, width), but Linear has none. Use cnn-1d, or give yours that method."
    )
