"""The doctor: numbers worked by hand, each ailment found, and no false alarm on what is healthy or meant."""

import math

import pytest
import torch
from torch import Tensor, nn

from isotone.errors import ShapeError
from isotone.nets.encoders import build_encoder
from isotone.train.doctor import diagnose

REMEDIES = "Try a lower --lr, a larger --batch-size, --norm group, or a higher --temperature where the method has one."


def _cloud(n: int = 300, d: int = 64, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_numbers_of_a_cross_by_hand() -> None:
    # singular values sqrt(2) and 3 sqrt(2): shares 1/4 and 3/4, entropy ln 4 - (3/4) ln 3; cosines 0 but for -1, -1
    health = diagnose(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]]))
    assert health.effective_rank == pytest.approx(4 / 3**0.75)
    assert health.cosine == pytest.approx(-2 / 6)
    assert health.dead_units == 0
    assert health.spread == pytest.approx(1.0)
    assert health.numbers() == {
        "effective_rank": health.effective_rank,
        "dead_units": 0.0,
        "cosine": health.cosine,
        "spread": health.spread,
    }


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_a_healthy_cloud_has_nothing_wrong(offset: float) -> None:
    health = diagnose(_cloud() + offset)
    assert health.sentences == ()
    assert 45 < health.effective_rank <= 64


def test_an_untrained_encoder_is_no_alarm() -> None:
    """Its rows are much alike (resnet18-small: mean cosine 0.998, spread 0.05) and a tenth of its units may sleep."""
    encoder, _ = build_encoder("small-cnn", kind="image", shape=(3, 32, 32), norm="batch", seed=0)
    encoder.eval()
    with torch.no_grad():
        h = encoder(torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert diagnose(h).sentences == ()


@pytest.mark.parametrize("ordered", [False, True])
def test_a_point_is_found(ordered: bool) -> None:
    health = diagnose(1 + 0.001 * _cloud(), ordered=ordered)
    assert health.sentences == (
        f"The representation has collapsed to a point: its rows differ by 0.10 % of their length. {REMEDIES}",
    )
    assert health.cosine > 0.9999


@pytest.mark.parametrize("value", [0.0, 7.0, 1e30])
def test_equal_rows_are_a_point_without_a_direction(value: float) -> None:
    health = diagnose(torch.full((6, 4), value))
    assert (health.effective_rank, health.dead_units, health.spread) == (0.0, 1.0, 0.0)
    assert health.cosine == pytest.approx(float(value > 0))
    assert list(health.problems) == ["point"]


def test_few_directions_are_found_unless_the_loss_asks_for_them() -> None:
    line = _cloud(300, 1) @ _cloud(1, 64, seed=1)
    assert diagnose(line).effective_rank == pytest.approx(1.0, abs=1e-3)
    assert diagnose(line).sentences == (
        f"The representation has collapsed to few directions: its effective rank is 1.0 of 64. {REMEDIES}",
    )
    assert diagnose(line, ordered=True).sentences == ()
    assert diagnose(line.abs(), ordered=True).sentences == ()
    few = _cloud(600, 3) @ _cloud(3, 512, seed=1)  # 3 directions are under 1 % of 512
    assert list(diagnose(few).problems) == ["directions"]
    assert diagnose(few[:40]).sentences == ()  # but enough for 40 rows


def test_dead_units_are_found_behind_rounding() -> None:
    h = _cloud()
    h[:, :40] = 3.0
    h[::2, :40] += 5e-7  # what float32 leaves of a constant
    health = diagnose(h)
    assert health.dead_units == 40 / 64
    assert health.sentences == (
        "62 % of the 64 units of the representation are the same for every row. "
        "Try a lower --lr, a longer --warmup, or --norm group.",
    )
    assert diagnose(h[:, 10:]).sentences == (
        "56 % of the 54 units of the representation are the same for every row. "
        "Try a lower --lr, a longer --warmup, or --norm group.",
    )
    assert diagnose(h[:, 20:]).sentences == ()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_and_the_order_of_rows_do_not_matter(scale: float) -> None:
    expected = diagnose(_cloud(40, 8))
    found = diagnose(scale * _cloud(40, 8).flip(0))
    for name, value in expected.numbers().items():
        assert found.numbers()[name] == pytest.approx(value, rel=1e-5, abs=1e-9)


def test_nothing_is_kept_of_the_graph_and_half_is_taken() -> None:
    h = nn.Parameter(_cloud(10, 4).half())
    assert math.isfinite(diagnose(h).effective_rank)


def test_refused_shapes() -> None:
    with pytest.raises(ShapeError) as caught:
        diagnose(torch.ones(1, 4))
    assert str(caught.value) == "`diagnose` expects representations (n, d) of two rows or more, got (1, 4)."
    with pytest.raises(ShapeError) as caught:
        diagnose(torch.tensor([[1.0], [math.nan]]))
    assert str(caught.value) == (
        "`diagnose` expects finite representations, got NaN or infinity in 1 of 2 rows (1). "
        "The network has diverged: try a lower --lr or --clip 1."
    )
