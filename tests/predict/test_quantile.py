"""Quantile intervals: the heads against other solvers, the correction term by term, coverage, width by noise."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import QuantileRegressor

from isotone.errors import ConfigError, ShapeError
from isotone.predict.conformal import Calibration, widened
from isotone.predict.linear import fit_linear
from isotone.predict.mse import MSE
from isotone.predict.quantile import Band, Quantiles, fit_band

Rows = tuple[np.ndarray, np.ndarray]


def _draw(n: int, draw: np.random.Generator) -> Rows:
    """Three features; the target follows the first, and its noise the second: std 0.1 to 1.9."""
    h = draw.uniform(-1, 1, (n, 3)).astype(np.float32)
    noise = 1 + 0.9 * h[:, 1]
    return h, (2 * h[:, 0] + noise * draw.normal(size=n))[:, None].astype(np.float64)


def _covered(ends: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> np.ndarray:
    return (ends[0] <= y) & (y <= ends[1])


def test_the_loss_is_the_pinball_loss_written_term_by_term() -> None:
    draw = np.random.default_rng(0)
    out, y, size = draw.normal(size=(5, 4)), draw.normal(size=(5, 2)), 0.3
    rounded, exact = 0.0, 0.0
    for row in range(5):
        for target in range(2):
            for share, place in ((0.1, target), (0.9, 2 + target)):
                r = y[row, target] - out[row, place]
                rounded += share * r + size * math.log(1 + math.exp(-r / size))
                exact += share * r if r >= 0 else (share - 1) * r
    made, tensors = Quantiles(0.8, size), (torch.from_numpy(out), torch.from_numpy(y))
    assert made.loss(*tensors).item() == pytest.approx(rounded / 20, rel=1e-12)
    assert made.pinball(*tensors).item() == pytest.approx(exact / 20, rel=1e-12)
    assert made.outputs(2) == 4
    assert made.decode(tensors[0]).tolist() == pytest.approx((out[:, :2] + out[:, 2:]) / 2)


def test_the_rounding_costs_at_most_its_size_times_log_2() -> None:
    r = torch.linspace(-3, 3, 101)[:, None]
    for size in (1e-3, 0.1):
        made, zero = Quantiles(0.9, size), torch.zeros(101, 2)
        more = made.loss(zero, r) - made.pinball(zero, r)
        assert -1e-6 <= more <= size * math.log(2)


def test_the_heads_are_those_of_a_linear_program() -> None:
    h, y = _draw(400, np.random.default_rng(0))
    band = fit_band(h, y, h, y, level=0.8, spread=np.array([0.5]))  # validated on itself: the weakest penalties win
    made = Quantiles(0.8, 1e-6)
    exact = [QuantileRegressor(quantile=share, alpha=0).fit(h, y[:, 0]).predict(h) for share in (0.1, 0.9)]
    own = h.astype(np.float64) @ band.weight.T + band.bias
    losses = [made.pinball(torch.from_numpy(out), torch.from_numpy(y)).item() for out in (own, np.stack(exact, axis=1))]
    assert losses[1] <= losses[0] <= 1.01 * losses[1]
    np.testing.assert_allclose(own, np.stack(exact, axis=1), atol=0.25)  # of targets from -5 to 5


def test_the_correction_is_the_definition_written_term_by_term() -> None:
    # two targets, heads that cross on h < 0; 9 validation rows: of 10 places, 80 % is the eighth
    weight, bias = np.array([[1.0], [-2.0], [3.0], [2.0]]), np.array([0.0, -1.0, 0.0, 1.0])
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(9, 1)), 3 * draw.normal(size=(9, 2))
    new = np.array([[-1.0], [0.0], [0.1], [2.0]])
    for target in range(2):
        low, high = (lambda x, i=i: weight[i, 0] * x + bias[i] for i in (target, 2 + target))
        outside = [
            max(min(low(x), high(x)) - t, t - max(low(x), high(x))) for x, t in zip(h[:, 0], y[:, target], strict=True)
        ]
        q = sorted(outside)[7]
        ends = np.sort(
            np.stack([h @ weight[[target]].T + bias[target], h @ weight[[2 + target]].T + bias[2 + target]]), 0
        )
        made = Band(
            0.8,
            weight[[target, 2 + target]],
            bias[[target, 2 + target]],
            Calibration.outside(y[:, [target]], (ends[0], ends[1])),
        )
        for x, a, b in zip(new[:, 0], *made.ends(new), strict=True):
            first, last = sorted([low(x), high(x)])
            first, last = first - q, last + q
            expected = [first, last] if first <= last else [(first + last) / 2] * 2
            assert [a[0], b[0]] == pytest.approx(expected, rel=1e-12)


def test_low_is_never_above_high() -> None:
    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(40, 30)).astype(np.float32), draw.normal(size=(40, 1))  # nothing to learn
    low, high = fit_band(h, y, *(x[:12] for x in (h, y)), level=0.5, spread=np.array([0.5])).ends(100 * h)
    assert (low <= high).all()


def test_several_targets_are_fitted_each_on_its_own() -> None:
    h, y = _draw(200, np.random.default_rng(1))
    both = np.concatenate([y, 1000 - 50 * y[::-1]], axis=1)
    spread = np.array([0.5, 25.0])
    band = fit_band(h, both, h[:60], both[:60], level=0.8, spread=spread)
    for i in range(2):
        alone = fit_band(h, both[:, [i]], h[:60], both[:60, [i]], level=0.8, spread=spread[[i]])
        for found, expected in zip(band.ends(h), alone.ends(h), strict=True):
            np.testing.assert_allclose(found[:, [i]], expected, rtol=1e-12)


def test_a_group_counts_as_one() -> None:
    h, y = _draw(60, np.random.default_rng(2))
    group = np.arange(60) // 6
    band = fit_band(h, y, h, y, level=0.8, spread=np.array([0.5]), val_group=group)
    alone = fit_band(h, y, h, y, level=0.8, spread=np.array([0.5]))
    assert (band.calibration.groups, alone.calibration.groups) == (10, 60)
    assert np.array_equal(band.calibration.error, alone.calibration.error)


def test_same_bits_and_arguments_untouched() -> None:
    h, y = _draw(80, np.random.default_rng(3))
    before = h.copy(), y.copy()
    one, two = (fit_band(h, y, h, y, level=0.9, spread=np.array([0.5])) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert np.array_equal(one.bias, two.bias)
    assert np.array_equal(h, before[0])
    assert np.array_equal(y, before[1])


@pytest.mark.parametrize("n", [1, 2, 12])
def test_few_rows_collapsed_features_and_no_error(n: int) -> None:
    y = np.arange(float(n))[:, None]
    for h in (np.ones((n, 4), np.float32), np.eye(n, 4, dtype=np.float32)):
        band = fit_band(h, y, h, y, level=0.5, spread=np.zeros(1))
        assert np.isfinite(band.weight).all()
        assert np.isfinite(band.bias).all()


def test_another_level_than_the_heads_is_refused() -> None:
    band = Band(0.9, np.zeros((2, 1)), np.zeros(2), Calibration.of(np.ones((9, 1)), np.zeros((9, 1))))
    band.check_level(0.9)
    with pytest.raises(ConfigError) as caught:
        band.check_level(0.8)
    assert str(caught.value) == (
        "the quantile heads of this run are of 90 %, but --interval is 0.8. Ask for --interval 0.9, or for intervals "
        "of one width, of any level: --interval-form constant."
    )


@pytest.mark.usefixtures("unhooked")
def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ShapeError, match="4 rows of `features` hold NaN"):
        fit_band(
            np.full((4, 1), np.nan), np.zeros((4, 1)), np.zeros((3, 1)), np.zeros((3, 1)), level=0.9, spread=np.ones(1)
        )


@pytest.mark.slow
def test_ninety_per_cent_are_covered_everywhere_and_the_width_follows_the_noise() -> None:
    """100 redraws of 300 training, 100 validation and 1,000 new rows, whose noise goes from std 0.1 to 1.9."""
    found = []
    for seed in range(100):
        draw = np.random.default_rng(seed)
        (h, y), (val_h, val_y), (new, new_y) = (_draw(n, draw) for n in (300, 100, 1000))
        tensors = (torch.from_numpy(x).float() for x in (h, y, val_h, val_y))
        layer = fit_linear(*tensors, predictor=MSE(), epochs=0)
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        calibration = Calibration.of(val_y, val_h @ weight.T + bias)
        prediction = new @ weight.T + bias
        constant = widened((prediction, prediction), calibration.half_width(0.9))
        spread = np.median(calibration.error, axis=0)
        quantile = fit_band(h, y, val_h, val_y, level=0.9, spread=spread).ends(new)
        calm, loud = new[:, 1] < -0.5, new[:, 1] > 0.5
        for ends in (constant, quantile):
            inside, width = _covered(ends, new_y), (ends[1] - ends[0])[:, 0]
            found += [
                [
                    inside.mean(),
                    inside[calm].mean(),
                    inside[loud].mean(),
                    width.mean(),
                    width[loud].mean() / width[calm].mean(),
                ]
            ]
    constant, quantile = np.mean(found[::2], axis=0), np.mean(found[1::2], axis=0)
    assert 0.88 <= constant[0] <= 0.92
    assert 0.88 <= quantile[0] <= 0.92
    assert constant[1] > 0.98  # one width is too wide where it is calm,
    assert constant[2] < 0.80  # and too narrow where it is loud
    assert constant[4] == pytest.approx(1)
    assert 0.85 <= quantile[1] <= 0.95
    assert 0.85 <= quantile[2] <= 0.95
    assert quantile[3] < 0.95 * constant[3]  # narrower on average
    assert quantile[4] > 3  # the noise itself: 1.675 / 0.325 = 5.2
