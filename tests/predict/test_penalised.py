"""The linear layer under the best of a ladder of penalties, for predictors with bins."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from isotone.errors import ConfigError, ShapeError
from isotone.predict import BINNED, predictor
from isotone.predict.l1 import L1
from isotone.predict.linear import fit_linear
from isotone.predict.mse import MSE
from isotone.predict.penalised import fit_penalised
from isotone.predict.scaling import Scaling
from isotone.records import Bins, Predictor

Data = tuple[Tensor, ...]


def _bins(y: Tensor, count: int) -> Bins:
    found = Scaling.of(y.double().numpy(), bins=count).bins
    assert found is not None  # the targets are standardised already
    return found


def _mae(predictor: Predictor, weight: Tensor, bias: Tensor, h: Tensor, y: Tensor) -> float:
    return float((predictor.decode(h.double() @ weight.double().T + bias.double()) - y).abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", BINNED)
def test_near_l1_where_features_are_ill_conditioned(curve: Callable[..., Data], name: str) -> None:
    data = curve(0, d=24)
    plain = fit_linear(*data[:4], predictor=L1())
    made = predictor(name, _bins(data[1], 40))
    fit = fit_penalised(*data[:4], predictor=made)
    found = _mae(made, fit.weight, fit.bias, *data[4:])
    assert found <= 1.15 * _mae(L1(), plain.weight, plain.bias, *data[4:])


@pytest.mark.parametrize("name", BINNED)
def test_a_line_is_found_and_the_fit_is_a_plain_layer(name: str) -> None:
    h = torch.linspace(-1.7, 1.7, 80)[:, None] @ torch.tensor([[3.0, 0.0]]) + torch.tensor([5.0, 7.0])
    y = (h[:, :1] - 5) / 3
    made = predictor(name, _bins(y, 20))
    fit = fit_penalised(h, y, h[::3], y[::3], predictor=made)
    assert fit.weight.shape == (made.outputs(1), 2)
    assert fit.bias.shape == (made.outputs(1),)
    assert fit.weight.dtype == fit.bias.dtype == torch.float32
    assert not fit.weight[:, 1].any()  # constant
    assert _mae(made, fit.weight, fit.bias, h[::3], y[::3]) == pytest.approx(min(fit.val_scores), abs=1e-3)
    assert min(fit.val_scores) < 0.06  # bins are 0.18 wide
    assert len(fit.penalties) == len(fit.val_scores)
    assert fit.penalty == fit.penalties[int(np.argmin(fit.val_scores))]


def test_the_minimum_is_that_of_another_solver() -> None:
    draw = torch.Generator().manual_seed(0)
    h = torch.randn(60, 3, generator=draw, dtype=torch.float64)
    h = (h - h.mean(0)) / h.std(0, correction=0)
    y = h[:, :1] + 0.3 * torch.randn(60, 1, generator=draw, dtype=torch.float64)
    made = predictor("or", _bins(y, 4))
    fit = fit_penalised(h, y, h, y, predictor=made, penalties=[0.01], max_iter=1000)
    scale = 1 / (1 + 0.05**2) ** 0.5  # of features with std 1, see `steady_scale`

    def objective(flat: np.ndarray) -> float:
        w = torch.from_numpy(flat).reshape(4, 3)
        return float(made.loss(scale * h @ w[:3] + w[3], y) + 0.005 * w[:3].square().sum())

    best = minimize(objective, np.zeros(12), method="BFGS", options={"gtol": 1e-7})
    own = torch.cat([fit.weight.T.double() / scale, fit.bias[None].double()])
    assert objective(own.flatten().numpy()) == pytest.approx(best.fun, abs=2e-5)
    np.testing.assert_allclose(own.flatten().numpy(), best.x, atol=2e-2)


def test_the_ladder_ends_where_two_in_a_row_are_clearly_worse() -> None:
    draw = torch.Generator().manual_seed(0)
    h = torch.randn(60, 20, generator=draw)
    y = h[:, :1] + 2 * torch.randn(60, 1, generator=draw)  # mostly noise: weak penalties fit it
    fit = fit_penalised(h[:30], y[:30], h[30:], y[30:], predictor=predictor("dex", _bins(y[:30], 10)))
    best = int(np.argmin(fit.val_scores))
    assert best + 2 < len(fit.val_scores) < 13
    assert fit.penalty == fit.penalties[best]
    assert min(fit.val_scores[-2:]) > 1.02 * fit.val_scores[best]


def test_same_bits_and_arguments_untouched() -> None:
    draw = torch.Generator().manual_seed(0)
    h, y = torch.randn(40, 3, generator=draw), torch.randn(40, 2, generator=draw)
    before = h.clone(), y.clone()
    one, two = (fit_penalised(h, y, h, y, predictor=predictor("corn", _bins(y, 5))) for _ in range(2))
    assert torch.equal(one.weight, two.weight)
    assert one.val_scores == two.val_scores
    assert torch.equal(h, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("name", BINNED)
@pytest.mark.parametrize(("n", "d"), [(1, 3), (2, 1), (5, 40)])
def test_few_rows_and_collapsed_features(name: str, n: int, d: int) -> None:
    draw = torch.Generator().manual_seed(n)
    y = torch.randn(n, 2, generator=draw)
    made = predictor(name, _bins(y, 5))
    for h in (torch.randn(n, d, generator=draw), torch.ones(n, d)):
        fit = fit_penalised(h, y, h, y, predictor=made)
        assert torch.isfinite(fit.weight).all()
        assert torch.isfinite(fit.bias).all()


@pytest.mark.usefixtures("unhooked")
def test_wrong_shapes_and_values() -> None:
    with pytest.raises(ShapeError, match="A head expects features"):
        fit_penalised(torch.zeros(4, 2), torch.zeros(4), torch.zeros(3, 2), torch.zeros(3, 1), predictor=MSE())
    h = torch.full((4, 1), float("nan"))
    with pytest.raises(ShapeError, match="4 rows of `features` hold NaN"):
        fit_penalised(h, torch.zeros(4, 1), torch.zeros(3, 1), torch.zeros(3, 1), predictor=MSE())


@pytest.mark.parametrize("penalties", [(), (1.0, 0.0), (float("nan"),)])
def test_penalties_out_of_range(penalties: tuple[float, ...]) -> None:
    expected = f"A penalised fit expects finite penalties above 0, but got {penalties}."
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        fit_penalised(*(torch.ones(4, 1),) * 4, predictor=MSE(), penalties=penalties)
