"""SimCLR: two random views of a sample find each other among all other views in the batch; no labels.

Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML
2020, arXiv 2002.05709, section 2; temperature of its CIFAR-10 experiment (appendix B.9).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.losses.info_nce import info_nce
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class SimCLR:
    """Lets random views of a sample find each other in the batch; needs no labels and strong augmentations.

    All that is learned is what the augmentations leave unchanged: with `mild` ones there is little to learn. Large
    batches help, since the batch is all there is to be told from. With batch norm the statistics of a small batch can
    give away which rows belong together: use --norm group there, and on several processes.

    Args:
        head: predictor on the frozen encoder: classify, l1, mse, huber, dex, dldl, or, corn, knn; auto takes what the
            labels ask for.
        temperature: divides the cosine; the paper's 0.5 for CIFAR-10, 0.1 for ImageNet.
        width: of what is compared; the paper's 128.
        projection: head that is trained in between and dropped: mlp as in the paper, or linear.
        views: augmented copies of each sample in a batch; the paper's 2.
    """

    head: Head = "auto"
    temperature: float = 0.5
    width: int = 128
    projection: Literal["mlp", "linear"] = "mlp"
    views: int = 2

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.12
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.between("width", self.width, 1, 65_536)
        check.between("views", self.views, 2, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the projection `z`."""
        part = Projection(facts.width, self.width, self.projection, seed=facts.seed)
        return Network(encoder, parts={"z": part})

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the NT-Xent loss of all views in all processes."""
        del memory
        v, b = batch.views.shape[:2]
        z = net(batch.views.flatten(0, 1), "z").unflatten(0, (v, b))  # (v, b, d)
        z = gather(z.transpose(0, 1))  # (all b, v, d), the same on any number of processes
        return LossOutput(info_nce(z, temperature=self.temperature))

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: the loss of clean rows, which have a single view, says nothing of the representation."""
        del out, tags
        return float("nan")
