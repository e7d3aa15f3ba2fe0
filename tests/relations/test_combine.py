"""Weighted, mixed and partial distances by hand, against scikit-learn, and what cannot be combined."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.targets import by_column, pairs
from sklearn.metrics.pairwise import nan_euclidean_distances

from isotone.errors import ConfigError
from isotone.relations import angular, circular, l1, l2, mixed, partial, weighted
from isotone.relations.columns import ColumnDistance

NAN = math.nan
# age in years, weight in kg, site
PEOPLE = torch.tensor([[30.0, 70.0, 1.0], [50.0, 80.0, 1.0], [30.0, 70.0, 2.0], [NAN, 80.0, 1.0], [40.0, NAN, NAN]])


def test_weighted_by_hand() -> None:
    y = PEOPLE[:2, :2]
    assert weighted("l1", scales=(10.0, 5.0))(y, y)[0, 1].item() == 4.0  # 20 / 10 + 10 / 5
    assert weighted("l1", weights=(1.0, 0.5), scales=(10.0, 5.0))(y, y)[0, 1].item() == 3.0
    assert weighted("l2", weights=(4.0, 2.25), scales=(10.0, 5.0))(y, y)[0, 1].item() == 5.0  # sqrt(4 * 4 + 2.25 * 4)
    around = torch.tensor([[350.0, 100.0]]), torch.tensor([[10.0, 90.0]])
    assert weighted(circular(360.0), weights=(1.0, 3.0), scales=(10.0, 5.0))(*around).item() == 8.0  # 20/10 + 3 * 10/5


def test_mixed_by_hand() -> None:
    assert mixed((2,), 5.0)(PEOPLE, PEOPLE)[0, :3].tolist() == [0.0, 30.0, 5.0]
    assert mixed((2,), 5.0)(PEOPLE, PEOPLE)[1, 2].item() == 35.0
    scaled = mixed((2,), 0.5, weighted("l1", scales=(10.0, 5.0)))
    assert scaled(PEOPLE, PEOPLE)[1, 2].item() == 4.5  # 20 / 10 + 10 / 5 + 0.5
    y = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    assert mixed((1,), 4.0, "l2")(y, y)[0, 1].item() == 5.0  # sqrt(3^2 + 4^2)
    assert mixed((0, 1))(y, y)[0, 1].item() == 2.0  # all columns: the classes that differ


def test_mixed_l2_is_l2_of_one_hot_classes() -> None:
    y = torch.tensor([[0.3, 0.0], [1.1, 2.0], [0.3, 1.0], [2.0, 2.0]], dtype=torch.float64)
    one_hot = torch.cat([y[:, :1], torch.eye(3, dtype=torch.float64)[y[:, 1].long()] * 1.7 / math.sqrt(2)], 1)
    torch.testing.assert_close(mixed((1,), 1.7, "l2")(y, y), l2(one_hot, one_hot), rtol=1e-14, atol=0)


def test_partial_by_hand() -> None:
    y = PEOPLE[:, :2]
    assert partial("l1")(y, y)[0].tolist() == [0.0, 30.0, 0.0, 20.0, 20.0]  # 2/1 * 10 kg, 2/1 * 10 years
    assert partial("l1")(y, y)[3, 4].isnan()  # age of the one, weight of the other: nothing shared
    # 3 columns, of which 2 and 1 are shared: 3/2 * (10 + 0), 3/1 * 10
    assert partial(mixed((2,), 5.0))(PEOPLE, PEOPLE)[0, 3:].tolist() == [15.0, 30.0]
    around = torch.tensor([[350.0, NAN]]), torch.tensor([[10.0, 90.0]])
    assert partial("circular:360")(*around).item() == 40.0


def test_partial_l2_as_in_scikit_learns_documentation() -> None:
    y = torch.tensor([[3.0, NAN, NAN, 6.0], [1.0, NAN, 4.0, 5.0]], dtype=torch.float64)
    assert partial("l2")(y[:1], y[1:]).item() == math.sqrt(10)  # sqrt(4 / 2 * (2^2 + 1^2))


@settings(max_examples=60, deadline=None)  # scikit-learn takes milliseconds a call
@given(seed=st.integers(0, 10**6), k=st.integers(1, 5), holes=st.floats(0.0, 1.0))
def test_partial_l2_equals_scikit_learn(seed: int, k: int, holes: float) -> None:
    make = torch.Generator().manual_seed(seed)
    y = torch.randn(7, k, generator=make, dtype=torch.float64)
    y[torch.rand(7, k, generator=make) < holes] = NAN
    found = partial("l2")(y[:4], y[4:]).numpy()
    np.testing.assert_allclose(found, nan_euclidean_distances(y[:4].numpy(), y[4:].numpy()), rtol=1e-7, atol=1e-7)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    holes=st.sampled_from([0.0, 0.3, 0.7]),
    first=st.sampled_from(["l1", "l2", "circular:5"]),
)
def test_all_three_together_equal_the_definition(seed: int, holes: float, first: str) -> None:
    make = torch.Generator().manual_seed(seed)
    y = torch.randn(8, 3, generator=make, dtype=torch.float64) * 4
    y[:, 1] = torch.randint(0, 3, (8,), generator=make)
    y[torch.rand(8, 3, generator=make) < holes] = NAN
    found = partial(mixed((1,), 0.7, weighted(first, weights=(2.0, 0.3), scales=(1.5, 3.0))))(y[:5], y[5:])
    period = 5.0 if first == "circular:5" else None
    slow = pairs(
        lambda a, b: by_column(
            a,
            b,
            measure="l2" if first == "l2" else "l1",
            period=period,
            weights=(2.0, 0.3),
            scales=(1.5, 3.0),
            categories=(1,),
            weight=0.7,
            partial=True,
        ),
        y[:5],
        y[5:],
    )
    torch.testing.assert_close(found, slow, rtol=1e-13, atol=1e-14, equal_nan=True)  # sums of O(1) that cancel


def test_names_and_functions_are_the_same_and_the_order_of_partial_does_not_matter() -> None:
    assert partial("l1") == partial(l1) == ColumnDistance("l1", partial=True)
    assert partial("l2") == partial(l2) == ColumnDistance("l2", partial=True)
    assert partial("circular:24") == partial(circular(24.0)) == partial(partial("circular:24"))
    assert partial(weighted("l1", scales=[2.0])) == weighted(partial("l1"), scales=(2.0,))
    assert partial("angular") is partial(angular) is angular


ROWS = (
    "works column by column and takes l1, l2, circular:360 or what weighted, mixed and partial return, got {}. "
    "A function of your own may weigh and mix columns, or return NaN for unknown pairs, itself."
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weighted("angular"), "`weighted` " + ROWS.format("angular")),
        (lambda: mixed((0,), 1.0, angular), "`mixed` " + ROWS.format("angular")),
        (lambda: partial(lambda a, b: a - b.T), "`partial` " + ROWS.format("a function of your own")),
        (
            lambda: weighted(weighted("l1", weights=(1.0,)), scales=(2.0,)),
            "`weighted` comes once, before `mixed`, got ColumnDistance(measure='l1', weights=(1.0,)). Give weights and "
            "scales together, then mixed(categories, weight, weighted(...)).",
        ),
        (
            lambda: weighted(mixed((1,)), scales=(2.0,)),
            "`weighted` comes once, before `mixed`, got ColumnDistance(measure='l1', categories=(1,)). Give weights "
            "and scales together, then mixed(categories, weight, weighted(...)).",
        ),
        (
            lambda: mixed((0,), 2.0, mixed((1,))),
            "`mixed` comes once, got ColumnDistance(measure='l1', categories=(1,)). Name all categories together.",
        ),
        (
            lambda: weighted("l1", weights=(1.0, -1.0)),
            "`weights` must be finite and at least 0, one of them above 0, got (1.0, -1.0).",
        ),
    ],
)
def test_what_cannot_be_combined_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
