"""Rank-N-Contrast, stage 1: an encoder whose distances follow the order of the targets. No projection head.

Stage 2, a linear predictor on the frozen encoder, is the same for every method that trains an encoder alone: see
`isotone.predict.linear`.

Source: Zha et al., NeurIPS 2023, arXiv 2210.01189, section 3; settings of its AgeDB experiment.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import Queue, gather
from isotone.losses.rnc import rnc_floor, unchecked_rnc
from isotone.nets.network import Network
from isotone.predict import NumberHead
from isotone.records import Batch, Candidates, Facts, Kind, LossOutput, Need, Tags
from isotone.relations.geometry import directions
from isotone.relations.target import target_distance

SCORED_ROWS = 1024  # the validation score is quadratic in the rows


@dataclass(frozen=True)
class RnC:
    """Orders the representation by the target, then fits a linear head on the frozen encoder (two stages).

    Args:
        head: predictor on the frozen encoder: l1, mse, huber, dex, dldl, or, corn, knn.
        temperature: divides the similarity; the paper's 2 for l2, about 0.1 for cosine.
        similarity: of embeddings: l2 (minus the distance, the paper's), cosine or dot.
        distance: of targets: l1 (the paper's) or l2, of which several are standardised first; circular:360 (or another
            period); angular (gaze: pitch and yaw in radians, or three numbers); auto goes by --geometry.
        views: augmented copies of each sample in a batch; the paper's 2.
        queue: past embeddings that each sample is compared with besides the batch, for batches that have to be small;
            a few batches' worth, since they were made by an older encoder. The paper has none.
        positives: share of the other views in a batch that are positives, nearest in target first; 1 is the paper's.
    """

    head: NumberHead = "l1"
    temperature: float = 2.0
    similarity: Literal["l2", "cosine", "dot"] = "l2"
    distance: str = "auto"
    views: int = 2
    queue: int = 0
    positives: float = 1.0

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = True
    default_lr: ClassVar[float] = 0.5
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.between("views", self.views, 1, 16)
        check.between("queue", self.queue, 0, 1_000_000)
        target_distance(self._distance)
        check.between("positives", self.positives, 0.001, 1)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder alone: the loss acts on the representation itself."""
        del facts
        return Network(encoder)

    def memory(self, net: nn.Module, facts: Facts) -> Queue | None:
        """Return the queue, empty, where there is one."""
        del net
        k = {"angular": 3, "circular": max(1, facts.k // 2)}.get(self._distance.partition(":")[0], facts.k)
        return Queue(self.queue, facts.width, target=k) if self.queue else None

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the RnC loss of all views in all processes."""
        v, b = batch.views.shape[:2]
        h = net(batch.views.flatten(0, 1)).unflatten(0, (v, b))  # (v, b, d)
        # (v * all b, d), the same on any number of processes
        h = gather(h.transpose(0, 1)).transpose(0, 1).flatten(0, 1)
        y = gather(self.ranked(batch.tags)).repeat(v, 1)
        others = memory.candidates() if isinstance(memory, Queue) and memory.filled else None
        return LossOutput(self.term(h, y, others, self.positives), carry={"h": h.detach(), "y": y})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Put the step's embeddings into the queue."""
        del net
        if isinstance(memory, Queue):
            memory.update(out.carry["h"], Tags(target=out.carry["y"]))

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return how far the loss of clean validation rows is above the floor that their ties set."""
        h, y = out[:SCORED_ROWS], self.ranked(tags)[:SCORED_ROWS]
        return float(self.term(h, y) - rnc_floor(y, distance=self._distance))

    def term(
        self,
        h: Float[Tensor, "n d"],
        y: Float[Tensor, "n k"],
        others: Candidates | None = None,
        positives: float = 1.0,
    ) -> Float[Tensor, ""]:
        """Return the loss of representations h (n, d) whose targets, as `ranked` returns them, are y (n, k).

        Args:
            h: (n, d) rows of all views and processes.
            y: (n, k) float64.
            others: further candidates, such as the queue's.
            positives: share of the other rows that are positives, nearest in target first.
        """
        settings = {"temperature": self.temperature, "similarity": self.similarity, "distance": self._distance}
        nearest = None if positives == 1 else max(1, round(positives * (len(h) - 1)))
        return unchecked_rnc(h, y, others=others, positives=nearest, **settings).total  # pyright: ignore[reportArgumentType]

    def ranked(self, tags: Tags) -> Float[Tensor, "n k"]:
        """Return what is ranked: one target as it is, since scaling would round ties apart; several in standard units.

        On a circle, and of directions, the user's units count.
        """
        assert tags.target is not None, "the loop fills both for a regression data set"
        assert tags.scaled is not None, "the loop fills both for a regression data set"
        if self._distance == "angular":
            return directions(tags.target)
        plain = tags.target.shape[1] == 1 or self._distance.startswith("circular")
        return tags.target if plain else tags.scaled

    @property
    def _distance(self) -> str:
        """The target distance; `auto` was settled by the data's geometry before a run, and is l1 anywhere else."""
        return "l1" if self.distance == "auto" else self.distance
