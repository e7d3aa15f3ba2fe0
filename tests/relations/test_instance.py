"""The instance relation."""

import pytest
import torch

from isotone.errors import ShapeError
from isotone.records import Tags
from isotone.relations import same_instance


def test_views_of_one_sample_are_the_same() -> None:
    tags = Tags(instance=torch.tensor([3, 8, 3]))
    assert same_instance(tags, tags).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_missing_tag_is_named() -> None:
    with pytest.raises(ShapeError) as caught:
        same_instance(Tags(), Tags())
    expected = "the instance relation needs the tag `instance`, got tags without it. Fill Tags(instance=...)."
    assert str(caught.value) == expected
