"""The relation of pairs: across modalities alone."""

import pytest
import torch

from isotone.core.rows import Anchors, contrast_rows
from isotone.core.similarity import cosine
from isotone.errors import ShapeError
from isotone.losses import info_nce
from isotone.records import Candidates, Tags
from isotone.relations import same_pair


def test_pairs_are_found_across_modalities_alone() -> None:
    a = Tags(instance=torch.tensor([5, 6]), category=torch.tensor([0, 1]))
    b = Tags(instance=torch.tensor([5, 5, 6, 6]), category=torch.tensor([0, 1, 0, 1]))
    assert same_pair(a, b).nan_to_num(7.0).tolist() == [[7.0, 0.0, 7.0, 1.0], [1.0, 7.0, 0.0, 7.0]]


def test_the_contrast_of_this_relation_is_the_two_sided_info_nce() -> None:
    first, second = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    z = torch.cat([first, second])
    tags = Tags(instance=torch.arange(6).repeat(2), category=torch.arange(2).repeat_interleave(6))
    settings = {"similarity": cosine, "temperature": 0.3, "relation": same_pair, "positives": 1}
    found = contrast_rows(Anchors(z, tags), Candidates(z, tags), **settings).total
    torch.testing.assert_close(found.float(), info_nce(first, second, temperature=0.3, sides="two"))


@pytest.mark.parametrize(
    ("tags", "missing"),
    [
        (Tags(instance=torch.arange(2)), "`category`"),
        (Tags(category=torch.arange(2)), "`instance`"),
        (Tags(), "`instance` and `category`"),
    ],
)
def test_missing_tags_are_named(tags: Tags, missing: str) -> None:
    whole = Tags(instance=torch.arange(2), category=torch.arange(2))
    for pair in ((tags, whole), (whole, tags)):
        with pytest.raises(ShapeError) as caught:
            same_pair(*pair)
        assert str(caught.value) == (
            "the relation of pairs needs the tags `instance` and `category` (the modality), got tags without "
            f"{missing}. Fill Tags(instance=..., category=...)."
        )
