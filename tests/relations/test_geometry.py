"""What geometry asks of distances, and pitch and yaw as vectors, against the definition worked by hand."""

import math

import pytest
import torch

from isotone.relations.geometry import directions, distance_of, period_of
from isotone.relations.target import target_distance


def test_each_geometry_has_its_distance() -> None:
    assert [period_of(name) for name in ("line", "gaze", "circle:360", "circle:6.28")] == [None, None, 360.0, 6.28]
    assert [distance_of(name) for name in ("line", "gaze", "circle:24")] == ["l1", "angular", "circular:24"]
    assert target_distance(distance_of("circle:24"))(torch.tensor([[23.0]]), torch.tensor([[1.0]])).item() == 2.0


@pytest.mark.parametrize(
    ("pitch", "yaw", "vector"),
    [
        (0.0, 0.0, (0.0, 0.0, -1.0)),  # into the camera
        (math.pi / 2, 0.0, (0.0, -1.0, 0.0)),  # up, as y points down
        (0.0, math.pi / 2, (-1.0, 0.0, 0.0)),
        (math.pi / 6, math.pi / 3, (-0.75, -0.5, -math.sqrt(3) / 4)),  # cos 30 sin 60 = 3/4, cos 30 cos 60 = sqrt 3 / 4
    ],
)
def test_pitch_and_yaw_become_a_vector(pitch: float, yaw: float, vector: tuple[float, ...]) -> None:
    got = directions(torch.tensor([[pitch, yaw]], dtype=torch.float64))
    torch.testing.assert_close(got, torch.tensor([vector], dtype=torch.float64), rtol=0, atol=1e-15)


def test_the_way_back_gives_pitch_and_yaw() -> None:
    """pitch = asin(-y), yaw = atan2(-x, -z), as the data set's makers compute them."""
    draw = torch.Generator().manual_seed(0)
    target = (torch.rand(50, 2, generator=draw, dtype=torch.float64) - 0.5) * torch.tensor([3.1, 6.2])
    x, y, z = directions(target).T
    torch.testing.assert_close(torch.stack([torch.asin(-y), torch.atan2(-x, -z)], 1), target)


def test_vectors_stay_and_missing_stays_missing() -> None:
    x = torch.tensor([[3.0, 0.0, 4.0]])
    assert torch.equal(directions(x), x.double())
    assert bool(directions(torch.tensor([[math.nan, 0.0]])).isnan().any())
