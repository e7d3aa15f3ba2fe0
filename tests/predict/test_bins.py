"""Places among the bins: thresholds halfway, ends, equal targets, and what is refused."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from predict.binned import case, centres

from isotone.errors import ShapeError
from isotone.predict.bins import apart, at_place, levels
from isotone.records import Bins


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), k=st.integers(1, 3), count=st.integers(1, 9))
def test_the_level_is_the_nearest_centre_and_the_number_of_thresholds_below(
    seed: int, n: int, k: int, count: int
) -> None:
    made = case(seed, n, k, count)
    parts, place = apart(made.out, made.y, made.bins, each=count, owner="DEX")
    assert parts.shape == (n, k, count)
    found = levels(place, made.bins)
    for row, targets in zip(found.tolist(), made.y.tolist(), strict=True):
        for level, target, c in zip(row, targets, made.centres, strict=True):
            far = [abs(target - x) for x in c]
            assert level == far.index(min(far))
            assert level == sum(target > (a + b) / 2 for a, b in pairwise(c))
    torch.testing.assert_close(at_place(place, made.bins), made.y, rtol=1e-10, atol=1e-10)


def test_every_centre_is_its_own_bin_and_comes_back() -> None:
    bins = Bins((-1.3, 0.0), (2.2, 1e-3), 37)
    y = torch.tensor(centres(bins), dtype=torch.float64).T  # (37, 2)
    _, place = apart(torch.zeros(37, 74), y, bins, each=37, owner="DEX")
    index = torch.arange(37, dtype=torch.float64)[:, None].repeat(1, 2)
    assert torch.equal(levels(place, bins), index)
    torch.testing.assert_close(at_place(index, bins), y)


def test_equal_training_targets_are_in_bin_0() -> None:
    bins = Bins((0.0,), (0.0,), 5)
    _, place = apart(torch.zeros(2, 5), torch.tensor([[0.0], [7.0]]), bins, each=5, owner="DEX")
    assert levels(place, bins).flatten().tolist() == [0.0, 4.0]
    assert at_place(torch.tensor([[0.0], [4.0]]), bins).flatten().tolist() == [0.0, 0.0]


def test_half_precision_is_widened_and_float64_targets_are_not_narrowed() -> None:
    bins = Bins((0.0,), (1.0,), 2)
    y = torch.tensor([[0.5 + 1e-12]], dtype=torch.float64)
    parts, place = apart(torch.zeros(1, 2).half(), y, bins, each=2, owner="DEX")
    assert (parts.dtype, place.dtype) == (torch.float32, torch.float64)
    assert levels(place, bins).item() == 1.0


@pytest.mark.parametrize(
    ("out", "target"), [((4, 6), (4,)), ((4, 6), (4, 1)), ((4, 5), (4, 2)), ((3, 6), (4, 2)), ((0, 6), (0, 2))]
)
@pytest.mark.usefixtures("unhooked")
def test_shapes_that_do_not_fit_are_refused(out: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as caught:
        apart(torch.zeros(out), torch.zeros(target), Bins((0.0, 0.0), (1.0, 1.0), 3), each=3, owner="DEX")
    assert str(caught.value) == (
        f"DEX with 3 bins expects outputs (n, 6) and targets (n, 2) with n >= 1, but got outputs {out} and targets "
        f"{target}.\nGive both by row; for one target dimension, use target[:, None]."
    )
