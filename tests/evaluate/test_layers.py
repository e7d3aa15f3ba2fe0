"""The pooled sizes of a ResNet-50, the stages of several encoders, and a probe on each."""

import numpy as np
import pytest
import torch
from evaluate.subjects import digits, subject
from torch import nn

from isotone.evaluate import layers as module
from isotone.evaluate.layers import Stage, layers, pooled_side, stage_map, stages_of
from isotone.evaluate.linear import logistic
from isotone.nets.encoders import build_encoder
from isotone.nets.timm_import import import_timm


@pytest.mark.parametrize(
    ("channels", "map_side", "side", "width"),
    [(64, 112, 12, 9216), (256, 56, 6, 9216), (512, 28, 4, 8192), (1024, 14, 3, 9216), (2048, 7, 2, 8192)],
)
def test_the_published_pooled_sizes(channels: int, map_side: int, side: int, width: int) -> None:
    """Goyal et al. 2019: ResNet-50 at 224 pixels, conv1 and res2 to res5."""
    stage = Stage("x", channels, (map_side, map_side))
    assert (pooled_side(channels), stage.grid, stage.width) == (side, (side, side), width)


def test_pooled_sides_of_signals_vectors_and_very_wide_maps() -> None:
    assert pooled_side(128, 1) == 72  # 128 * 72 = 9216
    assert pooled_side(20_000) == 1
    assert pooled_side(10, 0) == 1
    assert Stage("x", 128, (31,)).width == 128 * 31  # never more places than there are
    assert Stage("x", 64, (4, 16)).grid == (4, 12)
    assert Stage("", 512, ()).width == 512


def _shape(encoder: nn.Module, *shape: int) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(s.name, s.channels, s.size) for s in stages_of(encoder.eval(), torch.zeros(1, *shape))]


def test_stages_of_our_encoders() -> None:
    assert _shape(build_encoder("small-cnn", kind="image", shape=(3, 32, 32))[0], 3, 32, 32) == [
        *(("stages.0", 32, (16, 16)), ("stages.1", 64, (8, 8)), ("stages.2", 128, (4, 4)), ("stages.3", 128, (2, 2))),
        ("", 512, ()),
    ]
    assert [name for name, *_ in _shape(build_encoder("mlp", kind="rows", shape=(5,))[0], 5)] == [
        *("layers.0", "layers.1", "layers.2"),
        "",
    ]


def test_stages_of_a_resnet_are_the_stem_and_its_four_layers() -> None:
    with torch.device("meta"):  # shapes without computing
        encoder = import_timm().create_model("resnet50", num_classes=0).eval()
        found = stages_of(encoder, torch.zeros(1, 3, 224, 224))
    assert [s.name for s in found] == ["act1", "layer1", "layer2", "layer3", "layer4", ""]
    assert [s.width for s in found] == [9216, 9216, 8192, 9216, 8192, 2048]


def test_stages_of_a_transformer_are_its_blocks() -> None:
    with torch.device("meta"):
        encoder = import_timm().create_model("vit_tiny_patch16_224", num_classes=0).eval()
        found = stages_of(encoder, torch.zeros(1, 3, 224, 224))
    assert (found[0].name, found[0].channels, found[0].size) == ("blocks.0", 192, (197,))
    assert found[0].width == 192 * 48
    assert len(found) == 13


def test_stages_of_a_network_of_the_users_are_its_children_that_give_maps() -> None:
    convolution = nn.Conv2d(1, 4, 3, padding=1)
    encoder = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert _shape(encoder, 1, 8, 8) == [("0", 4, (8, 8)), ("1", 4, (8, 8)), ("", 3, ())]
    signal = nn.Sequential(nn.Conv1d(2, 4, 3), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    assert _shape(signal, 2, 10) == [("0", 4, (8,)), ("", 4, ())]


def test_a_stage_is_read_before_a_later_module_writes_into_it() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten()).eval()
    views = torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    first = stages_of(encoder, views[:1])[0]
    with torch.no_grad():
        assert torch.equal(stage_map(encoder, first, views), encoder[0](views))
        assert float(stage_map(encoder, first, views).min()) < 0


def test_each_stage_is_probed_on_its_pooled_map() -> None:
    made = subject(digits(side=16))
    rows = layers(made)
    assert [(row["stage"], row["stage_index"], row["map"], row["width"]) for row in rows] == [
        ("stages.0", 0, [32, 8, 8], 2048),
        ("stages.1", 1, [64, 4, 4], 1024),
        ("stages.2", 2, [128, 2, 2], 512),  # the fourth has one place
        ("representation", 3, [512], 512),
    ]
    assert {row["probe"] for row in rows} == {"layers"}
    (one,) = made.answers
    with torch.no_grad():
        h = made.encoder.stages[:2](made.views.clean(torch.from_numpy(made.dataset.inputs))[0]).flatten(1).numpy()
    again = logistic(one.data(h[one.rows]), penalties=module.PENALTIES, max_iter=module.MAX_ITER, dtype=np.float32)
    assert rows[1]["score"] == again.score
    assert rows[1]["settings"]["penalty"] == again.settings["penalty"]
    assert rows[1]["accuracy"]["low"] <= rows[1]["score"] <= rows[1]["accuracy"]["high"]
    assert all(row["notes"] == [] for row in rows)


def test_numbers_fewer_rows_and_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = subject(digits(answers="numbers", side=16))
    whole = layers(made)
    assert {row["score_name"] for row in whole} == {"mae"}
    monkeypatch.setattr(module, "MEMORY", 120 * 1600)  # the first stage alone, then two more passes
    assert layers(made) == whole
    monkeypatch.setattr(module, "ROWS", {"numbers": 50})
    few = layers(made)
    assert few[0]["notes"] == ["fitted on 50 of 80 training rows, drawn by the seed"]
    assert [row["notes"] for row in few[1:]] == [[]] * 3
    assert few[0]["score"] != whole[0]["score"]
