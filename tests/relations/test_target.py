"""Target distances against their definitions, by hand, and their metric properties."""

import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.targets import angle, by_column, pairs
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.relations import angular, circular, l1, l2, target_distance
from isotone.relations.target import TargetDistance

A, B = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 0.0]])
NAN = math.nan
EVERY = st.sampled_from(["l1", "l2", "circular:360", "angular"])


def _rows(n: int, k: int, seed: int, whole: bool = False) -> Tensor:
    make = torch.Generator().manual_seed(seed)
    real = torch.randn(n, k, generator=make, dtype=torch.float64) * 200
    return real.round() + 1000 * torch.eye(n, k, dtype=torch.float64) if whole else real  # no row of zeros


def test_l1_and_l2_by_hand() -> None:
    assert l1(A, B).tolist() == [[3.0], [4.0]]
    assert l2(A, B).tolist() == [[3.0], [4.0]]
    assert l1(A, A)[0, 1].item() == 7.0
    assert l2(A, A)[0, 1].item() == 5.0


def test_circular_goes_the_short_way_round() -> None:
    hours = torch.tensor([[23.0], [1.0], [13.0], [49.0]])
    assert circular(24.0)(hours, hours)[0].tolist() == [0.0, 2.0, 10.0, 2.0]


def test_angular_by_hand() -> None:
    directions = torch.tensor([[2.0, 0.0, 0.0], [0.0, 5.0, 0.0], [-1.0, 0.0, 0.0], [3.0, 3.0, 0.0], [1.0, 0.0, 0.0]])
    found = angular(directions, directions)[0].tolist()
    assert found == pytest.approx([0.0, math.pi / 2, math.pi, math.pi / 4, 0.0], abs=1e-15)
    assert found[0] == found[4] == 0.0


@settings(max_examples=200, deadline=None)
@given(name=EVERY, seed=st.integers(0, 10**6), k=st.integers(2, 5), whole=st.booleans())
def test_equal_to_the_definition(name: str, seed: int, k: int, whole: bool) -> None:
    a, b = _rows(4, k, seed, whole), _rows(3, k, seed + 1, whole)
    slow = {
        "l1": pairs(by_column, a, b),
        "l2": pairs(lambda x, y: by_column(x, y, measure="l2"), a, b),
        "circular:360": pairs(lambda x, y: by_column(x, y, period=360.0), a, b),
        "angular": pairs(angle, a, b),
    }[name]
    fast = target_distance(name)(a, b)
    assert fast.dtype == torch.float64
    exact = whole and name != "angular"
    torch.testing.assert_close(fast, slow, rtol=0 if exact else 1e-13, atol=2e-15 if name == "angular" else 0)


@settings(max_examples=200, deadline=None)
@given(name=EVERY, seed=st.integers(0, 10**6), k=st.integers(2, 5))
def test_every_one_is_a_metric(name: str, seed: int, k: int) -> None:
    y = _rows(6, k, seed)
    d = target_distance(name)(y, y)
    assert bool((d >= 0).all())
    assert torch.equal(d, d.T)
    assert torch.equal(d.diagonal(), torch.zeros(6, dtype=torch.float64))
    detour = (d[:, :, None] + d[None, :, :]).amin(1)  # the shortest way from i to k over any j
    assert bool((d <= detour * (1 + 1e-12) + 1e-12).all())


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), turns=st.integers(-5, 5), period=st.sampled_from([24.0, 360.0, 7.0]))
def test_whole_turns_change_nothing(seed: int, turns: int, period: float) -> None:
    a, b = _rows(4, 2, seed, whole=True), _rows(3, 2, seed + 1, whole=True)
    d = circular(period)(a, b)
    assert torch.equal(circular(period)(a + turns * period, b), d)
    assert torch.equal(circular(period)(-a, -b), d)
    assert bool((d <= 2 * period / 2).all())


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 4), power=st.integers(-290, 290))
def test_lengths_of_directions_do_not_count(seed: int, k: int, power: int) -> None:
    a, b = _rows(3, k, seed), _rows(3, k, seed + 1)
    torch.testing.assert_close(angular(a * 10.0**power, b), angular(a, b), rtol=0, atol=1e-15)
    torch.testing.assert_close(angular(-a, b), math.pi - angular(a, b), rtol=0, atol=2e-15)


@pytest.mark.parametrize("exponent", range(-300, 0, 20))
def test_tiny_angles_are_told_apart(exponent: int) -> None:
    small = 10.0**exponent
    y = torch.tensor([[1.0, 0.0, 0.0], [1.0, small, 0.0], [1.0, 0.0, -2 * small]], dtype=torch.float64)
    assert angular(y[:1], y).tolist()[0] == pytest.approx([0.0, small, 2 * small], rel=1e-15 if small < 1e-9 else 0.1)


