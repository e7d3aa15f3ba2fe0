"""The list of predictors, and what every one of them must do."""

import dataclasses

import numpy as np
import pytest
import torch

from isotone.errors import ConfigError, ShapeError
from isotone.predict import HEADS, PREDICTORS, predictor, task_of
from isotone.records import Dataset


@pytest.mark.parametrize("name", sorted(PREDICTORS))
def test_a_predictor_is_a_frozen_dataclass(name: str) -> None:
    made = predictor(name)
    assert type(made) is PREDICTORS[name]
    assert dataclasses.is_dataclass(made)
    assert made == predictor(name)  # settings, no state


def test_every_predictor_is_for_one_task() -> None:
    assert sorted(name for names in HEADS.values() for name in names) == sorted(PREDICTORS)


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
        made = predictor(name)
        out = torch.randn(5, made.outputs(k), generator=torch.Generator().manual_seed(0))
        assert made.decode(out).shape == (5, k)
        assert made.loss(out, torch.zeros(5, k)).shape == ()

    def test_does_not_depend_on_row_order(self, name: str) -> None:
        made, draw = predictor(name), torch.Generator().manual_seed(1)
        out, y = torch.randn(6, made.outputs(2), generator=draw).double(), torch.randn(6, 2, generator=draw).double()
        assert made.loss(out.flip(0), y.flip(0)).item() == pytest.approx(made.loss(out, y).item(), rel=1e-12)

    def test_gradient_is_finite_for_any_sizes_of_error(self, name: str) -> None:
        made = predictor(name)
        out = torch.tensor([[0.0], [1e-30], [1e15], [-1e15]], requires_grad=True)
        made.loss(out, torch.zeros(4, 1)).backward()
        assert out.grad is not None
        assert torch.isfinite(out.grad).all()

    @pytest.mark.usefixtures("unhooked")
    def test_refuses_a_flat_target(self, name: str) -> None:
        with pytest.raises(ShapeError, match=r"but got outputs \(4, 1\) and targets \(4,\)\."):
            predictor(name).loss(torch.zeros(4, 1), torch.zeros(4))


def test_unknown_name() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^The head must be one of l1, mse, huber, classify, but got 'hubert'\. Did you mean 'huber'\?$",
    ):
        predictor("hubert")
    with pytest.raises(ConfigError, match=r"^The head must be one of l1, mse, huber, classify, but got 'zzz'\.$"):
        predictor("zzz")
