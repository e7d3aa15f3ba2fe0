"""Records: tags change together, rows of a side."""

import numpy as np
import torch

from isotone.records import Dataset, Tags


def test_tags_change_together() -> None:
    tags = Tags(instance=torch.arange(3), target=torch.ones(3, 1))
    first = tags.map(lambda x: x[:1])
    assert first.instance is not None
    assert first.instance.tolist() == [0]
    assert first.category is None
    assert first.target is not None
    assert first.target.shape == (1, 1)


def test_rows_of_a_side() -> None:
    split = np.array(["train", "test", "train", "val"])
    n = np.arange(4)
    data = Dataset("x", "rows", np.zeros((4, 2)), np.zeros((4, 1)), ("y",), split, n.astype(str), n)
    assert data.rows("train").tolist() == [0, 2]
    assert data.rows("val").tolist() == [3]
