"""The distance that adds up over columns: every combination of settings against the slow definition."""

import math
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.targets import by_column, pairs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from isotone.errors import ConfigError, ShapeError
from isotone.relations.columns import ColumnDistance

NAN = math.nan


@st.composite
def _cases(draw: st.DrawFn) -> tuple[dict[str, Any], Tensor, Tensor]:
    """Settings, and whole-numbered targets (n, k), (m, k) with holes."""
    k = draw(st.integers(1, 5))
    categories = tuple(draw(st.sets(st.integers(0, k - 1), max_size=2)))
    measured = k - len(categories)
    some = [draw(st.booleans()) and measured > 0 for _ in range(2)]
    numbers = {
        "weights": (3.0, *(draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])) for _ in range(measured - 1)))
        if some[0]
        else None,
        "scales": tuple(draw(st.sampled_from([0.25, 1.0, 10.0])) for _ in range(measured)) if some[1] else None,
    }
    given_settings = {
        "measure": draw(st.sampled_from(["l1", "l2"])),
        "period": draw(st.sampled_from([None, 7.0])),
        "categories": categories,
        "weight": draw(st.sampled_from([1.0, 2.5])),
        "partial": draw(st.booleans()),
        **numbers,
    }
    make = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    y = torch.randint(-6, 7, (5, k), generator=make).double()
    y[torch.rand(5, k, generator=make) < draw(st.sampled_from([0.0, 0.3, 0.7]))] = NAN
    return given_settings, y[:3], y[3:]


@settings(max_examples=200, deadline=None)
@given(case=_cases())
def test_equal_to_the_definition(case: tuple[dict[str, Any], Tensor, Tensor]) -> None:
    given_settings, a, b = case
    slow = pairs(lambda x, y: by_column(x, y, **given_settings), a, b)
    torch.testing.assert_close(ColumnDistance(**given_settings)(a, b), slow, rtol=1e-14, atol=0, equal_nan=True)


@settings(max_examples=200, deadline=None)
@given(case=_cases())
def test_symmetric_and_zero_for_a_row_and_itself(case: tuple[dict[str, Any], Tensor, Tensor]) -> None:
    given_settings, a, b = case
    distance = ColumnDistance(**given_settings)
    torch.testing.assert_close(distance(a, b), distance(b, a).T, rtol=0, atol=0, equal_nan=True)
    own = distance(a, a).diagonal()
    assert bool(((own == 0) | own.isnan()).all())


@settings(max_examples=200, deadline=None)
@given(case=_cases())
def test_complete_targets_make_a_metric(case: tuple[dict[str, Any], Tensor, Tensor]) -> None:
    given_settings, a, _ = case
    a = a.nan_to_num(1.0)
    d = ColumnDistance(**given_settings)(a, a)
    assert bool((d <= (d[:, :, None] + d[None, :, :]).amin(1) + 1e-12).all())
    whole = ColumnDistance(**{**given_settings, "partial": not given_settings["partial"]})(a, a)
    torch.testing.assert_close(whole, d, rtol=1e-15, atol=0)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), measure=st.sampled_from(["l1", "l2"]), holes=st.floats(0.0, 0.6))
def test_ties_of_whole_numbers_survive_the_scaling_up(seed: int, measure: str, holes: float) -> None:
    make = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (8, 7), generator=make).double()
    y[torch.rand(8, 7, generator=make) < holes] = NAN
    squared_or_sum = pairs(lambda a, b: by_column(a, b, partial=True, measure=measure), y, y)
    # The oracle's sums are exact fractions, rounded once: the same float for the same fraction.
    exact = squared_or_sum.nan_to_num(-1.0).flatten()
    found = ColumnDistance(measure, partial=True)(y, y).nan_to_num(-1.0).flatten()
    torch.testing.assert_close(
        found, exact, rtol=1e-15, atol=0
    )  # torch's square root may miss the last bit, but always
    assert torch.equal(found[:, None] == found, exact[:, None] == exact)  # by the same: ties stay ties


def test_scaling_does_not_split_ties() -> None:
    ages = torch.tensor([[0.1 * 0], [1.0], [2.0], [3.0], [4.0]])  # 0.1 * 3 - 0.1 * 2 is not 0.1 * 1
    d = ColumnDistance("l1", weights=(0.3,), scales=(10.0,))(ages, ages)
    assert {d[i, i + 1].item() for i in range(4)} == {0.03}


