"""ClusterFit: k-means of a trained run's features, and a fresh encoder that learns to tell the clusters.

Source: Yan, Misra, Gupta, Ghadiyaram, Mahajan, "ClusterFit: Improving Generalization of Visual Representations", CVPR
2020, arXiv 1912.03330.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from isotone import check
from isotone.candidates import gather
from isotone.data.clusters import k_means, unit_features
from isotone.errors import ConfigError
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags, Teacher

MOST, ROWS_EACH = 16_000, 10


@dataclass(frozen=True)
class ClusterFit:
    """Trains a fresh encoder to tell the clusters of a trained run's features: drops what that run overfitted.

    `L = mean -log p(c_i | x_i)`, c = k-means of the teacher's representations of the training rows, at unit length.

    The clusters keep what many rows share and lose what was fitted to single rows or to wrong labels. The encoder
    starts from random weights, whatever the teacher's are. It has had as much training as the teacher again, so
    the fair comparison is the teacher's own method for twice the --passes: the paper's Jigsaw loses from that (46.0 to
    45.1 on ImageNet) and gains from ClusterFit (55.2). Always run that control beside it.

    Args:
        teacher: folder of the run whose features are clustered; any method, trained on the same table and split.
        clusters: how many; the paper's 16,000 are for a million images. 0 takes a tenth of the training rows, from 2 up
            to 16,000.
        pca: principal components of the features that are clustered; 0 leaves them all.
        views: augmented copies of each sample in a batch.
        head: predictor on the frozen encoder: auto, l1, mse, huber, dex, dldl, or, corn, knn or classify.
    """

    teacher: str = ""
    clusters: int = 0
    pca: int = 0
    views: int = 1
    head: Head = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ("teacher",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.between("clusters", self.clusters, 0, 1_000_000)
        check.between("pca", self.pca, 0, 65_536)
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear layer to the clusters as its part `clusters`.

        Raises:
            ConfigError: without a teacher, and for one cluster or more clusters than training rows.
        """
        _teacher(facts)
        part = Projection(facts.width, self._count(facts), "linear", seed=facts.seed)
        return Network(encoder, parts={"clusters": part})

    def memory(self, net: nn.Module, facts: Facts) -> "Clusters":
        """Return each training row's cluster, which depends on the features and the run's seed alone."""
        del net
        h = unit_features(torch.tensor(_teacher(facts).h), self.pca)
        return Clusters(k_means(h, self._count(facts), seed=facts.seed)[0])

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the cross-entropy of the clusters over all views in all processes, and how many were told right."""
        assert isinstance(memory, Clusters), "the loop hands in what `memory` returned"
        assert batch.tags.instance is not None, "the loop fills `instance`"
        v = batch.views.shape[0]
        logits = net(batch.views.flatten(0, 1), "clusters")
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        cluster = memory.cluster[batch.tags.instance].repeat(v)
        # each row has a term of its own: the terms are gathered, not the logits of thousands of clusters
        total = gather(functional.cross_entropy(logits, cluster, reduction="none")).mean()
        right = gather((logits.detach().argmax(1) == cluster).float()).mean()
        return LossOutput(total, {"accuracy": right})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing: the clusters stay."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: validation rows have no cluster."""
        del out, tags
        return float("nan")

    def _count(self, facts: Facts) -> int:
        count = self.clusters or max(2, min(MOST, facts.instances // ROWS_EACH))
        if not 2 <= count <= facts.instances:
            raise ConfigError(
                f"ClusterFit tells 2 or more clusters of the {facts.instances} training rows, got clusters={count}. "
                f"Use at most one for each row, or 0 for one in {ROWS_EACH} rows."
            )
        return count


class Clusters(nn.Module):
    """Each training row's cluster, in a buffer, so that checkpoints hold it.

    Args:
        cluster: (n,) int64.

    Example:
        >>> list(Clusters(torch.tensor([0, 1, 0])).state_dict())
        ['cluster']
    """

    cluster: Tensor

    def __init__(self, cluster: Tensor) -> None:
        super().__init__()
        self.register_buffer("cluster", cluster)


# ----------------------------------------------------------------------------------------------------------------------


def _teacher(facts: Facts) -> Teacher:
    if facts.teacher is None:
        raise ConfigError("ClusterFit clusters the features of a trained run. Name its folder with --teacher.")
    return facts.teacher
