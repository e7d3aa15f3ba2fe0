"""The list of predictors, and what every one of them must do."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch

from isotone.errors import ConfigError, ShapeError
from isotone.predict import BINNED, FROZEN, HEADS, PREDICTORS, Head, NumberHead, TrainedHead, predictor, task_of
from isotone.records import Bins, Dataset, Predictor


def _made(name: str, k: int = 1) -> Predictor:
    return predictor(name, Bins((-1.5,) * k, (2.0,) * k, 7))


@pytest.mark.parametrize("name", sorted(PREDICTORS))
def test_a_predictor_is_a_frozen_dataclass(name: str) -> None:
    made = _made(name)
    assert type(made) is PREDICTORS[name]
    assert dataclasses.is_dataclass(made)
    assert made == _made(name)  # settings, no state


def test_every_predictor_is_for_one_task() -> None:
    assert sorted(name for names in HEADS.values() for name in names) == sorted(PREDICTORS)
    assert set(get_args(NumberHead)) == {*HEADS["numbers"], "knn"} == set(FROZEN["numbers"])
    assert set(get_args(TrainedHead)) == {"auto", *PREDICTORS}
    assert set(get_args(Head)) == {"auto", "knn", *PREDICTORS}


def test_the_task_is_what_the_labels_are() -> None:
    text = np.array(["a", "b"])
    rows = Dataset("x", "rows", np.eye(2), np.eye(2)[:, :1], ("age",), text, text, np.arange(2))
    assert task_of(rows) == "numbers"
    bare = dataclasses.replace(rows, target=np.empty((2, 0)), target_names=())
    assert task_of(bare) == "none"
    assert task_of(dataclasses.replace(bare, category=np.array([0, -1]), classes=("cat",))) == "classes"


@pytest.mark.parametrize("name", sorted(HEADS["numbers"]))
class TestNumbers:
    @pytest.mark.parametrize("k", [1, 3])
    def test_shapes(self, name: str, k: int) -> None:
        made = _made(name, k)
        out = torch.randn(5, made.outputs(k), generator=torch.Generator().manual_seed(0))
        assert made.decode(out).shape == (5, k)
        assert made.loss(out, torch.zeros(5, k)).shape == ()

    def test_does_not_depend_on_row_order(self, name: str) -> None:
        made, draw = _made(name, 2), torch.Generator().manual_seed(1)
        out, y = torch.randn(6, made.outputs(2), generator=draw).double(), torch.randn(6, 2, generator=draw).double()
        assert made.loss(out.flip(0), y.flip(0)).item() == pytest.approx(made.loss(out, y).item(), rel=1e-12)

    def test_several_targets_are_as_one_by_one(self, name: str) -> None:
        both, one, draw = _made(name, 2), _made(name), torch.Generator().manual_seed(1)
        out, y = torch.randn(6, both.outputs(2), generator=draw).double(), torch.randn(6, 2, generator=draw).double()
        parts = [(x, y[:, [i]]) for i, x in enumerate(out.chunk(2, dim=1))]
        expected = torch.cat([one.decode(x) for x, _ in parts], dim=1)
        torch.testing.assert_close(both.decode(out), expected, rtol=1e-12, atol=1e-12)
        if name != "corn":  # whose mean is over the rows of all tasks together
            mean = sum(one.loss(x, target).item() for x, target in parts) / 2
            assert both.loss(out, y).item() == pytest.approx(mean, rel=1e-12)

    def test_gradient_is_finite_for_any_sizes_of_error(self, name: str) -> None:
        made = _made(name)
        out = torch.tensor([[0.0], [1e-30], [1e15], [-1e15]]).repeat(1, made.outputs(1)).requires_grad_()
        made.loss(out, torch.zeros(4, 1)).backward()
        assert out.grad is not None
        assert torch.isfinite(out.grad).all()

    @pytest.mark.usefixtures("unhooked")
    def test_refuses_a_flat_target(self, name: str) -> None:
        made = _made(name)
        expected = rf"but got outputs \(4, {made.outputs(1)}\) and targets \(4,\)\."
        with pytest.raises(ShapeError, match=expected):
            made.loss(torch.zeros(4, made.outputs(1)), torch.zeros(4))


@pytest.mark.parametrize("name", BINNED)
def test_bins_are_asked_for(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        predictor(name)
    assert str(caught.value) == (
        f"The head {name!r} needs the bins of the training targets, but got none. "
        f"Give them: predictor({name!r}, Scaling.of(train_target).bins)."
    )


def test_unknown_name() -> None:
    for name, close in (("hubert", " Did you mean 'huber'?"), ("zzz", "")):
        with pytest.raises(ConfigError) as caught:
            predictor(name)
        assert str(caught.value) == (
            f"The head must be one of l1, mse, huber, dex, dldl, or, corn, classify, but got {name!r}.{close}"
        )
