"""The batch as candidates."""

import torch

from isotone.candidates import batch_candidates
from isotone.records import Tags


def test_every_row_but_the_anchor_itself() -> None:
    z = torch.randn(3, 2)
    found = batch_candidates(z, Tags(instance=torch.arange(3)))
    assert found.embeddings is z
    assert found.mask.sum(1).tolist() == [2, 2, 2]
    assert not found.mask.diagonal().any()
