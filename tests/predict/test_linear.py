"""The linear layer on frozen representations."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.predict import predictor
from isotone.predict.l1 import L1
from isotone.predict.linear import LinearFit, fit_linear
from isotone.predict.mse import MSE
from isotone.randomness import generator

Data = tuple[Tensor, ...]


def mae(fit: LinearFit, h: Tensor, y: Tensor) -> float:
    return (h @ fit.weight.T + fit.bias - y).abs().mean().item()


def ridge(data: Data) -> float:
    """Test MAE of scikit-learn's Ridge on standardised features, its penalty picked on validation."""
    from sklearn.linear_model import Ridge

    h, y, val_h, val_y, test_h, test_y = (x.double().numpy() for x in data)
    mean, std = h.mean(axis=0), h.std(axis=0)
    found: list[tuple[float, float]] = []
    for alpha in np.logspace(-4, 4, 17):
        model = Ridge(alpha=alpha, solver="cholesky").fit((h - mean) / std, y[:, 0])
        scores = [
            np.abs(model.predict((a - mean) / std) - b[:, 0]).mean() for a, b in ((val_h, val_y), (test_h, test_y))
        ]
        found.append((scores[0], scores[1]))
    return min(found)[1]


def quantile(data: Data) -> float:
    """Test MAE of scikit-learn's QuantileRegressor (exact L1 fit), its penalty picked on validation."""
    from sklearn.linear_model import QuantileRegressor

    h, y, val_h, val_y, test_h, test_y = (x.double().numpy() for x in data)
    mean, std = h.mean(axis=0), h.std(axis=0)
    found: list[tuple[float, float]] = []
    for alpha in (0.0, 1e-4, 1e-3):
        model = QuantileRegressor(alpha=alpha).fit((h - mean) / std, y[:, 0])
        scores = [
            np.abs(model.predict((a - mean) / std) - b[:, 0]).mean() for a, b in ((val_h, val_y), (test_h, test_y))
        ]
        found.append((scores[0], scores[1]))
    return min(found)[1]


def published(data: Data) -> float:
    """Test MAE of the published SGD (L1) on standardised features, best epoch by validation."""
    h, y, val_h, val_y, test_h, test_y = data
    mean, std = h.mean(dim=0), h.std(dim=0)
    one = lambda x: torch.cat([(x - mean) / std, torch.ones(len(x), 1)], dim=1)  # noqa: E731
    h, val_h, test_h = one(h), one(val_h), one(test_h)
    weight, velocity, best = torch.zeros(h.shape[1], 1), torch.zeros(h.shape[1], 1), (9.0, 9.0)
    draw = torch.Generator().manual_seed(0)
    for epoch in range(1, 101):
        rate = 0.05 * (0.008 + 0.992 * (1 + np.cos(np.pi * epoch / 100)) / 2)
        for rows in torch.randperm(len(h), generator=draw).split(64):
            velocity = 0.9 * velocity + h[rows].T @ (h[rows] @ weight - y[rows]).sign() / len(rows)
            weight = weight - rate * velocity
        best = min(best, tuple((a @ weight - b).abs().mean().item() for a, b in ((val_h, val_y), (test_h, test_y))))
    return best[1]


@pytest.mark.parametrize("name", ["l1", "mse", "huber"])
@pytest.mark.parametrize("seed", [0, 1])
def test_close_to_ridge_where_features_are_ill_conditioned(curve: Callable[..., Data], name: str, seed: int) -> None:
    data = curve(seed)
    assert mae(fit_linear(*data[:4], predictor=predictor(name)), *data[4:]) <= 1.04 * ridge(data)


def test_better_than_published_sgd_where_features_are_ill_conditioned(curve: Callable[..., Data]) -> None:
    data = curve(0)
    assert mae(fit_linear(*data[:4], predictor=L1()), *data[4:]) <= 0.9 * published(data)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_close_to_the_exact_l1_fit_where_noise_is_heavy(curve: Callable[..., Data], seed: int) -> None:
    data = curve(seed, d=64, heavy=True)
    found = mae(fit_linear(*data[:4], predictor=L1()), *data[4:])
    assert found <= 1.04 * min(quantile(data), ridge(data))


def test_l1_beats_its_ridge_start_where_noise_is_heavy() -> None:
    draw = np.random.default_rng(0)
    h = draw.normal(size=(1300, 32)).astype(np.float32)
    y = (h @ draw.normal(size=32) / 6 + 0.3 * draw.standard_cauchy(1300).clip(-30, 30)).astype(np.float32)[:, None]
    data = tuple(torch.from_numpy(x) for x in (h[:800], y[:800], h[800:], y[800:]))
    fit = fit_linear(*data, predictor=L1())
    assert fit.best_epoch > 0
    assert min(fit.val_scores) < 0.97 * fit.val_scores[0]


