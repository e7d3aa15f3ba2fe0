"""The batch as candidates, alone and with others behind it."""

import pytest
import torch

from isotone.candidates import batch_candidates
from isotone.candidates.batch import joined
from isotone.records import Candidates, Tags


def test_every_row_but_the_anchor_itself() -> None:
    z, tags = torch.randn(3, 2), Tags(instance=torch.arange(3))
    found = batch_candidates(z, tags)
    assert found.embeddings is z
    assert found.tags is tags
    assert found.own is not None
    assert found.own.tolist() == [0, 1, 2]
    assert found.mask is None


def test_others_stand_behind_the_batch_in_its_type_and_are_nobodys_own() -> None:
    z = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    tags = Tags(instance=torch.arange(3), target=torch.rand(3, 1, dtype=torch.float64))
    queue = Candidates(torch.randn(4, 2), Tags(instance=torch.arange(4, dtype=torch.int32), target=torch.rand(4, 1)))
    found = joined(batch_candidates(z, tags), queue)
    assert found.embeddings.dtype == torch.float64
    assert torch.equal(found.embeddings, torch.cat([z, queue.embeddings.double()]))
    assert found.own is not None
    assert found.own.tolist() == [0, 1, 2]
    assert found.tags.instance is not None
    assert found.tags.instance.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert found.tags.target is not None
    assert found.tags.target.shape == (7, 1)
    assert found.tags.target.dtype == torch.float64
    (gradient,) = torch.autograd.grad(found.embeddings.sum(), z)
    assert torch.equal(gradient, torch.ones_like(z))


def test_tags_that_one_side_lacks_are_dropped() -> None:
    batch = batch_candidates(torch.zeros(2, 3), Tags(instance=torch.arange(2), category=torch.arange(2)))
    found = joined(batch, Candidates(torch.zeros(0, 3), Tags(category=torch.zeros(0, dtype=torch.int64))))
    assert found.tags.instance is None
    assert found.tags.category is not None
    assert found.tags.category.tolist() == [0, 1]
    assert found.embeddings.shape == (2, 3)


@pytest.mark.parametrize("given", [{"mask": torch.ones(2, 2, dtype=torch.bool)}, {"own": torch.arange(2)}])
def test_masks_of_others_are_not_forgotten_silently(given: dict[str, torch.Tensor]) -> None:
    batch = batch_candidates(torch.zeros(2, 3), Tags())
    with pytest.raises(AssertionError) as caught:
        joined(batch, Candidates(torch.zeros(2, 3), Tags(), **given))
    told = str(caught.value).splitlines()[0]  # pytest adds what it knows where it has rewritten the module's asserts
    assert told == "joined candidates count for every anchor but their own"
