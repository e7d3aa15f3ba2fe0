"""Order of a representation."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from isotone.errors import ConfigError, ShapeError
from isotone.evaluate.order import Order, Relation, order


def slow(h: np.ndarray, y: np.ndarray, delta: float, temperature: float) -> Order:
    """The definitions written term by term."""
    n = len(h)
    s = [[-math.dist(h[i], h[j]) / temperature for j in range(n)] for i in range(n)]
    d = [[float(np.abs(y[i] - y[j]).sum()) for j in range(n)] for i in range(n)]
    ordered: list[float] = []
    met: list[bool] = []
    for i in range(n):
        for j in range(n):
            for k in range(n):
                if len({i, j, k}) < 3:
                    continue
                if d[i][j] < d[i][k]:
                    ordered.append((s[i][j] > s[i][k]) + 0.5 * (s[i][j] == s[i][k]))
                    met.append(s[i][j] > s[i][k] + 1 / delta)
                elif d[i][j] == d[i][k]:
                    met.append(abs(s[i][j] - s[i][k]) < delta)
                else:
                    met.append(s[i][j] < s[i][k] - 1 / delta)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    x, z = [-s[i][j] for i, j in pairs], [d[i][j] for i, j in pairs]
    spearman, kendall = float(stats.spearmanr(x, z)[0]), float(stats.kendalltau(x, z)[0])
    return Order(spearman, kendall, float(np.mean(ordered)), n, float(np.mean(met)))


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_the_definitions(ties: bool, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y = draw.integers(5, size=(12, 2)).astype(float) if ties else draw.normal(size=(12, 2))
    h = np.concatenate([y * 5, draw.normal(size=(12, 3))], axis=1)
    h = np.round(h) if ties else h
    found, wanted = order(h, y, delta=0.5, temperature=0.7), slow(h, y, 0.5, 0.7)
    assert vars(found) == pytest.approx(vars(wanted), abs=1e-12)


def test_a_line_is_perfectly_ordered_and_delta_ordered_once_stretched() -> None:
    y = np.array([[0.0], [1.0], [3.0], [7.0], [15.0]])  # all distances differ by at least 1
    assert order(y, y, delta=0.5, temperature=2.0).delta_ordered < 1.0
    found = order(100 * y, y, delta=0.5, temperature=2.0)
    assert (found.spearman, found.kendall, found.ordered_triples) == pytest.approx((1.0, 1.0, 1.0))
    assert found.delta_ordered == 1.0


def test_a_random_representation_is_at_chance() -> None:
    draw = np.random.default_rng(0)
    found = order(draw.normal(size=(300, 8)), draw.normal(size=(300, 1)))
    assert found.spearman == pytest.approx(0, abs=0.05)
    assert found.kendall == pytest.approx(0, abs=0.05)
    assert found.ordered_triples == pytest.approx(0.5, abs=0.02)
    assert found.delta_ordered is None


def test_collapse_gives_nan_and_one_half_without_a_warning() -> None:
    found = order(np.ones((6, 4)), np.array([[0.0], [1.0], [3.0], [7.0], [15.0], [31.0]]), delta=0.5)
    assert math.isnan(found.spearman)
    assert math.isnan(found.kendall)
    assert found.ordered_triples == 0.5
    assert found.delta_ordered == 0.0


def test_constant_target() -> None:
    h = np.random.default_rng(0).normal(size=(6, 4)) * 1e-3
    found = order(h, np.ones((6, 1)), delta=0.5)
    assert math.isnan(found.spearman)
    assert math.isnan(found.ordered_triples)
    assert found.delta_ordered == 1.0  # definition 1 asks that equal targets be equally similar


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows(n: int) -> None:
    found = order(np.arange(n * 2.0).reshape(n, 2), np.arange(n * 1.0)[:, None], delta=0.5)
    assert found.n == n
    assert all(math.isnan(x) for x in (found.spearman, found.kendall, found.ordered_triples, found.delta_ordered or 0))


def test_many_rows_are_drawn_from_the_seed() -> None:
    draw = np.random.default_rng(1)
    y = draw.normal(size=(400, 1))
    h = np.concatenate([y, 0.5 * draw.normal(size=(400, 4))], axis=1)
    full, part, again, other = (order(h, y, max_rows=m, seed=s) for m, s in ((400, 0), (200, 0), (200, 0), (200, 1)))
    assert part == again
    assert part != other
    assert part.n == 200
    assert part.spearman == pytest.approx(full.spearman, abs=0.1)
    assert part.ordered_triples == pytest.approx(full.ordered_triples, abs=0.05)


def test_sampled_triples_are_distinct_rows_and_agree_with_all() -> None:
    from isotone.evaluate.order import _triples

    i, j, k = _triples(75, 0)  # 75 rows are the first with more than 200,000 triples
    assert len(i) == 200_000
    assert not ((i == j) | (j == k) | (i == k)).any()
    for rows in (i, j, k):
        assert set(rows.tolist()) == set(range(75))
        assert np.bincount(rows).min() > 0.9 * 200_000 / 75
    assert len(_triples(74, 0)[0]) == 74 * 73 * 72 // 2


@pytest.mark.slow
def test_kendall_of_sampled_pairs_is_close_to_that_of_all() -> None:
    draw = np.random.default_rng(2)
    y = draw.normal(size=(900, 1))
    h = y + 0.5 * draw.normal(size=(900, 2))
    from scipy.spatial.distance import pdist

    assert order(h, y).kendall == pytest.approx(stats.kendalltau(pdist(h), pdist(y))[0], abs=0.004)


def circular(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    gap = np.abs(a - b.T) % 360
    return np.minimum(gap, 360 - gap)


def test_relations() -> None:
    angle = np.array([[0.0], [50.0], [110.0], [180.0], [260.0], [350.0]])
    ring = np.concatenate([np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)
    assert order(ring, angle, relation=circular).spearman == pytest.approx(1.0, abs=0.01)
    assert order(ring, angle).spearman < 0.5
    y = np.random.default_rng(3).normal(size=(20, 3))
    assert order(y, y, relation="l2").spearman == pytest.approx(1.0)
    assert order(y, y, relation="l1").spearman < 1.0


def test_row_order_rigid_motion_and_label_shift_do_not_matter() -> None:
    draw = np.random.default_rng(4)
    h, y = draw.normal(size=(20, 3)), draw.normal(size=(20, 1))
    turn, _ = np.linalg.qr(draw.normal(size=(3, 3)))
    one, two, three = order(h, y), order(h[::-1], y[::-1]), order(h @ turn + 5, 3 * y + 7)
    for other in (two, three):
        found, wanted = ((x.spearman, x.kendall, x.ordered_triples) for x in (one, other))
        assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("h", "y"), [((4, 2), (4,)), ((4,), (4, 1)), ((4, 2), (3, 1)), ((0, 2), (0, 1))])
@pytest.mark.usefixtures("unhooked")
def test_wrong_shapes(h: tuple[int, ...], y: tuple[int, ...]) -> None:
    text = (
        f"Order expects representations (n, d) and targets (n, k) with n >= 1, but got {h} and {y}. "
        "For one target dimension, use y[:, None]."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        order(np.zeros(h), np.zeros(y))


def test_values_that_are_not_finite() -> None:
    h = np.ones((4, 2))
    h[2, 1] = np.nan
    text = (
        "Order expects finite numbers, but 1 rows of `h` hold NaN or infinity, the first is row 2. "
        "Leave these rows out, or look for a diverged encoder."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        order(h, np.ones((4, 1)))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"relation": "l11"}, "The relation must be l1, l2 or a function, but got 'l11'. Did you mean 'l1'?"),
        ({"max_rows": 2}, "Order expects max_rows >= 3, but got 2. 1500 is a good value."),
        ({"delta": 1.0}, "Order expects 0 < delta < 1, but got 1.0. Leave it out to skip definition 1."),
        ({"temperature": 0.0}, "Order expects temperature > 0, but got 0.0. Use the training loss's, 2 for RnC."),
    ],
)
def test_settings_out_of_range(setting: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        order(np.zeros((4, 2)), np.zeros((4, 1)), **setting)


@pytest.mark.parametrize(
    ("relation", "got"),
    [(lambda a, b: a - b, "(4, 1) with 0"), (lambda a, b: np.full((4, 4), np.nan), "(4, 4) with 16")],
)
def test_a_relation_that_returns_something_else(relation: Relation, got: str) -> None:
    text = (
        f"A relation must return finite distances (4, 4), but it returned {got} NaN or infinite values. "
        "Compare every row of its first argument with every row of its second."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        order(np.zeros((4, 2)), np.zeros((4, 1)), relation=relation)