def test_weight_0_leaves_a_column_out_missing_or_not() -> None:
    y = torch.tensor([[1.0, NAN], [4.0, 2.0]])
    assert ColumnDistance("l1", weights=(1.0, 0.0))(y, y).tolist() == [[0.0, 3.0], [3.0, 0.0]]
    assert ColumnDistance("l1", weights=(1.0, 0.0), partial=True)(y, y).tolist() == [[0.0, 3.0], [3.0, 0.0]]


def test_classes_are_equal_or_not_whatever_their_numbers() -> None:
    y = torch.tensor([[7.0], [7.0], [-3.0], [1e9], [NAN]])
    assert ColumnDistance("l1", categories=(0,), weight=2.0)(y, y)[0, :4].tolist() == [0.0, 0.0, 2.0, 2.0]
    assert ColumnDistance("l2", categories=(0,), weight=2.0)(y, y)[0, :4].tolist() == [0.0, 0.0, 2.0, 2.0]
    assert ColumnDistance("l1", categories=(0,))(y, y)[:, 4].isnan().all()


@pytest.mark.parametrize("partial", [False, True])
def test_no_tensor_of_n_m_k_is_made(partial: bool) -> None:
    n, m, k = 30, 40, 50

    class Largest(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            self.seen = max(self.seen, out.numel() if isinstance(out, Tensor) else 0)
            return out

    with Largest() as largest:
        ColumnDistance("l2", period=9.0, categories=(0,), partial=partial)(torch.ones(n, k), torch.ones(m, k))
    assert largest.seen <= max(n, m) * k


def test_blocks_of_rows_are_the_whole() -> None:
    make = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 9, (n, 2), generator=make).double() for n in (300, 2000))  # three blocks
    distance = ColumnDistance("l1", period=5.0)
    assert torch.equal(distance(a, b), torch.cat([distance(row[None], b) for row in a]))
    assert distance(a[:0], b).shape == (0, 2000)
    assert distance(a, b[:0]).shape == (300, 0)


def test_prints_and_pickles_its_settings() -> None:
    distance = ColumnDistance("l2", weights=(1.0, 0.5), categories=(2,), partial=True)
    assert repr(distance) == "ColumnDistance(measure='l2', weights=(1.0, 0.5), categories=(2,), partial=True)"
    assert pickle.loads(pickle.dumps(distance)) == distance


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"measure": "l3"}, "`measure` has no 'l3'; there are l1, l2. Did you mean 'l2'?"),
        ({"period": 0.0}, "`period` must be a finite number above 0, got 0.0."),
        ({"weight": -1.0}, "`weight` must be a finite number above 0, got -1.0."),
        (
            {"weights": (1.0, -0.5)},
            "`weights` must be finite and at least 0, one of them above 0, got (1.0, -0.5).",
        ),
        ({"weights": (0.0, 0.0)}, "`weights` must be finite and at least 0, one of them above 0, got (0.0, 0.0)."),
        ({"weights": (1.0, NAN)}, "`weights` must be finite and at least 0, one of them above 0, got (1.0, nan)."),
        ({"scales": (10.0, 0.0)}, "`scales` must be finite numbers above 0, got (10.0, 0.0)."),
        (
            {"weights": (1.0, 1.0), "scales": (1.0, 2.0, 3.0)},
            "`weights` and `scales` hold one number for each column of the targets, got 2 and 3.",
        ),
        ({"categories": (2, 2)}, "`categories` must be different columns counted from 0, got (2, 2)."),
        ({"categories": (-1,)}, "`categories` must be different columns counted from 0, got (-1,)."),
    ],
)
def test_wrong_settings_are_named_when_it_is_made(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ColumnDistance(**{"measure": "l1", **wrong})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (
            ColumnDistance("l1", weights=(1.0, 2.0)),
            "the target distance has 2 weights, but the targets have 3 columns. Give one for each.",
        ),
        (
            ColumnDistance("l1", scales=(1.0, 2.0, 3.0), categories=(1,)),
            "the target distance has 3 scales, but the targets have 2 columns besides the categories. "
            "Give one for each.",
        ),
        (
            ColumnDistance("l1", categories=(3, 1)),
            "column 3 was named as a category, but the targets have columns 0 to 2.",
        ),
        (
            ColumnDistance("l1", categories=(2,)),
            "column 2 of the targets was named as a category and must hold whole numbers, got 0.5. Number the classes, "
            "or leave the column out of `categories`.",
        ),
    ],
)
def test_targets_that_do_not_fit_are_named(distance: ColumnDistance, message: str) -> None:
    y = torch.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 0.5]])
    with pytest.raises(ShapeError) as caught:
        distance(y, y)
    assert str(caught.value) == message
