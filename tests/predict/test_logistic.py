"""Stage 2 for classes: against scikit-learn, on raw features, with classes that were not seen."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from isotone.errors import ShapeError
from isotone.predict.logistic import PENALTIES, fit_logistic, pick_penalty, steady_scale


def _data(seed: int = 0, c: int = 3, n: int = 120, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, c, n)
    h = draw.normal(size=(c, d))[y] * 2 + draw.normal(size=(n, d))
    return torch.from_numpy(h * [1, 10, 100, 1, 1, 1] + 50).float(), torch.from_numpy(y)


@pytest.mark.parametrize("c", [2, 3])
def test_the_layer_is_scikit_learns_fit_on_standardised_features(c: int) -> None:
    h, y = _data(c=c)
    fit = fit_logistic(h[:80], y[:80], h[80:], y[80:], classes=c, penalties=[0.01], max_iter=5000)
    wide = h.double().numpy()
    mean, scale = steady_scale(wide[:80])
    x = (wide - mean) * scale
    oracle = LogisticRegression(C=1 / (0.01 * 80), max_iter=5000).fit(x[:80], y[:80])
    found = (h @ fit.weight.T + fit.bias).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, oracle.predict_proba(x), atol=2e-4)  # float32 weights, features around 50
    assert fit.weight.dtype == fit.bias.dtype == torch.float32
    assert (fit.penalty, fit.penalties) == (0.01, (0.01,))


def test_the_penalty_is_the_best_on_validation() -> None:
    h, y = _data()
    fit = fit_logistic(h[:20], y[:20], h[20:], y[20:], classes=3)
    assert len(fit.val_scores) == len(fit.penalties) == len(PENALTIES) == 45
    assert fit.val_scores[fit.penalties.index(fit.penalty)] == max(fit.val_scores)
    assert list(fit.penalties) == sorted(fit.penalties, reverse=True)


def test_of_equal_accuracies_the_lower_log_loss_wins() -> None:
    x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    penalty, scores = pick_penalty(x, y, x, y, [10.0, 1.0, 0.1], 100)
    assert [accuracy for accuracy, _ in scores] == [1.0, 1.0, 1.0]
    assert penalty == 0.1
    assert scores[2][1] > scores[0][1]


def test_a_class_without_training_rows_is_never_predicted() -> None:
    h, y = _data()
    fit = fit_logistic(h[:80], y[:80] * 2, h[80:], y[80:], classes=6)  # codes 0, 2, 4 are trained on
    out = h @ fit.weight.T + fit.bias
    assert set(out.argmax(dim=1).tolist()) <= {0, 2, 4}
    assert float(out.softmax(dim=1)[:, [1, 3, 5]].max()) == 0.0
    assert bool(out.isfinite().all())


def test_collapsed_features_give_the_shares_of_the_classes() -> None:
    h, y = torch.ones(8, 4), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    fit = fit_logistic(h, y, h, y, classes=2)
    assert bool((fit.weight == 0).all())
    torch.testing.assert_close(
        (h @ fit.weight.T + fit.bias).softmax(dim=1)[0], torch.tensor([0.75, 0.25]), atol=1e-3, rtol=0
    )


def test_the_same_data_give_the_same_bits() -> None:
    h, y = _data()
    a, b = (fit_logistic(h[:80], y[:80], h[80:], y[80:], classes=3) for _ in range(2))
    assert torch.equal(a.weight, b.weight)
    assert torch.equal(a.bias, b.bias)


def test_scale_by_hand() -> None:
    mean, scale = steady_scale(np.array([[0.0, 5.0], [2.0, 5.0]]))
    assert mean.tolist() == [1.0, 5.0]
    assert scale[0] == pytest.approx(1 / np.sqrt(1 + 0.05**2 * 0.5))  # stds 1 and 0, so the typical one is sqrt(1/2)
    assert scale[1] == 0


H, Y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (H, torch.zeros(4, dtype=torch.long), H, Y),
            "A logistic fit needs rows of at least 2 classes, but all 4 training rows are of class 0.",
        ),
        (
            (H, Y, H, Y - 1),
            "A logistic fit expects class codes from 0 to 1, but they go from -1 to 1. Leave out the rows without a "
            "label.",
        ),
        (
            (H, Y, H[:0], Y[:0]),
            "A logistic fit expects features (n, d), category (n,), val_features (m, d), val_category (m,), none "
            "empty, but got (4, 2), (4,), (0, 2), (0,).",
        ),
        (
            (H, Y, H * float("nan"), Y),
            "A logistic fit expects finite values, but 4 rows of `val_features` hold NaN or infinity, the first is row "
            "0. Look for a diverged encoder.",
        ),
    ],
)
def test_what_is_refused(given: tuple[torch.Tensor, ...], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        fit_logistic(*given, classes=2)
    assert str(caught.value) == message
