"""CPC as a method: its loss is InfoNCE step by step; what is predicted, from what, and against what."""

import math

import pytest
import torch
from torch import Tensor, nn

from isotone.data.draws import sample_draws
from isotone.errors import ConfigError
from isotone.methods.cpc import CPC, _patches
from isotone.nets.context import Context
from isotone.nets.encoders import build_encoder
from isotone.nets.network import Network
from isotone.randomness import generator
from isotone.records import Batch, Facts, Tags

ROWS = 6
SIGNAL = Facts(width=512, kind="signal", shape=(2, 96), instances=ROWS)  # 6 frames
IMAGE = Facts(width=512, kind="image", shape=(1, 16, 16), instances=ROWS)


def _signals(views: int = 1, step: int = 0) -> Batch:
    make = torch.Generator().manual_seed(0)
    phase = torch.rand(ROWS, 2, 1, generator=make) * 6
    clean = torch.sin(phase + torch.arange(96) * torch.linspace(0.1, 0.9, ROWS)[:, None, None])
    return Batch(clean + 0.1 * torch.randn(views, ROWS, 2, 96, generator=make), Tags(torch.arange(ROWS)), step=step)


def _images(views: int = 1) -> Batch:
    make = torch.Generator().manual_seed(0)
    ramp = torch.rand(ROWS, 1, 1, 1, generator=make) * torch.arange(16.0) / 8
    return Batch((ramp + torch.rand(views, ROWS, 1, 16, 16, generator=make)), Tags(torch.arange(ROWS)))


def _net(method: CPC, facts: Facts = SIGNAL) -> Network:
    name = "cnn-1d" if facts.kind == "signal" else "small-cnn"
    encoder, _ = build_encoder(name, kind=facts.kind, shape=facts.shape, norm="group")
    return method.build(encoder, facts)


def _slow(found: Tensor, k: int, drawn: list[int] | None = None) -> Tensor:
    """Return step k's InfoNCE of (g, s, 1 + K, w), from the formula; `drawn`: the rows of z that are compared with."""
    g, s = found.shape[:2]
    places = [(i, t) for i in range(g) for t in range(s - k)]
    z = torch.stack([found[i, t + k, 0] for i, t in places])
    terms = []
    for row, (i, t) in enumerate(places):
        f = z @ found[i, t, k]
        kept = [j for j in (range(len(z)) if drawn is None else drawn) if j != row]
        terms.append(torch.cat([f[row : row + 1], f[kept]]).logsumexp(0) - f[row])
    return torch.stack(terms).mean()


