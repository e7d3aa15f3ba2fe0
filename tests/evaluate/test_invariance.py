"""Turns and shuffled patches, how well they are read back, how far they move; on encoders whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluate.subjects import digits, subject
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.evaluate.invariance import invariance, shuffled, transformations
from isotone.records import Dataset


class _Mean(nn.Module):
    """Mean and spread of all pixels: the same for every turned or shuffled copy of 30 pixels and a frame."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.mean((1, 2, 3)), x.square().mean((1, 2, 3)).sqrt(), torch.ones(len(x))], dim=1)


class _Corners(nn.Module):
    """The mean of each ninth of the image: it says all that shuffling changes."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 3).flatten(1)


def _ramps(rows: int = 240) -> Dataset:
    """Images that get brighter downwards, with noise: what stands up can be seen."""
    found = digits(6, answers="none")
    noise = np.random.default_rng(0).normal(size=(rows, 30, 30, 1))
    grey = np.clip(np.arange(30)[None, :, None, None] * 7.0 + 3 * noise, 0, 255).astype(np.uint8)
    split = np.resize(["train", "train", "val", "test"], rows)
    return Dataset("ramps", "image", grey, np.zeros((rows, 0)), (), split, found.label, np.arange(rows))


def test_shuffling_moves_whole_patches_and_leaves_the_frame() -> None:
    image = torch.arange(32 * 32.0).view(1, 1, 32, 32)
    order = torch.tensor([[3, 0, 1, 2, 4, 5, 6, 7, 8]])
    moved = shuffled(image, order)
    assert torch.equal(moved[..., 1:11, 1:11], image[..., 11:21, 1:11])  # the first place holds patch 3
    assert torch.equal(moved[..., 1:11, 11:21], image[..., 1:11, 1:11])
    assert torch.equal(moved[..., 21:31, :], image[..., 21:31, :])
    assert torch.equal(moved[..., 0, :], image[..., 0, :])
    assert torch.equal(moved[..., 31], image[..., 31])
    assert torch.equal(shuffled(moved, order.argsort(1)), image)
    assert torch.equal(image, torch.arange(32 * 32.0).view(1, 1, 32, 32))


def test_there_are_four_turns_and_24_orders_and_each_image_gets_its_own() -> None:
    turns, orders = transformations(0)
    assert [(one.name, one.count, one.first) for one in (turns, orders)] == [
        ("quarter turn", 4, 1),
        ("patch order", 24, 0),
    ]
    images = torch.rand(4, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    turned = turns.change(images, torch.arange(4))
    assert all(torch.equal(turned[i], images[i].rot90(i, (1, 2))) for i in range(4))
    both = orders.change(images[:1].expand(24, -1, -1, -1), torch.arange(24))
    assert len({x.numpy().tobytes() for x in both}) == 24
    assert all(not torch.equal(x, images[0]) for x in both)


def test_what_an_encoder_cannot_see_is_not_read_back_and_moves_nothing() -> None:
    rows = invariance(subject(_ramps(), _Mean()))
    assert [(row["probe"], row["target"], row["score_name"]) for row in rows] == [
        *(("invariance", "quarter turn", "accuracy"), ("invariance", "quarter turn", "relative distance")),
        *(("invariance", "patch order", "accuracy"), ("invariance", "patch order", "relative distance")),
    ]
    assert [row.get("chance") for row in rows] == [0.25, None, 1 / 24, None]
    assert rows[0]["score"] < 0.5
    assert rows[2]["score"] < 0.2
    assert rows[1]["score"] == pytest.approx(0, abs=0.05)
    assert rows[3]["score"] == pytest.approx(0, abs=0.05)


def test_what_an_encoder_sees_is_read_back_and_moves_far() -> None:
    rows = invariance(subject(_ramps(), _Corners()))
    assert rows[0]["score"] == 1.0
    assert rows[0]["n"] == 60
    assert rows[0]["accuracy"]["low"] == 1.0
    assert rows[1]["score"] > 5  # the images are alike, their turned copies are not
    assert rows[3]["score"] > 5


def test_labels_are_not_looked_at_and_the_seed_decides() -> None:
    rows = invariance(subject(_ramps(60), _Corners()))
    data = _ramps(60)
    assert rows == invariance(subject(replace(data, category=np.arange(60) % 2, classes=("a", "b")), _Corners()))
    assert rows != invariance(subject(data, _Corners(), seed=1))


def test_one_representation_for_all_has_no_distance() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 3), 0.1)

    row = invariance(subject(digits(), Constant()))[1]
    assert row["score"] is None
    assert row["notes"] == ["all test images have one representation: there is no distance to compare with"]


def test_rows_of_numbers_and_a_single_test_image_are_refused() -> None:
    split = np.array(["train"] * 5 + ["test"])
    rows = Dataset("t", "rows", np.eye(6, dtype=np.float32), np.zeros((6, 0)), (), split, split, np.arange(6))
    with pytest.raises(ConfigError) as caught:
        invariance(subject(rows, nn.Linear(6, 2)))
    assert str(caught.value) == ("The probe 'invariance' turns and cuts images, but the data are rows. Leave it out.")
    with pytest.raises(ConfigError) as caught:
        invariance(subject(digits(6)))
    assert str(caught.value) == "The probe 'invariance' needs two test rows, but there are 1."
