"""K-means of the features of a whole data set: the labels that ClusterFit trains on.

Plain Lloyd iterations from random rows, without restarts, as in the published recipe. Written here, in a few lines,
rather than taken from scikit-learn, where three threads and more add their sums in the order in which they finish, so
that two processes of a run, or a run and its repetition, could part ways; and rather than from faiss, a dependency for
this alone.

Source: S. Lloyd 1982, doi 10.1109/TIT.1982.1056489; Yan et al. 2020 (ClusterFit), arXiv 1912.03330, section 3.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotone import check
from isotone.errors import ConfigError
from isotone.randomness import generator

CELLS = 2**22  # rows x centroids at a time


def k_means(
    h: Float[Tensor, "n d"], k: int, *, seed: int = 0, iterations: int = 50
) -> tuple[Int[Tensor, " n"], Float[Tensor, "k d"]]:
    """Return each row's cluster and the clusters' centroids, `argmin_c sum_i |h_i - mu_{c_i}|^2` as far as Lloyd comes.

    Starts from k different rows; a cluster that has lost its rows goes on from the row that is farthest from its own
    centroid. Stops when no row changes. The same on every process and in every run with the same number of threads.
    O(n k d) time an iteration; memory for a block of distances beside the features.

    Args:
        h: (n, d) float32, not changed.
        k: clusters, 2 to n.
        seed: of the first centroids.
        iterations: at most; the published 50.

    Returns:
        (n,) int64 below k, and (k, d) float32: every row is in the cluster of its nearest centroid. Where h has fewer
        than k different rows some clusters stay empty.

    Raises:
        ConfigError: for k below 2 or above n.
        ShapeError: for NaN or infinity in h.

    Example:
        >>> h = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> cluster, _ = k_means(h, 2)
        >>> bool(cluster[0] == cluster[1] != cluster[2] == cluster[3])
        True
    """
    if not 2 <= k <= len(h):
        raise ConfigError(f"k-means of {len(h)} rows makes 2 to {len(h)} clusters, asked for {k}.")
    check.finite(h, "k-means", "features", "The network that made them has diverged.")
    centroids = h[torch.randperm(len(h), generator=generator("k-means", seed))[:k]].clone()
    cluster = torch.full((len(h),), -1)
    for _ in range(iterations):
        nearest, distance = _nearest(h, centroids)
        if torch.equal(nearest, cluster):
            return cluster, centroids
        cluster = nearest
        centroids = _means(h, _filled(cluster, distance, k), centroids)
    return _nearest(h, centroids)[0], centroids


def unit_features(h: Float[Tensor, "n d"], width: int = 0) -> Float[Tensor, "n e"]:
    """Return the features as they are clustered: rows divided by their length + 1e-5, then a PCA where one is wanted.

    Args:
        h: (n, d) float32, not changed.
        width: principal components that are kept, e; 0, or d and more, leaves them all.

    Example:
        >>> unit_features(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).round(decimals=4).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]

    Source: arXiv 1912.03330, section 3.2, and its public code.
    """
    h = h / (h.norm(dim=1, keepdim=True) + 1e-5)
    if not 0 < width < h.shape[1]:
        return h
    centred = h.double() - h.double().mean(0)
    _, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    return (centred @ axes[:, -width:]).to(h.dtype)


# ----------------------------------------------------------------------------------------------------------------------


def _nearest(h: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's nearest centroid, the first of equals, and the squared distance to it."""
    offset = centroids.square().sum(1) / 2
    found = [(rows @ centroids.T - offset).max(1) for rows in h.split(max(1, CELLS // len(centroids)))]
    score, nearest = (torch.cat(parts) for parts in zip(*found, strict=True))
    return nearest, h.square().sum(1) - 2 * score


def _filled(cluster: Tensor, distance: Tensor, k: int) -> Tensor:
    """Return the clusters with each empty one given the farthest row that is left."""
    empty = (torch.bincount(cluster, minlength=k) == 0).nonzero().flatten()
    if not len(empty):
        return cluster
    farthest = distance.argsort(descending=True, stable=True)[: len(empty)]
    return cluster.index_copy(0, farthest, empty)


def _means(h: Tensor, cluster: Tensor, before: Tensor) -> Tensor:
    """Return the mean of each cluster's rows, added in their order; an empty one stays where it was."""
    total = torch.zeros(before.shape, dtype=torch.float64)
    step = max(1, CELLS // h.shape[1])
    for rows, which in zip(h.split(step), cluster.split(step), strict=True):
        total.index_add_(0, which, rows.double())
    count = torch.bincount(cluster, minlength=len(before))[:, None]
    return torch.where(count > 0, total / count.clamp_min(1), before.double()).to(before.dtype)