@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_info_nce_at_each_step(views: int) -> None:
    method, batch = CPC(steps=3, hidden=8, views=views), _signals(views)
    net = _net(method)
    out = method.loss(net, batch)
    found = net(batch.views.flatten(0, 1), "context").squeeze(1)  # (6 v, 6, 4, 128)
    assert found.shape == (views * ROWS, 6, 4, 128)
    steps = [_slow(found, k) for k in (1, 2, 3)]
    torch.testing.assert_close(out.total, sum(steps) / 3)
    for k in (1, 2, 3):
        torch.testing.assert_close(out.parts[f"step_{k}"], steps[k - 1].detach())
        assert not out.parts[f"step_{k}"].requires_grad
    parameters = list(net.parameters())
    ours = torch.autograd.grad(out.total, parameters, retain_graph=True)
    for a, b in zip(ours, torch.autograd.grad(sum(steps) / 3, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_many_pieces_are_compared_with_a_draw_of_them() -> None:
    method, batch = CPC(steps=1, hidden=8, candidates=7), _signals(step=5)
    net = _net(method)
    found = net(batch.views[0], "context").squeeze(1)
    drawn = torch.randperm(30, generator=generator("cpc candidates", 0, 5, 1))[:7].tolist()
    torch.testing.assert_close(method.loss(net, batch).total, _slow(found, 1, drawn))
    assert not torch.equal(method.loss(net, batch).total, method.loss(net, _signals(step=6)).total)


def test_predictions_of_zero_cost_the_logarithm_of_the_candidates() -> None:
    method = CPC(steps=2)
    net = _net(method)
    nn.init.zeros_(net.parts["context"].ahead.weight)  # type: ignore[union-attr, arg-type]
    parts = method.loss(net, _signals()).parts
    assert float(parts["step_1"]) == pytest.approx(math.log(ROWS * 5))
    assert float(parts["step_2"]) == pytest.approx(math.log(ROWS * 4))


def test_an_image_is_a_sequence_for_each_column_of_patches() -> None:
    method, batch = CPC(grid=3, hidden=8, views=2), _images(2)
    net = _net(method, IMAGE)
    assert isinstance(net.parts["context"], Context)
    assert net.parts["context"].steps == 2  # rows below the first
    drawn = sample_draws(batch, 36, "cpc patches").view(ROWS, 2, 2, 3, 3)
    patches = torch.cat([_patches(batch.views[v], drawn[:, v]) for v in range(2)])
    found = net(patches, "context").flatten(0, 1)  # (12 * 3, 3, 3, 512)
    torch.testing.assert_close(method.loss(net, batch).total, (_slow(found, 1) + _slow(found, 2)) / 2)


def test_steps_ahead_end_with_the_window_and_with_five_rows() -> None:
    assert _net(CPC()).parts["context"].steps == 5  # type: ignore[union-attr]
    large = Facts(width=512, kind="image", shape=(3, 64, 64), instances=ROWS)
    assert _net(CPC(), large).parts["context"].steps == 5  # type: ignore[union-attr]
    long = Facts(width=512, kind="signal", shape=(1, 500), instances=ROWS)
    assert _net(CPC(), long).parts["context"].steps == 12  # type: ignore[union-attr]


def test_patches_overlap_by_half_and_lie_in_their_cell() -> None:
    image = torch.arange(1.0, 257.0).view(1, 1, 16, 16)
    patches = _patches(image, torch.full((1, 2, 3, 3), 0.5))  # in the middle of the frame
    assert patches.shape == (1, 3, 3, 1, 8, 8)
    for column in range(3):
        for row in range(3):
            cut = image[0, 0, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8]
            expected = torch.zeros(8, 8)
            expected[1:-1, 1:-1] = cut[1:-1, 1:-1]
            assert torch.equal(patches[0, column, row, 0], expected)
    first, last = _patches(image, torch.zeros(1, 2, 3, 3)), _patches(image, torch.full((1, 2, 3, 3), 0.999))
    assert first[0, 0, 0, 0, 1, 1] == 1.0
    assert last[0, 2, 2, 0, -2, -2] == 256.0


def test_a_wide_image_is_cut_from_its_middle() -> None:
    image = torch.zeros(1, 1, 16, 24)
    image[..., 4:20] = 1.0
    patches = _patches(image, torch.zeros(1, 2, 3, 3))
    assert float(patches[..., 1:-1, 1:-1].min()) == 1.0


def test_there_is_no_score_and_no_memory() -> None:
    method = CPC()
    assert method.memory(_net(method), SIGNAL) is None
    assert math.isnan(method.score(torch.zeros(3, 2), Tags()))


@pytest.mark.parametrize(
    ("encoder", "facts", "text"),
    [
        (
            nn.Linear(40, 8),
            Facts(width=8, kind="signal", shape=(2, 40)),
            "CPC predicts the local features of a signal and needs an encoder with a method `frames` of (b, c, t) to "
            "(b, steps, width), but Linear has none. Use cnn-1d, or give yours that method.",
        ),
        (
            build_encoder("cnn-1d", kind="signal", shape=(2, 31))[0],
            Facts(width=512, kind="signal", shape=(2, 31)),
            "CPC predicts later frames from earlier ones, but the encoder makes 1 of the 31 samples of a window. "
            "Use longer windows.",
        ),
        (
            build_encoder("small-cnn", kind="image", shape=(1, 28, 28))[0],
            Facts(width=512, kind="image", shape=(1, 28, 28)),
            "CPC cuts images into 7 x 7 patches of 8 pixels or more, but images of 28 pixels give patches of 6. "
            "Use a larger --image-size or a smaller --grid.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(encoder: nn.Module, facts: Facts, text: str) -> None:
    encoder.train()
    with pytest.raises(ConfigError) as caught:
        CPC().build(encoder, facts)
    assert str(caught.value) == text


def test_building_leaves_the_encoder_as_it_was() -> None:
    encoder, _ = build_encoder("cnn-1d", kind="signal", shape=(2, 96))
    before = {name: x.clone() for name, x in encoder.state_dict().items()}
    net = CPC().build(encoder, SIGNAL)
    assert net.encoder is encoder
    assert encoder.training
    assert all(torch.equal(x, before[name]) for name, x in encoder.state_dict().items())


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        CPC(grid=1)
    assert str(caught.value) == "`grid` must be between 2 and 32, got 1."
