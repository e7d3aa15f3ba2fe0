"""Errors by shot: the bounds as published, empty shots, hand-worked means."""

from dataclasses import astuple

import numpy as np
import pytest

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.shots import ShotBins, shot_bins, shots


def test_the_bounds_are_the_published_ones() -> None:
    trained = np.repeat([10.0, 11.0, 12.0, 13.0], [101, 100, 20, 19])
    target = np.array([10.0, 11.0, 12.0, 13.0, 14.0])
    found = {shot.name: shot.n for shot in shots(target, target + 1, trained)}
    assert found == {"all": 5, "many": 1, "medium": 2, "few": 2}


def test_means_worked_by_hand() -> None:
    # two rows of 30 with errors 1 and 4, one of 50 with error 2
    found = shots(np.array([30.0, 30.0, 50.0]), np.array([31.0, 26.0, 52.0]), np.empty(0))
    name, n, bins, mae, g_mean, balanced = astuple(found[0])
    assert (name, n, bins) == ("all", 3, 2)
    assert mae == pytest.approx(7 / 3)
    assert g_mean == pytest.approx(2.0)  # the cube root of 1 x 4 x 2
    assert balanced == pytest.approx((2.5 + 2) / 2)
    assert astuple(found[3])[1:] == astuple(found[0])[1:]  # without training rows all are few


def test_an_empty_shot_is_nan() -> None:
    found = shots(np.array([30.0]), np.array([30.0]), np.empty(0))
    assert np.isnan([found[1].mae, found[1].g_mean, found[1].balanced_mae]).all()
    assert found[0].g_mean == pytest.approx(1e-10)  # an exact prediction: the epsilon alone


def test_bins_are_cut_as_whole_numbers() -> None:
    trained = np.repeat(30.2, 101)
    target = np.array([30.9, 31.0, -0.5])
    assert [shot.n for shot in shots(target, target, trained)] == [3, 1, 0, 2]
    assert [shot.n for shot in shots(target, target, trained, width=10.0)] == [3, 2, 0, 1]


def test_tenths_lie_in_the_bins_of_their_names() -> None:
    tenths = np.arange(30) / 10  # 0.3 / 0.1 is 2.9999999999999996
    assert shots(tenths, tenths, tenths, width=0.1)[0].bins == 30
    assert shots(tenths, tenths, tenths, many=2, few=2, width=0.2)[2].n == 30  # two of them in each


def test_bins_are_the_published_ones_where_whole_targets_have_20_training_rows_in_the_mean() -> None:
    ages = np.repeat([20.0, 21.0, 24.0], [90, 9, 1])  # 100 rows, 5 ages from 20 to 24
    assert shot_bins([ages]) == shot_bins([ages, ages]) == ShotBins(1.0, 100, 20, published=True)
    # one row less: as wide, with the share 99 // 5 of a bin, and 99 / 25 rounded up
    assert shot_bins([ages[1:]]) == ShotBins(1.0, 19, 4, published=False)
    assert shot_bins([ages + 0.5]).published is False


def test_other_bins_are_at_most_20_of_a_round_width() -> None:
    for low, high, width, bins in (
        (0.5, 1.5, 0.1, 11),  # 0.05 would be 21
        (0.0, 0.99, 0.05, 20),
        (-1000.0, 6999.0, 500.0, 16),
        (21.0, 88.0, 5.0, 14),  # 20 to 90
        (3.0, 3.5, 0.05, 11),
    ):
        y = np.repeat([low, high], 50)
        assert shot_bins([y]) == ShotBins(width, 100 // bins, -(-20 // bins), published=False)
    assert shot_bins([np.array([0.0, 3.0])]) == ShotBins(1.0, 1, 1, published=False)  # whole: never below 1
    assert shot_bins([np.array([0.5])]) == ShotBins(1.0, 1, 1, published=False)


def test_any_targets_have_bins_and_bounds_in_order() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        y = draw.normal(size=draw.integers(1, 400)) * 10.0 ** draw.integers(-6, 7) + draw.normal() * 100
        found = shot_bins([y])
        assert found.width > 0
        assert 1 <= found.few <= found.many
        assert shots(y, y, y, many=found.many, few=found.few, width=found.width)[0].bins <= 20


@pytest.mark.usefixtures("unhooked")
def test_wrong_input_is_named() -> None:
    y = np.zeros(3)
    for arguments, message in (
        (
            (y, np.zeros((3, 1)), y),
            "Errors by shot expect target and prediction (n,) and training targets (t,), but got (3,), (3, 1) and "
            "(3,). Score one target dimension at a time: y[:, 0].",
        ),
        (
            (y, y + np.nan, y),
            "Errors by shot expect finite numbers, but some are NaN or infinite. Leave these rows out.",
        ),
    ):
        with pytest.raises(ShapeError) as caught:
            shots(*arguments)
        assert str(caught.value) == message
    with pytest.raises(ConfigError) as caught:
        shots(y, y, y, many=5, few=6)
    assert str(caught.value) == (
        "Errors by shot expect few <= many and a width above 0, but got few 6, many 5, width 1.0."
    )
