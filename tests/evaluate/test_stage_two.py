"""The head on frozen features: which rows it sees, clean or augmented, for numbers and for classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotone.data.arrays import load_arrays
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.evaluate.stage_two import HeadSettings, check_scheme, fit_head
from isotone.predict import predictor
from isotone.predict.scaling import Scaling
from isotone.records import Dataset

X = np.random.default_rng(0).normal(size=(90, 3))
H = torch.from_numpy(X).float()


def _embed(rows: np.ndarray, epoch: int) -> torch.Tensor:
    """Return features as if augmented: a little further out in each pass."""
    return H[rows] * (1 + 0.01 * epoch)


def _numbers() -> Dataset:
    return load_arrays(X, 10 * X[:, 0] + 5, settings=DataSettings(), seed=0)


def _classes() -> Dataset:
    y = np.where(X[:, 0] > 0, "right", "left")
    y[:20] = ""
    return load_arrays(X, y, settings=DataSettings(category="side", unlabelled=True), seed=0)


def test_numbers_are_fitted_in_standard_units() -> None:
    data = _numbers()
    scaling = Scaling.of(data.target[data.rows("train")])
    fit = fit_head(data, H, _embed, scaling, "l1", HeadSettings(head_epochs=3), seed=0)
    found = scaling.restore(fit.layer(H).detach().double().numpy())
    np.testing.assert_allclose(found, data.target, atol=0.1)
    assert set(fit.record) == {"best_epoch", "val_scores"}
    assert len(fit.record["val_scores"]) == 4


@pytest.mark.parametrize("head", ["dex", "dldl", "or", "corn"])
def test_numbers_in_bins_are_fitted_in_standard_units(head: str) -> None:
    data = _numbers()
    scaling = Scaling.of(data.target[data.rows("train")], bins=12)
    fit = fit_head(data, H, _embed, scaling, head, HeadSettings(), seed=0)
    made = predictor(head, scaling.bins)
    found = scaling.restore(made.decode(fit.layer(H).detach()).double().numpy())
    assert np.abs(found - data.target).mean() < 0.15 * np.abs(data.target - data.target.mean()).mean()
    assert set(fit.record) == {"penalty", "penalties", "val_scores"}
    twice = fit_head(data, H, lambda rows, epoch: H[rows], scaling, head, HeadSettings(head_views=2), seed=0)
    again = scaling.restore(made.decode(twice.layer(H).detach()).double().numpy())
    assert np.abs(again - found).mean() < 0.05 * np.abs(data.target - data.target.mean()).mean()  # the same rows twice


def test_classes_are_fitted_on_labelled_rows() -> None:
    data = _classes()
    none = Scaling.of(data.target)
    fit = fit_head(data, H, _embed, none, "classify", HeadSettings(), seed=0)
    assert data.category is not None
    labelled = data.category >= 0
    right = fit.layer(H).argmax(dim=1).numpy() == data.category
    assert right[labelled].mean() > 0.9
    assert set(fit.record) == {"penalty", "penalties", "val_scores"}
    moved = H.clone()
    moved[np.flatnonzero(~labelled)] = 1000.0  # rows without a label have no say
    again = fit_head(data, moved, _embed, none, "classify", HeadSettings(), seed=0)
    assert torch.equal(again.layer.weight, fit.layer.weight)


@pytest.mark.parametrize("data", [_numbers(), _classes()], ids=["numbers", "classes"])
def test_augmented_passes_are_asked_for_by_epoch(data: Dataset) -> None:
    asked: list[int] = []

    def embed(rows: np.ndarray, epoch: int) -> torch.Tensor:
        assert np.array_equal(rows, data.labelled("train"))
        asked.append(epoch)
        return _embed(rows, epoch)

    scaling = Scaling.of(data.target)
    head = "l1" if data.target_names else "classify"
    settings = HeadSettings(head_epochs=4, head_views=2)
    one = fit_head(data, H, embed, scaling, head, settings, seed=0)
    assert set(asked) == {0, 1}
    clean = fit_head(data, H, embed, scaling, head, replace(settings, head_views=0), seed=0)
    assert not torch.equal(one.layer.weight, clean.layer.weight)


def test_quantile_heads_need_to_know_their_share() -> None:
    assert HeadSettings(interval=0.9, interval_form="quantile").interval_form == "quantile"
    with pytest.raises(ConfigError) as caught:
        HeadSettings(interval_form="quantile")
    assert str(caught.value) == (
        "`interval_form` quantile needs to know the share of rows that its intervals are to hold, but `interval` is 0. "
        "Add --interval 0.9, or leave out --interval-form."
    )


def test_what_cannot_be_fine_tuned_is_refused() -> None:
    check_scheme(HeadSettings(), "baseline", "none", own_head=True)
    tuned = HeadSettings(scheme="finetune")
    check_scheme(tuned, "rnc", "l1", own_head=False)
    with pytest.raises(ConfigError) as caught:
        check_scheme(tuned, "simclr", "none", own_head=False)
    assert str(caught.value) == (
        "`scheme` finetune trains on labels, and the data have none. Leave it out, or name a --target or a --category."
    )
    with pytest.raises(ConfigError) as caught:
        check_scheme(tuned, "baseline", "l1", own_head=True)
    assert str(caught.value) == (
        "`scheme` finetune is for methods that train an encoder alone, and baseline trains encoder and head together "
        "already. Leave it out."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head_epochs", 0),
        ("head_batch", 0),
        ("head_views", -1),
        ("head_lr", 0.0),
        ("head_bins", 1),
        ("finetune_passes", 0),
        ("finetune_lr", -1.0),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        HeadSettings(**{name: value})  # type: ignore[arg-type]
