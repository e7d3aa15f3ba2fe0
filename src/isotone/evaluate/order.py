"""Order of a representation: are samples whose targets are close also close in the representation?

Source: Zha et al. 2023, arXiv 2210.01189, table 1 (rank correlations) and definition 1 (delta-ordered).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from isotone.errors import ConfigError, ShapeError, nearest
from isotone.randomness import numpy_generator

Relation = Callable[[np.ndarray, np.ndarray], np.ndarray]
RELATIONS: dict[str, Literal["cityblock", "euclidean"]] = {"l1": "cityblock", "l2": "euclidean"}  # our name -> scipy's
MAX_PAIRS = 300_000  # for Kendall, the slowest: its sampling error there is below 0.003
MAX_TRIPLES = 200_000


@dataclass(frozen=True)
class Order:
    """How well the distances of a representation follow those of the targets.

    Args:
        spearman: rank correlation of embedding distance and target distance over all pairs; 1 = perfectly ordered.
        kendall: Kendall's tau-b of the same, on at most 300,000 pairs.
        ordered_triples: share of triples (i, j, k) with d_ij < d_ik in which j is also the more similar one to i,
            s_ij > s_ik; equal similarities count one half, so 0.5 is chance and a collapsed representation.
        n: rows used.
        delta_ordered: share of triples that meet definition 1 with the given delta and temperature; None if not asked.
    """

    spearman: float
    kendall: float
    ordered_triples: float
    n: int
    delta_ordered: float | None = None


def order(
    h: Float[np.ndarray, "n d"],
    target: Float[np.ndarray, "n k"],
    *,
    relation: str | Relation = "l1",
    max_rows: int = 1500,
    delta: float | None = None,
    temperature: float = 2.0,
    seed: int = 0,
) -> Order:
    """Return how far the order of a representation's distances is that of the targets' distances.

    Formula: d_ij is the target distance and s_ij = -||h_i - h_j||_2 / temperature. Definition 1 asks of a triple
    (i, j, k) of different rows: s_ij > s_ik + 1/delta if d_ij < d_ik; |s_ij - s_ik| < delta if d_ij = d_ik;
    s_ij < s_ik - 1/delta if d_ij > d_ik. Triples: all of them up to 74 rows, else 200,000 drawn.

    Args:
        h: (n, d) finite representations; not normalised, because RnC compares them as they are.
        target: (n, k) finite targets, user's units.
        relation: `l1`, `l2`, or a function of two arrays (n, k), (m, k) that returns target distances (n, m).
        max_rows: rows kept if there are more, drawn without replacement, >= 3; the default takes 1.5 s at d = 512.
        delta: of definition 1, above 0 and below 1; None leaves `delta_ordered` out.
        temperature: of definition 1, > 0; 2 is RnC's.
        seed: of the draws of rows, pairs and triples.

    Returns:
        The measures. Correlations are NaN for a collapsed representation (all rows equal), a constant target, and
        fewer than 3 rows; `ordered_triples` and `delta_ordered` are NaN where no triple is to be judged. A collapsed
        representation has 0.5 ordered triples and `delta_ordered` = the share of triples with d_ij = d_ik.

    Raises:
        ShapeError: `h` or `target` is not finite (n, ·), or the relation's result is not finite (n, n).
        ConfigError: unknown relation, or `max_rows`, `delta` or `temperature` out of range.

    Example:
        >>> angle = np.array([[0.0], [1.0], [3.0], [7.0]])
        >>> found = order(angle * 5, angle)
        >>> round(found.spearman, 6), round(found.kendall, 6), found.ordered_triples
        (1.0, 1.0, 1.0)
    """
    _check(h, target, max_rows, delta, temperature)
    if len(h) > max_rows:
        rows = np.sort(numpy_generator("order", seed, "rows").choice(len(h), max_rows, replace=False))
        h, target = h[rows], target[rows]
    n = len(h)
    if n < 3:
        return Order(math.nan, math.nan, math.nan, n, None if delta is None else math.nan)
    from scipy.spatial.distance import pdist, squareform  # here: scipy.stats and .spatial cost 0.3 s to import

    embedding = pdist(np.asarray(h, dtype=np.float64))  # (n (n - 1) / 2,)
    distance = _target_distance(np.asarray(target, dtype=np.float64), relation)
    spearman, kendall = _correlations(embedding, distance, seed)
    i, j, k = _triples(n, seed)
    embedding, distance = squareform(embedding), squareform(distance)
    closer = np.sign(distance[i, k] - distance[i, j])  # 1: j is closer to i than k is
    gap = (embedding[i, k] - embedding[i, j]) / temperature  # s_ij - s_ik
    judged = closer != 0
    ordered = float(((np.sign(gap) * closer)[judged].mean() + 1) / 2) if judged.any() else math.nan
    share = None if delta is None else float(np.where(judged, gap * closer > 1 / delta, np.abs(gap) < delta).mean())
    return Order(spearman, kendall, ordered, n, share)


# ----------------------------------------------------------------------------------------------------------------------


def _target_distance(target: np.ndarray, relation: str | Relation) -> np.ndarray:
    """Return the target distances of all pairs, (n (n - 1) / 2,), in pdist's order."""
    from scipy.spatial.distance import pdist

    if isinstance(relation, str):
        if relation not in RELATIONS:
            raise ConfigError(
                f"The relation must be {', '.join(RELATIONS)} or a function, but got {relation!r}."
                f"{nearest(relation, RELATIONS)}"
            )
        return pdist(target, metric=RELATIONS[relation])
    full = np.asarray(relation(target, target), dtype=np.float64)
    if full.shape != (len(target), len(target)) or not np.isfinite(full).all():
        raise ShapeError(
            f"A relation must return finite distances ({len(target)}, {len(target)}), but it returned {full.shape} "
            f"with {int((~np.isfinite(full)).sum())} NaN or infinite values. Compare every row of its first argument "
            "with every row of its second."
        )
    return full[np.triu_indices(len(target), 1)]