@pytest.mark.parametrize("name", ["l1", "l2", "circular:360", "angular"])
def test_two_views_tie_wherever_they_stand(name: str) -> None:
    # torch.atan2 rounds the entries at a tensor's end, which miss the vector unit, another way than the rest
    measure = target_distance(name)
    for n in (2, 3, 5, 7, 11, 13, 101, 331):
        y = _rows(n, 3, n)
        views, alone = y.repeat(2, 1), measure(y, y)
        assert torch.equal(measure(views, views), alone.repeat(2, 2))
        assert torch.equal(measure(views[-1:], views)[0], alone[-1].repeat(2))
        assert torch.equal(measure(views, views[-2:-1])[:, 0], alone[:, -2].repeat(2))


def test_near_opposite_and_near_equal_directions() -> None:
    turn = 1e-9  # cos rounds to 1: an arc cosine would return 0
    ray = torch.tensor([[math.cos(1.0), math.sin(1.0)]], dtype=torch.float64)
    near = torch.tensor([[math.cos(1.0 + turn), math.sin(1.0 + turn)]], dtype=torch.float64)
    assert angular(ray, near).item() == pytest.approx(turn, abs=4e-16)
    assert angular(ray, -near).item() == pytest.approx(math.pi - turn, abs=1e-15)


def test_pitch_and_yaw_become_a_direction_as_the_docstring_says() -> None:
    pitch, yaw = torch.tensor([0.0, 0.0, 0.3]), torch.tensor([0.2, 0.5, 0.0])
    y = torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], 1)
    assert angular(y, y)[0].tolist() == pytest.approx([0.0, 0.3, math.acos(math.cos(0.2) * math.cos(0.3))], abs=1e-6)


@pytest.mark.parametrize("distance", [l1, l2, circular(360.0), angular])
def test_float32_targets_are_measured_in_float64(distance: TargetDistance) -> None:
    y = _rows(5, 3, 0).float()
    assert torch.equal(distance(y, y), distance(y.double(), y.double()))


@pytest.mark.parametrize("distance", [l1, l2, circular(360.0), angular])
def test_a_missing_entry_makes_the_pair_unknown(distance: TargetDistance) -> None:
    y = torch.tensor([[1.0, 2.0], [NAN, 2.0], [NAN, NAN], [4.0, 0.0]])
    assert distance(y, y).isnan().tolist() == [[i in (1, 2) or j in (1, 2) for j in range(4)] for i in range(4)]


@pytest.mark.parametrize("distance", [l1, l2, circular(360.0), angular])
def test_they_can_be_pickled(distance: TargetDistance) -> None:
    y = _rows(4, 3, 0)
    assert torch.equal(pickle.loads(pickle.dumps(distance))(y, y), distance(y, y))


def test_names() -> None:
    assert target_distance("l1") is l1
    assert target_distance("l2") is l2
    assert target_distance("angular") is angular
    assert target_distance("circular:24") == circular(24.0)
    assert target_distance(angular) is angular


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("l3", "`distance` has no 'l3'; there are l1, l2, circular:360, angular. Did you mean 'l2'?"),
        ("l1:5", "`distance` has no 'l1:5'; there are l1, l2, circular:360, angular. Did you mean 'l1'?"),
        ("angle", "`distance` has no 'angle'; there are l1, l2, circular:360, angular. Did you mean 'angular'?"),
        ("circular", "`period` must be a finite number above 0, got nan."),
        ("circular:-5", "`period` must be a finite number above 0, got -5.0."),
    ],
)
def test_wrong_names_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        target_distance(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            torch.ones(4, 1),
            "angular compares directions of 2 or more dimensions, got targets (4, 1). For a single angle use "
            "circular:360, or circular:6.283185307179586 for radians.",
        ),
        (
            torch.tensor([[0.0, 1.0], [0.0, 0.0], [NAN, 0.0], [0.0, 0.0]]),
            "angular compares directions, but 2 of 4 rows (1, 3) are all zeros and have none. Drop these rows, or mark "
            "them as missing (NaN).",
        ),
        (
            torch.zeros(9, 2),
            "angular compares directions, but 9 of 9 rows (0, 1, 2, 3, 4, ...) are all zeros and have none. Drop these "
            "rows, or mark them as missing (NaN).",
        ),
    ],
)
def test_targets_without_a_direction_are_named(y: Tensor, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        angular(y, y)
    assert str(caught.value) == message
