"""Label relations: values by hand, unknown distances, and mistakes."""

import math

import pytest
import torch
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Tags
from isotone.relations import mixed, partial, same_category, target_relation

UNSOUND = (
    "the target distance must be finite and at least 0, got negative numbers, infinity or NaN. NaN, for unknown, may "
    "come of missing (NaN) targets alone."
)


def test_same_category() -> None:
    tags = Tags(category=torch.tensor([2, 2, 5]))
    assert same_category(tags, tags)[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: (a - b.T).abs()[:, :1], "the target distance must return (3, 3), got (3, 1)."),
        (lambda a, b: a - b.T, UNSOUND),
        (lambda a, b: (a - b.T).abs() / 0, UNSOUND),  # infinity, and NaN on the diagonal
        (lambda a, b: (a - b.T).abs().masked_fill(a == b.T, math.inf), UNSOUND),
    ],
)
def test_a_users_distance_is_checked(function: object, message: str) -> None:
    tags = Tags(target=torch.arange(3.0)[:, None])
    with pytest.raises(ShapeError) as caught:
        target_relation(function)(tags, tags)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_nan_is_unknown_where_a_target_is_missing_and_a_mistake_elsewhere() -> None:
    y = torch.tensor([[1.0, 2.0], [math.nan, 5.0], [math.nan, math.nan], [1.0, math.nan]])
    tags = Tags(target=y)
    unknown = target_relation(partial("l1"))(tags, tags).isnan()
    assert unknown.tolist() == [[i == 2 or j == 2 or {i, j} == {1, 3} for j in range(4)] for i in range(4)]
    assert target_relation("l1")(tags, tags).isnan().sum() == 15
    assert target_relation(mixed((1,)))(tags, tags).isnan().sum() == 15
    with pytest.raises(ShapeError) as caught:
        target_relation(lambda a, b: torch.full((len(a), len(b)), math.nan))(tags, tags)  # row 0 misses nothing
    assert str(caught.value) == UNSOUND


@pytest.mark.parametrize(("relation", "needs"), [(target_relation(), "target"), (same_category, "category")])
def test_missing_tags_are_named(relation: object, needs: str) -> None:
    what = "a target distance needs" if needs == "target" else "the category relation needs"
    with pytest.raises(ShapeError) as caught:
        relation(Tags(), Tags())  # type: ignore[operator]
    assert str(caught.value) == f"{what} the tag `{needs}`, got tags without it. Fill Tags({needs}=...)."


def test_distances_keep_float64() -> None:
    y: Tensor = torch.tensor([[1.7e9], [1.7e9 + 30]], dtype=torch.float64)
    assert target_relation("l1")(Tags(target=y), Tags(target=y))[0, 1].item() == 30.0
