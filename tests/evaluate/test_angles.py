"""Errors on a circle and between gazes, against the arc cosine and values worked by hand."""

import math

import numpy as np
import pytest

from isotone.evaluate.angles import angle_errors, angle_metric, beside, constants, relation
from isotone.evaluate.order import order

DRAW = np.random.default_rng(0)


def vector(p: float, y: float) -> np.ndarray:
    return np.array([-math.cos(p) * math.sin(y), -math.sin(p), -math.cos(p) * math.cos(y)])


def test_the_error_is_the_arc_cosine_of_the_dot_product() -> None:
    a, b = DRAW.uniform(-1.5, 1.5, (2, 40, 2))
    expected = [math.degrees(math.acos(np.clip(vector(*x) @ vector(*y), -1, 1))) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(angle_errors(a, b), expected, rtol=1e-9)


def test_the_same_the_opposite_and_the_all_but_same() -> None:
    x = np.array([[0.3, 0.4], [0.3, 0.4], [0.0, 0.0]])
    y = np.array([[0.3, 0.4], [-0.3, 0.4 + math.pi], [1e-9, 0.0]])
    np.testing.assert_allclose(angle_errors(x, y), [0.0, 180.0, math.degrees(1e-9)], rtol=1e-6)


def test_vectors_of_any_length_zeros_and_what_is_missing() -> None:
    x = np.array([[0.0, 0.0, -1e200], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    y = np.array([[0.0, 0.0, -1e-200], [3.0, 3.0, 0.0], [0.0, 0.0, 0.0], [math.nan, 0.0, 0.0]])
    np.testing.assert_allclose(angle_errors(x, y), [0.0, 45.0, 90.0, math.nan], atol=1e-12)


def test_the_metric_has_an_interval_that_draws_groups_whole() -> None:
    x = np.zeros((40, 2))
    y = np.stack([np.zeros(40), np.repeat([0.1, 0.2], 20)], 1)
    found = angle_metric(x, y, group=np.repeat(["a", "b"], 20))
    assert found.value == pytest.approx(math.degrees(0.15))
    assert (found.low, found.high) == pytest.approx((math.degrees(0.1), math.degrees(0.2)))
    assert math.isnan(angle_metric(x, y, group=np.repeat("a", 40)).low)


def test_a_prediction_on_a_circle_is_brought_beside_its_target() -> None:
    target, told = np.array([[350.0], [10.0], [90.0], [-10.0]]), np.array([[10.0], [350.0], [80.0], [725.0]])
    near = beside(target, told, "circle:360")
    assert near.tolist() == [[370.0], [-10.0], [80.0], [5.0]]
    assert beside(target, told, "line") is told
    assert math.isnan(beside(np.array([[math.nan]]), np.array([[1.0]]), "circle:24")[0, 0])


def test_the_constants_of_a_circle_do_not_lie_opposite() -> None:
    hours = np.array([[23.0], [1.0], [0.5], [22.0]])
    found = constants(hours, "circle:24")
    far = [float(np.minimum(r := np.abs(hours - x) % 24, 24 - r).mean()) for x in np.linspace(0, 24, 4801)]
    got = np.abs(beside(hours, np.broadcast_to(found["median"], (4, 1)), "circle:24") - hours).mean()
    assert got == pytest.approx(min(far))
    turn = 2 * math.pi / 24 * hours
    assert found["mean"][0] == pytest.approx(24 + math.atan2(np.sin(turn).sum(), np.cos(turn).sum()) * 12 / math.pi)
    assert constants(hours, "line")["mean"].tolist() == [11.625]
    assert constants(np.ones((3, 2)), "gaze")["median"].tolist() == [1.0, 1.0]


def test_the_order_of_a_circle_has_no_jump() -> None:
    degrees = np.sort(DRAW.uniform(0, 360, 60))[:, None]
    h = np.concatenate([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)
    assert order(h, degrees, relation=relation("circle:360")).spearman == pytest.approx(1.0)
    assert order(h, degrees, relation=relation("line")).spearman < 0.8


def test_the_order_of_gazes_is_that_of_their_vectors() -> None:
    gaze = DRAW.uniform(-1.2, 1.2, (40, 2))
    h = np.stack([vector(p, y) for p, y in gaze])
    assert order(h, gaze, relation=relation("gaze")).ordered_triples == 1.0
