"""ClusterFit as a method: k-means of the teacher's features, then plain cross-entropy on the clusters."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from isotone.data.clusters import k_means, unit_features
from isotone.errors import ConfigError
from isotone.methods.clusterfit import ClusterFit, Clusters
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Tags, Teacher

ROWS = 40
CENTRES = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
X = CENTRES[np.arange(ROWS) % 4] + 0.1 * np.random.default_rng(1).normal(size=(ROWS, 5)).astype(np.float32)
FACTS = Facts(width=8, kind="rows", shape=(5,), instances=ROWS, teacher=Teacher(h=X))


def _batch(views: int = 1) -> Batch:
    rows = torch.tensor([7, 3, 0, 12, 22, 39, 5, 18, 1, 30])
    noise = torch.randn(views, 10, 5, generator=torch.Generator().manual_seed(0))
    return Batch(torch.from_numpy(X)[rows] + 0.1 * noise, Tags(rows))


def _made(method: ClusterFit, facts: Facts = FACTS) -> tuple[Network, Clusters]:
    torch.manual_seed(0)
    net = method.build(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8)), facts)
    return net, method.memory(net, facts)


@pytest.mark.parametrize("views", [1, 2])
def test_the_loss_is_the_cross_entropy_of_the_clusters(views: int) -> None:
    method, batch = ClusterFit(clusters=4, views=views), _batch(views)
    net, memory = _made(method)
    out = method.loss(net, batch, memory)
    terms, right = [], []
    for view in batch.views:
        for x, row in zip(view, batch.tags.instance, strict=True):  # type: ignore[arg-type]
            logits = net.parts["clusters"].layers[0](net.encoder(x))  # type: ignore[union-attr, index, operator]
            c = int(memory.cluster[row])
            terms.append(logits.logsumexp(0) - logits[c])
            right.append(float(int(logits.argmax()) == c))
    torch.testing.assert_close(out.total, torch.stack(terms).mean())
    assert float(out.parts["accuracy"]) == pytest.approx(sum(right) / len(right))


def test_the_clusters_are_those_of_the_teachers_unit_features() -> None:
    _, memory = _made(ClusterFit(clusters=4, pca=3))
    assert torch.equal(memory.cluster, k_means(unit_features(torch.from_numpy(X), 3), 4, seed=0)[0])
    _, memory = _made(ClusterFit(clusters=4), Facts(**{**vars(FACTS), "seed": 3}))
    assert torch.equal(memory.cluster, k_means(unit_features(torch.from_numpy(X)), 4, seed=3)[0])


def test_a_checkpoint_holds_the_clusters() -> None:
    method = ClusterFit(clusters=4)
    _, first = _made(method)
    _, other = _made(method, Facts(**{**vars(FACTS), "seed": 1}))
    assert not torch.equal(first.cluster, other.cluster)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.cluster, other.cluster)


@pytest.mark.parametrize(("instances", "clusters"), [(9, 2), (40, 4), (159_999, 15_999), (1_281_167, 16_000)])
def test_how_many_clusters_there_are_by_itself(instances: int, clusters: int) -> None:
    facts = Facts(width=2, kind="rows", shape=(5,), instances=instances, teacher=Teacher(h=X))
    layer = ClusterFit().build(nn.Linear(5, 2), facts).parts["clusters"].layers[0]  # type: ignore[union-attr, index]
    assert layer.out_features == clusters  # type: ignore[union-attr]


def test_there_is_no_score() -> None:
    assert math.isnan(ClusterFit().score(torch.zeros(3, 2), Tags()))


def test_without_a_teacher() -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterFit().build(nn.Linear(5, 8), Facts(width=8, instances=ROWS))
    assert str(caught.value) == ("ClusterFit clusters the features of a trained run. Name its folder with --teacher.")


@pytest.mark.parametrize("clusters", [1, 41])
def test_a_number_of_clusters_that_does_not_fit(clusters: int) -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterFit(clusters=clusters).build(nn.Linear(5, 8), FACTS)
    assert str(caught.value) == (
        f"ClusterFit tells 2 or more clusters of the 40 training rows, got clusters={clusters}. "
        "Use at most one for each row, or 0 for one in 10 rows."
    )


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterFit(clusters=-1)
    assert str(caught.value) == "`clusters` must be between 0 and 1,000,000, got -1."
