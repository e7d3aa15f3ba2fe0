"""Joint: RnC as a term of one end-to-end training, instead of a stage before it.

Source: Zha et al., NeurIPS 2023, arXiv 2210.01189, section 3 for the term, table 6 for this scheme, which it calls a
regularisation. It does not print the weight; 1 is our choice.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.methods import end_to_end
from isotone.methods.rnc import RnC
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class Joint:
    """Trains end to end with the RnC loss as a further term, which orders the representation while the head learns.

    `L = l(out, y) + rnc_weight * L_RnC(h, y)`, both over all views of the batch; h is what the head stands on.

    Args:
        head: predictor on the encoder, trained with it: l1, mse or huber.
        rnc_weight: of the RnC loss; 0 leaves the baseline with as many views.
        temperature: divides the similarity; 2 for l2, about 0.1 for cosine.
        similarity: of representations: l2 (minus the distance), cosine or dot.
        distance: of targets: l1 or l2, of which several are standardised first; circular:360 (or another period);
            angular (gaze: pitch and yaw in radians, or three numbers); auto goes by --geometry.
        views: augmented copies of each sample in a batch; 2 as in the method rnc.
    """

    head: Literal["l1", "mse", "huber"] = "l1"
    rnc_weight: float = 1.0
    temperature: float = 2.0
    similarity: Literal["l2", "cosine", "dot"] = "l2"
    distance: str = "auto"
    views: int = 2

    select: ClassVar[Literal["last", "val"]] = "val"
    scored: ClassVar[bool] = True
    default_lr = property(end_to_end.default_lr)
    needs: ClassVar[tuple[Need, ...]] = ("target",)
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        end_to_end.check_settings(self.head, self.views)
        check.between("rnc_weight", self.rnc_weight, 0, 1_000_000)
        _ = self._rnc  # checks what is its own

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with a linear head on top, and both outputs beside each other as the part `beside`."""
        return end_to_end.beside(self.head, encoder, facts)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        """Return None: nothing is remembered between steps."""
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the head's loss and the weighted RnC loss, over the rows of all processes."""
        del memory
        y = end_to_end.answers(batch)
        h, out = end_to_end.split(end_to_end.outputs(net, batch, "beside"), y.shape[1])
        plain = predictor(self.head).loss(out, y)
        ranked = gather(self._rnc.ranked(batch.tags)).repeat_interleave(batch.views.shape[0], 0)
        term = self._rnc.term(h, ranked)
        return LossOutput(plain + self.rnc_weight * term, {"error": plain.detach(), "rnc": term.detach()})

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Do nothing."""
        del net, memory, out

    def score(self, out: Float[Tensor, "n o"], tags: Tags) -> float:
        """Return the mean absolute error in standard deviations of the target."""
        return end_to_end.error(self.head, out, tags)

    @property
    def _rnc(self) -> RnC:
        return RnC(temperature=self.temperature, similarity=self.similarity, distance=self.distance, views=self.views)
