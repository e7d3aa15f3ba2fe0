import numpy as np
import pytest
import torch

from isotone.data.draws import sample_draws
from isotone.randomness import uniform
from isotone.records import Batch, Tags


def batch(instance, **more):
    return Batch(torch.zeros(1, len(instance), 2), Tags(instance=torch.tensor(instance)), **more)


def test_a_sample_draws_the_same_in_every_batch():
    all_of_them = sample_draws(batch([4, 0, 9, 7]), 3, "angle")
    assert all_of_them.shape == (4, 3)
    assert all_of_them.dtype == torch.float64
    assert torch.equal(sample_draws(batch([9, 4]), 3, "angle"), all_of_them[[2, 0]])
    assert torch.equal(sample_draws(batch([9, 4]), 1, "angle"), all_of_them[[2, 0], :1])


def test_what_keys_the_numbers():
    expected = uniform(np.array([4, 0]), 2, "angle", 3, 5)
    assert np.array_equal(sample_draws(batch([4, 0], seed=3, epoch=5), 2, "angle").numpy(), expected)


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_seed_epoch_and_name_draw_other_numbers_and_the_step_does_not(other):
    first = sample_draws(batch([1, 2]), 2, "angle")
    assert not torch.equal(sample_draws(batch([1, 2], **other), 2, "angle"), first)
    assert not torch.equal(sample_draws(batch([1, 2]), 2, "patch"), first)
    assert torch.equal(sample_draws(batch([1, 2], step=8), 2, "angle"), first)


def test_numbers_fill_the_unit_interval_and_never_reach_one():
    drawn = sample_draws(batch(list(range(20_000))), 1, "angle")
    assert 0 <= drawn.min() < 1e-3
    assert 1 - 1e-3 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 4 / (12 * 20_000) ** 0.5  # four standard errors


def test_a_batch_without_instances_is_a_fault_of_the_loop():
    with pytest.raises(AssertionError, match="the loop fills `instance`"):
        sample_draws(Batch(torch.zeros(1, 2, 2), Tags()), 1, "angle")
