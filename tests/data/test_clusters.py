"""K-means: its result is one that no step improves, the same as scikit-learn's, whatever becomes empty."""

import pytest
import torch
from sklearn.cluster import KMeans

from isotone.data import clusters
from isotone.data.clusters import k_means, unit_features
from isotone.errors import ConfigError, ShapeError
from isotone.randomness import generator


def _features(n: int = 300, d: int = 6) -> torch.Tensor:
    make = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(7, d, generator=make)
    return centres[torch.randint(7, (n,), generator=make)] + torch.randn(n, d, generator=make)


def test_it_is_scikit_learns_from_the_same_start() -> None:
    h = _features()
    cluster, centroids = k_means(h, 12, seed=5)
    start = h[torch.randperm(300, generator=generator("k-means", 5))[:12]]
    expected = KMeans(12, init=start.numpy(), n_init=1, max_iter=50, tol=0.0, algorithm="lloyd").fit(h.numpy())
    assert cluster.tolist() == expected.labels_.tolist()
    torch.testing.assert_close(centroids, torch.from_numpy(expected.cluster_centers_))


@pytest.mark.parametrize("iterations", [0, 1, 50])
def test_every_row_is_in_the_cluster_of_its_nearest_centroid(iterations: int) -> None:
    h = _features()
    cluster, centroids = k_means(h, 20, iterations=iterations)
    assert cluster.tolist() == torch.cdist(h, centroids).argmin(1).tolist()


def test_centroids_are_the_means_of_their_rows() -> None:
    h = _features()
    cluster, centroids = k_means(h, 9, iterations=1000)
    for c in range(9):
        torch.testing.assert_close(centroids[c], h[cluster == c].mean(0))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    h = _features()
    whole = k_means(h, 12)
    monkeypatch.setattr(clusters, "CELLS", 100)
    small = k_means(h, 12)
    assert torch.equal(whole[0], small[0])
    torch.testing.assert_close(whole[1], small[1])


def test_the_seed_alone_decides() -> None:
    h, state = _features(), torch.get_rng_state()
    first, before = k_means(h, 12, seed=1), h.clone()
    torch.rand(1)
    again = k_means(h, 12, seed=1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], k_means(h, 12, seed=2)[0])
    assert torch.equal(h, before)
    torch.set_rng_state(state)
    k_means(h, 12)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_empty_cluster_goes_on_from_the_farthest_row() -> None:
    h = torch.tensor([[0.0]] * 20 + [[1.0], [100.0]])  # most starts hold several zeros, of which one keeps the rows
    cluster, _ = k_means(h, 3)
    assert len({int(cluster[0]), int(cluster[20]), int(cluster[21])}) == 3


def test_fewer_different_rows_than_clusters() -> None:
    h = torch.tensor([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5)
    cluster, centroids = k_means(h, 4)
    assert len(cluster.unique()) == 2
    assert bool(centroids.isfinite().all())


def test_features_at_unit_length_with_the_published_offset() -> None:
    h = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-5, 0.0]])
    expected = torch.tensor([[3 / 5.00001, 4 / 5.00001], [0.0, 0.0], [0.5, 0.0]])
    torch.testing.assert_close(unit_features(h), expected)


def test_principal_components_keep_what_varies_most() -> None:
    h = _features(200, 8)
    unit = unit_features(h).double()
    centred = unit - unit.mean(0)
    _, s, axes = torch.linalg.svd(centred, full_matrices=False)
    kept = unit_features(h, 3).double()
    assert kept.shape == (200, 3)
    torch.testing.assert_close(kept.T @ kept, (s[:3] ** 2).flip(0).diag(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(torch.cdist(kept, kept), torch.cdist(centred @ axes[:3].T, centred @ axes[:3].T))
    assert torch.equal(unit_features(h, 8), unit_features(h))


@pytest.mark.parametrize("k", [1, 11])
def test_a_number_of_clusters_that_does_not_fit(k: int) -> None:
    with pytest.raises(ConfigError) as caught:
        k_means(torch.zeros(10, 2), k)
    assert str(caught.value) == f"k-means of 10 rows makes 2 to 10 clusters, asked for {k}."


def test_features_that_are_not_finite() -> None:
    with pytest.raises(ShapeError) as caught:
        k_means(torch.tensor([[0.0], [float("nan")], [1.0]]), 2)
    assert str(caught.value) == (
        "k-means expects finite features, got NaN or infinity in 1 of 3 rows (1). "
        "The network that made them has diverged."
    )
