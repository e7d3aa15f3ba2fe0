"""Jigsaw prediction: normalised patches in the order of the permutation that the label names."""

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isotone.data.patches import cut_patches, normalise_patches
from isotone.data.permutations import permutation_set
from isotone.errors import ConfigError
from isotone.methods.jigsaw import Jigsaw, Orders
from isotone.nets.encoders import build_encoder
from isotone.nets.network import Network
from isotone.records import Batch, Facts, LossOutput, Tags

FACTS = Facts(width=512, shape=(1, 32, 32), instances=16, seed=3)
SMALL = Jigsaw(permutations=20, patch_width=16)


def _batch(views: int = 1, rows: int = 16, epoch: int = 0) -> Batch:
    digits = torch.from_numpy(load_digits().images[:rows]).float()[:, None] / 8 - 1
    images = torch.nn.functional.interpolate(digits, size=32, mode="bilinear")
    return Batch(torch.stack([images + 0.1 * view for view in range(views)]), Tags(torch.arange(rows)), epoch=epoch)


def _net(method: Jigsaw = SMALL) -> Network:
    encoder, _ = build_encoder("small-cnn", kind="image", shape=(1, 32, 32), norm="group", seed=3)
    return method.build(encoder, FACTS)


class _Recorded(nn.Module):
    """Stands for the network: keeps what it is given, knows nothing."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs, self.calls = outputs, []

    def forward(self, x: Tensor, part: str) -> Tensor:
        self.calls.append((part, x))
        return torch.zeros(len(x), self.outputs)


def _seen(batch: Batch, method: Jigsaw = SMALL) -> Tensor:
    net, memory = _Recorded(method.permutations), method.memory(nn.Identity(), FACTS)
    method.loss(net, batch, memory)
    ((part, x),) = net.calls
    assert part == "order"
    return x


def _steps(count: int) -> tuple[Network, list[LossOutput]]:
    net, memory, found = _net(), SMALL.memory(nn.Identity(), FACTS), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(count):
        found.append(SMALL.loss(net, _batch(), memory))
        optimizer.zero_grad()
        found[-1].total.backward()
        optimizer.step()
        SMALL.after_step(net, memory, found[-1])
    return net, found


def test_the_label_is_the_permutation_that_undoes_the_shuffle() -> None:
    """The right answer at 1,000 times the certainty costs nothing, so loss and accuracy tell whether it was right."""
    batch, memory = _batch(), SMALL.memory(nn.Identity(), FACTS)
    seen, found = _seen(batch), []

    class Solved(nn.Module):
        def forward(self, x: Tensor, part: str) -> Tensor:
            # which permutation's inverse makes them a row of patches that a place within each cell explains
            for row, image in zip(x, batch.views[0], strict=True):
                every = _all_places(image)  # for each cell, all patches that it may hold
                fits = [
                    all(_among(row[place], every[int(cell)]) for place, cell in enumerate(order))
                    for order in memory.permutations
                ]
                found.append(fits)
            return 1000.0 * torch.tensor(found[-len(x) :]).float()

    out = SMALL.loss(Solved(), batch, memory)
    assert [sum(fits) for fits in found] == [1] * 16
    assert float(out.total) == 0.0
    assert out.parts["accuracy"] == 1.0
    assert seen.shape == (16, 9, 1, 8, 8)


def _all_places(image: Tensor) -> list[Tensor]:
    """Return for each cell of a 32-pixel image the four patches that may be cut out of it, (9, 4, 1, 8, 8)."""
    draws = torch.tensor([[y] * 9 + [x] * 9 for y in (0.2, 0.7) for x in (0.2, 0.7)])
    return list(normalise_patches(cut_patches(image.expand(4, 1, 32, 32), draws)).transpose(0, 1))


def _among(patch: Tensor, every: Tensor) -> bool:
    return bool((patch - every).abs().flatten(1).amax(1).min() < 1e-6)


def test_guessing_costs_the_log_of_the_permutations() -> None:
    memory = SMALL.memory(nn.Identity(), FACTS)
    out = SMALL.loss(_Recorded(20), _batch(), memory)
    assert float(out.total) == pytest.approx(math.log(20))


def test_draws_do_not_depend_on_the_batch_but_on_the_epoch_and_the_sample() -> None:
    batch = _batch()
    few = Batch(batch.views[:, [5, 2]], Tags(torch.tensor([5, 2])))
    seen = _seen(batch)
    assert torch.equal(_seen(few), seen[[5, 2]])
    assert not torch.equal(_seen(_batch(epoch=1)), seen)
    same = Batch(batch.views[:, [5, 5]], Tags(torch.tensor([5, 2])))
    assert not torch.equal(*_seen(same))


def test_each_view_is_cut_and_shuffled_by_itself() -> None:
    batch = _batch(2)
    twice = Batch(batch.views[:1].expand(2, -1, -1, -1, -1), batch.tags)
    seen = _seen(twice, Jigsaw(views=2, permutations=20)).unflatten(0, (16, 2))
    assert not torch.equal(seen[:, 0], seen[:, 1])


def test_the_permutations_are_in_the_checkpoint_and_their_least_distance_in_the_log() -> None:
    memory = SMALL.memory(nn.Identity(), FACTS)
    assert torch.equal(memory.permutations, torch.from_numpy(permutation_set(20, seed=3)))
    other = Orders(20, seed=9)
    assert not torch.equal(other.permutations, memory.permutations)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.permutations, memory.permutations)
    assert SMALL.loss(_Recorded(20), _batch(), memory).parts["least_distance"] == 8
    assert Orders(200, "max-mean").least_distance == 2
    assert Orders(100).least_distance == 6


def test_what_it_is_and_what_it_refuses() -> None:
    assert math.isnan(SMALL.score(torch.zeros(2, 2), Tags()))
    assert (SMALL.needs, SMALL.kinds, SMALL.scored, SMALL.select) == ((), ("image",), False, "last")
    for setting, message in (
        ({"permutations": 1}, "`permutations` must be between 2 and 362,880, got 1."),
        ({"patch_width": 0}, "`patch_width` must be between 1 and 100,000, got 0."),
        ({"views": 17}, "`views` must be between 1 and 16, got 17."),
    ):
        with pytest.raises(ConfigError) as caught:
            Jigsaw(**setting)  # type: ignore[arg-type]
        assert str(caught.value) == message


@pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)
def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        Jigsaw(choose="max")  # type: ignore[arg-type]
    assert str(caught.value) == "`choose` has no 'max'; there are max-min, max-mean. Did you mean 'max-min'?"


def test_images_without_room_for_jitter_are_refused_before_training() -> None:
    with pytest.raises(ConfigError) as caught:
        SMALL.build(nn.Identity(), Facts(width=4, shape=(3, 20, 20)))
    assert str(caught.value).startswith("a 3 x 3 grid of patches needs images of at least 21 pixels, got 20:")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 4))
    with pytest.raises(ConfigError) as caught:
        SMALL.build(encoder, Facts(width=4, shape=(1, 32, 32)))
    assert str(caught.value).startswith("the encoder does not take patches of 8 x 8 pixels: mat1 and mat2")
