"""The relation of time: near, elsewhere, unknown."""

import math

import pytest
import torch

from isotone.errors import ConfigError, ShapeError
from isotone.records import Tags
from isotone.relations import neighbours


def test_the_distance_is_that_of_the_definition() -> None:
    make = torch.Generator().manual_seed(0)
    a = Tags(sequence=torch.randint(3, (9,), generator=make), time=torch.randint(6, (9,), generator=make).double())
    b = Tags(sequence=torch.randint(3, (7,), generator=make), time=torch.randint(6, (7,), generator=make).double())
    found = neighbours(lag=2.0)(a, b)
    assert found.shape == (9, 7)
    assert found.dtype == torch.float32
    seen = set()
    for i in range(9):
        for j in range(7):
            same = int(a.sequence[i]) == int(b.sequence[j])  # type: ignore[index]
            near = abs(float(a.time[i]) - float(b.time[j])) <= 2.0  # type: ignore[index]
            expected = (0.0 if near else math.nan) if same else 1.0
            assert float(found[i, j]) == expected or (math.isnan(expected) and math.isnan(float(found[i, j])))
            seen.add("unknown" if math.isnan(expected) else expected)
    assert seen == {0.0, 1.0, "unknown"}


def test_with_lag_0_equal_times_alone_are_the_same() -> None:
    tags = Tags(sequence=torch.tensor([1, 1, 1]), time=torch.tensor([0.0, 0.0, 1e-9], dtype=torch.float64))
    assert neighbours(lag=0.0)(tags, tags)[0].nan_to_num(7.0).tolist() == [0.0, 0.0, 7.0]


def test_a_missing_time_is_unknown_within_the_sequence() -> None:
    tags = Tags(sequence=torch.tensor([1, 1, 2]), time=torch.tensor([math.nan, 0.0, 0.0]))
    assert neighbours(lag=9.0)(tags, tags)[0].nan_to_num(7.0).tolist() == [7.0, 7.0, 1.0]


def test_a_negative_lag_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        neighbours(lag=-1.0)
    assert str(caught.value) == "`lag` must be between 0 and 1e+300, got -1."


@pytest.mark.parametrize(
    ("tags", "missing"),
    [
        (Tags(sequence=torch.zeros(2).long()), "`time`"),
        (Tags(time=torch.zeros(2)), "`sequence`"),
        (Tags(), "`sequence` and `time`"),
    ],
)
def test_missing_tags_are_named(tags: Tags, missing: str) -> None:
    with pytest.raises(ShapeError) as caught:
        neighbours(lag=1.0)(tags, tags)
    assert str(caught.value) == (
        f"the relation of neighbours needs the tags `sequence` and `time`, got tags without {missing}. "
        "Fill Tags(sequence=..., time=...)."
    )
