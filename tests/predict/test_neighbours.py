"""The exact nearest rows: ties share, blocks change nothing; the probes' tests hold them against slow loops."""

import numpy as np
import pytest

from isotone.predict.neighbours import means, minus_square, nearness, product, shares, tried


def _drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a bank of 9 points in 30 rows, so that most places are shared, its answers, and rows to ask."""
    draw = np.random.default_rng(0)
    return draw.integers(0, 3, (30, 2)).astype(float), draw.normal(size=(30, 2)), draw.normal(size=(200, 2))


def _means(ks: list[int], *, block: int = 2**20, order: np.ndarray | None = None) -> np.ndarray:
    bank, y, rows = _drawn()
    keep = np.arange(30) if order is None else order
    near = nearness(rows, bank[keep], minus_square, block)
    return np.concatenate([means(one, tie, y[keep], ks) for one, tie in near])


def test_neither_blocks_nor_the_order_of_the_bank_change_anything() -> None:
    whole = _means([1, 4, 30])
    assert whole.shape == (200, 3, 2)
    np.testing.assert_allclose(_means([1, 4, 30], block=1), whole, rtol=1e-12)  # 64 rows at a time, the last 8
    np.testing.assert_allclose(_means([1, 4, 30], order=np.random.default_rng(1).permutation(30)), whole, rtol=1e-12)


def test_all_neighbours_are_the_mean_of_all() -> None:
    np.testing.assert_allclose(_means([30])[:, 0], np.tile(_drawn()[1].mean(axis=0), (200, 1)))


def test_places_add_up_to_k() -> None:
    near, tie = next(nearness(np.zeros((1, 1)), np.array([[1.0], [-1.0], [2.0]]), minus_square))
    assert near.tolist() == [[-1, -1, -4]]
    assert [one.tolist() for one in shares(near, tie, [1, 2, 3])] == [[[0.5, 0.5, 0]], [[1, 1, 0]], [[1, 1, 1]]]


def test_cosines_are_the_products() -> None:
    near, _ = next(nearness(np.eye(2), np.array([[0.6, 0.8]]), product))
    assert near.tolist() == [[0.6], [0.8]]


@pytest.mark.parametrize(("rows", "ks"), [(1, [1]), (3, [3, 2, 1]), (500, [200, 100, 50, 20, 10, 5, 2, 1])])
def test_as_many_as_there_are(rows: int, ks: list[int]) -> None:
    assert tried(rows) == ks
