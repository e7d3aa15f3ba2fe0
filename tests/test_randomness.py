"""Draws depend on their key alone."""

import numpy as np
import torch

from isotone.randomness import generator, key, numpy_generator, uniform


def test_a_sample_draws_the_same_in_any_company() -> None:
    together = uniform(np.arange(100), 3, "augment", 0, 5, 1)
    alone = uniform(np.array([42]), 3, "augment", 0, 5, 1)
    assert np.array_equal(together[42:43], alone)
    assert not np.array_equal(together, uniform(np.arange(100), 3, "augment", 0, 5, 0))


def test_fewer_draws_are_the_first_ones() -> None:
    assert np.array_equal(uniform(np.arange(9), 5, "x")[:, :2], uniform(np.arange(9), 2, "x"))


def test_uniform_is_uniform_and_uncorrelated() -> None:
    u = uniform(np.arange(50_000), 4, "seed", 3)
    assert u.min() >= 0
    assert u.max() < 1
    assert np.abs(u.mean(0) - 0.5).max() < 0.006  # 4.6 standard errors
    correlation = np.corrcoef(u.T) - np.eye(4)
    assert np.abs(correlation).max() < 0.02  # 4.5 standard errors
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.02


def test_generators_repeat_and_leave_the_global_ones_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a, b = torch.rand(3, generator=generator("a", 1)), torch.rand(3, generator=generator("a", 1))
    assert torch.equal(a, b)
    assert torch.equal(before, torch.random.get_rng_state())
    assert numpy_generator(1).random() == numpy_generator(1).random()


def test_key_tells_parts_apart() -> None:
    assert len({key("a", 1), key("a1"), key("a", "1"), key(1, "a"), key("a", 1, 0)}) == 5