def _correlations(embedding: np.ndarray, distance: np.ndarray, seed: int) -> tuple[float, float]:
    from scipy.stats import kendalltau, rankdata

    if np.ptp(embedding) == 0 or np.ptp(distance) == 0:
        return math.nan, math.nan
    spearman = np.corrcoef(rankdata(embedding), rankdata(distance))[0, 1]
    if len(embedding) > MAX_PAIRS:
        pairs = numpy_generator("order", seed, "pairs").choice(len(embedding), MAX_PAIRS, replace=False)
        embedding, distance = embedding[pairs], distance[pairs]
    return float(spearman), float(np.asarray(kendalltau(embedding, distance))[0])


def _triples(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return anchors i and two others j != k: each unordered {j, k} once if few enough, else a sample."""
    if n * (n - 1) * (n - 2) // 2 <= MAX_TRIPLES:
        j, k = np.triu_indices(n, 1)
        i = np.repeat(np.arange(n), len(j))
        j, k = np.tile(j, n), np.tile(k, n)
        keep = (i != j) & (i != k)
        return i[keep], j[keep], k[keep]
    draw = numpy_generator("order", seed, "triples")
    i = draw.integers(n, size=MAX_TRIPLES)
    first, second = draw.integers(n - 1, size=MAX_TRIPLES), draw.integers(n - 2, size=MAX_TRIPLES)
    second += second >= first  # skips `first`; then both skip i
    return i, first + (first >= i), second + (second >= i)


def _check(h: np.ndarray, target: np.ndarray, max_rows: int, delta: float | None, temperature: float) -> None:
    if np.ndim(h) != 2 or np.ndim(target) != 2 or len(h) != len(target) or not np.size(h) or not np.size(target):
        raise ShapeError(
            "Order expects representations (n, d) and targets (n, k) with n >= 1, "
            f"but got {np.shape(h)} and {np.shape(target)}. For one target dimension, use y[:, None]."
        )
    for name, x in (("h", h), ("target", target)):
        bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
        if len(bad):
            raise ShapeError(
                f"Order expects finite numbers, but {len(bad)} rows of `{name}` hold NaN or infinity, the first is "
                f"row {bad[0]}. Leave these rows out, or look for a diverged encoder."
            )
    if max_rows < 3:
        raise ConfigError(f"Order expects max_rows >= 3, but got {max_rows}. 1500 is a good value.")
    if delta is not None and not 0 < delta < 1:
        raise ConfigError(f"Order expects 0 < delta < 1, but got {delta}. Leave it out to skip definition 1.")
    if not 0 < temperature < math.inf:
        raise ConfigError(f"Order expects temperature > 0, but got {temperature}. Use the training loss's, 2 for RnC.")
