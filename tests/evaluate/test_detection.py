"""The detector's own parts against worked numbers; a few steps on real blood cells; the encoder is a copy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluate.subjects import digits, subject
from evaluate.test_voc import write_voc
from torch import nn

from isotone.errors import ConfigError, DataError, DivergenceError
from isotone.evaluate.detection import BoxPool, detection, slow_nms, working_nms
from isotone.evaluate.subject import Subject


def test_lower_boxes_that_overlap_are_dropped() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 4], [20, 20, 30, 30], [0, 0, 9, 9]])
    scores = torch.tensor([0.8, 0.9, 0.3, 0.1, 0.7])
    # 1 first; 0 overlaps it by 0.9, 2 by 0.44, 4 by 0.9
    assert slow_nms(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert slow_nms(boxes, scores, 0.4).tolist() == [1, 3]
    assert slow_nms(boxes, scores, 0.95).tolist() == [1, 0, 4, 2, 3]
    assert slow_nms(boxes[:0], scores[:0], 0.5).tolist() == []


def test_a_dropped_box_drops_no_other() -> None:
    """b overlaps a, c overlaps b but not a: c stays."""
    boxes = torch.tensor([[0.0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]])
    assert slow_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


def test_torchvisions_own_is_back_afterwards() -> None:
    with working_nms():
        from torchvision.ops import boxes

        inside = boxes.nms
        assert inside(torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]), torch.tensor([0.1, 0.2]), 0.5).tolist() == [1]
    assert inside is slow_nms or boxes.nms is inside
    assert boxes.nms is not slow_nms


def test_a_box_is_pooled_to_the_values_at_its_bins() -> None:
    """On a ramp along x and another along y bilinear values are the coordinates, and a bin's mean its centre."""
    x = torch.arange(16.0).expand(16, 16)
    maps = torch.stack([x, x.T])[None]
    box = torch.tensor([[8.0, 16.0, 36.0, 44.0]])  # with a stride of 4: places 2 to 9 and 4 to 11, a bin one place
    pooled = BoxPool(4)({"0": maps}, [box], [(64, 64)])
    assert pooled.shape == (1, 2, 7, 7)
    centre = torch.arange(7.0) + 0.5 - 0.5  # place i has its centre at i + 0.5
    torch.testing.assert_close(pooled[0, 0], (2 + centre).expand(7, 7))
    torch.testing.assert_close(pooled[0, 1], (4 + centre)[:, None].expand(7, 7))


def test_boxes_are_pooled_from_their_own_image() -> None:
    maps = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    one, none = torch.tensor([[0.0, 0, 8, 8]]), torch.zeros(0, 4)
    pooled = BoxPool(4)({"0": maps}, [one.repeat(2, 1), one], [(16, 16)] * 2)
    assert pooled.mean((1, 2, 3)).tolist() == [0, 0, 1]
    assert len(BoxPool(4)({"0": maps}, [none, one], [(16, 16)] * 2)) == 1


def _squares(folder: Path, images: int) -> Path:
    """Write images with one white square of 20 pixels each, and lists: all but two for training."""
    draw = np.random.default_rng(0)
    boxes = {
        f"i{i:02d}": [("square", (x + 1, y + 1, x + 20, y + 20))]
        for i, (x, y) in enumerate(draw.integers(0, 44, (images, 2)))
    }
    write_voc(folder, boxes)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("\n".join([*boxes][:-2]))
    (folder / "ImageSets" / "Main" / "test.txt").write_text("\n".join([*boxes][-2:]))
    return folder


def _subject(channels: int = 3) -> Subject:
    data = digits(6, answers="none")
    data = replace(data, inputs=np.repeat(data.inputs, channels, axis=3))
    return subject(data)


@pytest.mark.parametrize("trained", [False, True])
def test_a_line_is_returned_and_the_encoder_stays(tmp_path: Path, trained: bool) -> None:
    made = _subject()
    before = {name: x.clone() for name, x in made.encoder.state_dict().items()}
    random = torch.get_rng_state()
    (row,) = detection(made, _squares(tmp_path / "squares", 6), trained=trained, steps=2, side=64)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], x) for name, x in made.encoder.state_dict().items())
    assert (row["probe"], row["target"], row["n"], row["score_name"]) == (
        *("detection", "squares", 2),
        "mean average precision",
    )
    assert row["by_class"].keys() == {"square"}
    assert row["score"] == row["by_class"]["square"]
    settings = {"stage": "stages.3", "steps": 2, "lr": 0.02, "pixels": 64, "overlap": 0.5, "images": 4}
    assert row["settings"] == {"encoder": "trained" if trained else "frozen", **settings}


@pytest.mark.slow  # trains 150 steps
def test_squares_are_found_after_training(tmp_path: Path) -> None:
    made = _subject(channels=1)
    folder = _squares(tmp_path / "squares", 14)
    (row,) = detection(made, folder, trained=True, steps=150, side=128)
    assert row["score"] > 0.5
    assert detection(made, folder, trained=True, steps=2, side=64) == detection(
        made, folder, trained=True, steps=2, side=64
    )


@pytest.mark.slow  # decodes and trains on photographs
def test_a_few_steps_on_real_blood_cells(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for name in ("annotations", "images"):
        (folder / name).mkdir(parents=True)
        for file in sorted((shared_data / "bccd" / name).iterdir())[:6]:
            (folder / name / file.name).write_bytes(file.read_bytes())
    (row,) = detection(_subject(), folder, steps=3)
    assert row["by_class"].keys() <= {"RBC", "WBC", "Platelets"}
    assert 0 <= row["score"] <= 1
    assert row["n"] == 2


def test_an_encoder_without_maps_a_bad_image_and_divergence_are_named(tmp_path: Path) -> None:
    flat = subject(digits(6), nn.Sequential(nn.Flatten(), nn.Linear(1024, 4)))
    with pytest.raises(ConfigError) as caught:
        detection(flat, tmp_path)
    assert str(caught.value) == (
        "The probe 'detection' needs an encoder of images that gives maps, such as small-cnn or resnet18."
    )
    folder = _squares(tmp_path / "squares", 4)
    with pytest.raises(DivergenceError) as diverged:
        detection(_subject(), folder, steps=60, lr=1e9, side=64)
    assert str(diverged.value).startswith("the detector's loss is ")
    assert str(diverged.value).endswith(" of 60. Lower --lr.")
    (folder / "JPEGImages" / "i00.png").write_bytes(b"no image")
    with pytest.raises(DataError) as spoilt:
        detection(_subject(), folder, steps=2, side=64)
    assert str(spoilt.value) == (
        f"{folder}/JPEGImages/i00.png cannot be read as an image (cannot identify image file "
        f"'{folder}/JPEGImages/i00.png'). Repair it or leave it out."
    )
