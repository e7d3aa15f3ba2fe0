"""Label relations: values by hand, and mistakes."""

import pytest
import torch
from torch import Tensor

from isotone.errors import ShapeError
from isotone.records import Tags
from isotone.relations import circular, l1, l2, same_category, target_relation

A, B = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 0.0]])


def test_l1_and_l2_by_hand() -> None:
    assert l1(A, B).tolist() == [[3.0], [4.0]]
    assert l2(A, B).tolist() == [[3.0], [4.0]]
    assert l1(A, A)[0, 1].item() == 7.0
    assert l2(A, A)[0, 1].item() == 5.0


def test_circular_goes_the_short_way_round() -> None:
    hours = torch.tensor([[23.0], [1.0], [13.0], [49.0]])
    assert circular(24.0)(hours, hours)[0].tolist() == [0.0, 2.0, 10.0, 2.0]


def test_same_category() -> None:
    tags = Tags(category=torch.tensor([2, 2, 5]))
    assert same_category(tags, tags)[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: (a - b.T).abs()[:, :1], "the target distance must return (3, 3), got (3, 1)."),
        (lambda a, b: a - b.T, "the target distance must be at least 0 everywhere, got negative numbers or NaN."),
    ],
)
def test_a_users_distance_is_checked(function: object, message: str) -> None:
    tags = Tags(target=torch.arange(3.0)[:, None])
    with pytest.raises(ShapeError) as caught:
        target_relation(function)(tags, tags)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(("relation", "needs"), [(target_relation(), "target"), (same_category, "category")])
def test_missing_tags_are_named(relation: object, needs: str) -> None:
    what = "a target distance needs" if needs == "target" else "the category relation needs"
    with pytest.raises(ShapeError) as caught:
        relation(Tags(), Tags())  # type: ignore[operator]
    assert str(caught.value) == f"{what} the tag `{needs}`, got tags without it. Fill Tags({needs}=...)."


def test_distances_keep_float64() -> None:
    y: Tensor = torch.tensor([[1.7e9], [1.7e9 + 30]], dtype=torch.float64)
    assert target_relation("l1")(Tags(target=y), Tags(target=y))[0, 1].item() == 30.0