def test_is_a_plain_layer_whose_validation_score_is_the_reported_one(curve: Callable[..., Data]) -> None:
    data = curve(2)
    fit = fit_linear(*data[:4], predictor=L1(), epochs=20)
    assert fit.weight.shape == (1, 128)
    assert fit.bias.shape == (1,)
    assert fit.weight.dtype == fit.bias.dtype == torch.float32
    assert len(fit.val_scores) == 21
    assert fit.val_scores[fit.best_epoch] == min(fit.val_scores)
    assert mae(fit, *data[2:4]) == pytest.approx(min(fit.val_scores), rel=1e-2)  # float32 features of mean 50


def test_same_seed_same_bits_and_arguments_untouched(curve: Callable[..., Data]) -> None:
    data = curve(3, n=200, d=16)
    before = [x.clone() for x in data]
    one, two, other = (fit_linear(*data[:4], predictor=L1(), epochs=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)
    assert one.val_scores == two.val_scores
    assert one.val_scores[0] == other.val_scores[0]
    assert one.val_scores[1:] != other.val_scores[1:]
    assert all(torch.equal(x, y) for x, y in zip(data, before, strict=True))


def test_does_not_depend_on_the_scale_of_the_features(curve: Callable[..., Data]) -> None:
    h, y, val_h, val_y, *_ = curve(4, n=200, d=16)
    small, large = (fit_linear(h * c, y, val_h * c, val_y, predictor=L1(), epochs=3) for c in (1.0, 2.0**20))
    np.testing.assert_allclose(small.val_scores, large.val_scores, rtol=1e-6)


def test_near_constant_features_get_weight_0() -> None:
    draw = torch.Generator().manual_seed(0)
    h, val_h = torch.randn(100, 3, generator=draw), torch.randn(50, 3, generator=draw)
    y, val_y = h[:, :1] * 2 + 1, val_h[:, :1] * 2 + 1
    h[:, 1], val_h[:, 1] = 1000.0, 5000.0  # constant in training, moved in validation
    h[:, 2] = 700.0 + 1e-4 * h[:, 2]
    fit = fit_linear(h, y, val_h, val_y, predictor=L1(), epochs=3)
    assert fit.weight[0, 1:].tolist() == [0.0, 0.0]
    assert fit.weight[0, 0].item() == pytest.approx(2.0, rel=1e-3)


def test_collapsed_features_give_the_best_constant() -> None:
    y = torch.tensor([[0.0]] * 60 + [[10.0]] * 30)  # median 0, mean 3.3
    fit = fit_linear(torch.ones(90, 4), y, torch.ones(90, 4), y, predictor=L1())
    assert fit.weight.tolist() == [[0.0] * 4]
    assert fit.bias.item() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(("n", "d"), [(1, 3), (2, 1), (5, 40)])
def test_few_rows(n: int, d: int) -> None:
    draw = torch.Generator().manual_seed(n)
    h, y = torch.randn(n, d, generator=draw), torch.randn(n, 2, generator=draw)
    fit = fit_linear(h, y, h, y, predictor=MSE(), epochs=3)
    assert fit.weight.shape == (2, d)
    assert torch.isfinite(fit.weight).all()
    assert torch.isfinite(fit.bias).all()


def test_two_target_dimensions_are_fitted_as_one_by_one_by_ridge(curve: Callable[..., Data]) -> None:
    h, y, val_h, val_y, *_ = curve(5, n=200, d=8)
    both = fit_linear(h, y.repeat(1, 2), val_h, val_y.repeat(1, 2), predictor=MSE(), epochs=0)
    one = fit_linear(h, y, val_h, val_y, predictor=MSE(), epochs=0)
    torch.testing.assert_close(both.weight, one.weight.repeat(2, 1))
    torch.testing.assert_close(both.bias, one.bias.repeat(2))


def test_features_of_each_epoch_are_asked_for_once() -> None:
    draw = torch.Generator().manual_seed(0)
    h = torch.randn(80, 4, generator=draw)
    y, asked = h[:, :1] * 2, list[int]()

    def augmented(epoch: int) -> Tensor:
        asked.append(epoch)
        return h + 0.1 * torch.randn(80, 4, generator=torch.Generator().manual_seed(epoch))

    fit = fit_linear(augmented, y, h, y, predictor=L1(), epochs=4)
    assert asked == [1, 2, 3, 4]
    assert fit.weight[0, 0].item() == pytest.approx(2.0, rel=0.1)


def test_weight_decay_shrinks() -> None:
    h = torch.linspace(-1, 1, 64)[:, None]
    sizes = [
        fit_linear(h, 3 * h, h, 3 * h, predictor=MSE(), epochs=20, weight_decay=decay).weight.abs().item()
        for decay in (0.0, 2.0, 1000.0)
    ]
    # MSE has curvature 2, so a decay of 2 halves the weight: variance / (variance + 2 / 2)
    assert sizes == [pytest.approx(3.0, rel=1e-3), pytest.approx(1.5, rel=1e-2), pytest.approx(3 * 2 / 1002, rel=1e-2)]


def test_an_epoch_that_diverges_is_never_kept() -> None:
    h = torch.linspace(-1, 1, 64)[:, None]
    y = 3 * h + torch.sin(40 * h)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_linear(h, y, h, y, predictor=MSE(), epochs=60, lr=1e30)
    assert not np.isfinite(fit.val_scores[-1])
    assert torch.isfinite(fit.weight).all()
    assert fit.val_scores[fit.best_epoch] == np.nanmin(fit.val_scores)


@dataclass(frozen=True)
class Difference:
    """A predictor with two outputs whose difference is the prediction."""

    def outputs(self, k: int) -> int:
        return 2 * k

    def loss(self, out: Tensor, target: Tensor) -> Tensor:
        return (self.decode(out) - target).square().mean()

    def decode(self, out: Tensor) -> Tensor:
        return out[:, 0::2] - out[:, 1::2]


def test_a_predictor_with_other_outputs_starts_from_0() -> None:
    h = torch.linspace(-1, 1, 64)[:, None]
    fit = fit_linear(h, 3 * h + 1, h, 3 * h + 1, predictor=Difference(), epochs=50)
    assert fit.weight.shape == (2, 1)
    assert fit.val_scores[0] == pytest.approx((3 * h + 1).abs().mean().item(), rel=1e-5)
    assert min(fit.val_scores) < 0.05


@pytest.mark.usefixtures("unhooked")
def test_wrong_shapes() -> None:
    for shapes in (
        ((4, 2), (4,), (3, 2), (3, 1)),
        ((4, 2), (5, 1), (3, 2), (3, 1)),
        ((4, 2), (4, 1), (3, 1), (3, 1)),
        ((4, 2), (4, 1), (3, 2), (3, 2)),
        ((4, 2), (4, 1), (0, 2), (0, 1)),
    ):
        expected = (
            "A head expects features (n, d), target (n, k), val_features (m, d), val_target (m, k), none empty, "
            f"but got {', '.join(map(str, shapes))}.\nFor one target dimension, use target[:, None]."
        )
        with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
            fit_linear(*map(torch.zeros, shapes), predictor=L1())


def test_values_that_are_not_finite() -> None:
    h = torch.ones(4, 2)
    h[1, 0], h[3, 1] = float("nan"), float("inf")
    expected = (
        "A head expects finite values, but 2 rows of `features` hold NaN or infinity, the first is row 1. "
        "Leave these rows out, or look for a diverged encoder."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(expected)}$"):
        fit_linear(h, torch.ones(4, 1), torch.ones(4, 2), torch.ones(4, 1), predictor=L1())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", -1, ">= 0"),
        ("lr", 0.0, "> 0"),
        ("lr", float("nan"), "> 0"),
        ("batch_size", 0, ">= 1"),
        ("weight_decay", -0.1, ">= 0"),
        ("momentum", 1.0, ">= 0 and < 1"),
    ],
)
def test_settings_out_of_range(name: str, value: float, expected: str) -> None:
    text = f"A linear fit expects {name} {expected}, but got {value}. Change `{name}`."
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        fit_linear(*(torch.ones(4, 1),) * 4, predictor=L1(), **{name: value})


def test_a_unit_that_sleeps_in_training_and_wakes_later_does_not_run_away() -> None:
    # seen in a trained network: one ReLU unit fired at 1e-4 for one training row, at 0.28 for one test row
    draw = generator("sleeper")
    h = torch.randn(400, 5, generator=draw)
    y = h[:, :1] + 0.1 * torch.randn(400, 1, generator=draw)
    sleeper = torch.zeros(400, 1)
    sleeper[7] = 1e-4
    h = torch.cat([h, sleeper], 1)
    fit = fit_linear(h[:300], y[:300], h[300:], y[300:], predictor=L1())
    assert abs(float(fit.weight[0, 5])) * 0.3 < 0.1
