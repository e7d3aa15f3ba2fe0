"""NPID: every sample is a class of its own, and a memory bank holds the classes' rows; no labels.

Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
arXiv 1805.01978, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates import gather
from isotone.losses.bank import BankLoss, Form, form_for
from isotone.nets.heads import Projection
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags


@dataclass(frozen=True)
class NPID:
    """Tells every training row from all others, each remembered by one row of a memory bank; needs no labels.

    The proximal term of the paper's equation 9 is not here, nor in the authors' code: the bank's momentum does its
    work. Negatives never include the anchor's own row, which theirs can. On small sets nce with the first batch's
    constant can run away, for the rows of an untrained encoder are much alike: use auto, or z=running.

    Args:
        head: predictor on the frozen encoder: classify, l1, mse, huber, dex, dldl, or, corn, knn; auto takes what the
            labels ask for.
        form: full, a softmax over the whole bank; softmax, over the drawn negatives; nce, yes or no to each; pirl-nce,
            nce with each anchor's own constant. auto takes full up to 200,000 training rows, else nce as published.
        negatives: rows drawn from the bank in a step, by all forms but full; the paper's 4,096.
        z: constant of nce: first-batch, as published, or running, which follows the network.
        temperature: divides the cosine; the paper's 0.07 for ImageNet, 0.1 for CIFAR-10.
        bank_momentum: share of a bank row that a new embedding leaves of it, 0 to 1; the paper's 0.5.
        width: of the bank's rows; the paper's 128.
        projection: head that is trained in between and dropped: linear as in the paper, or mlp.
        views: augmented copies of each sample in a batch; the paper's 1.
    """

    head: Head = "auto"
    form: Literal["auto", "nce", "pirl-nce", "softmax", "full"] = "auto"
    negatives: int = 4096
    z: Literal["first-batch", "running"] = "first-batch"
    temperature: float = 0.07
    bank_momentum: float = 0.5
    width: int = 128
    projection: Literal["linear", "mlp"] = "linear"
    views: int = 1

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.06
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.choice("form", self.form, ("auto", "nce", "pirl-nce", "softmax", "full"))
        check.between("negatives", self.negatives, 1, 1_000_000)
        check.choice("z", self.z, ("first-batch", "running"))
        check.positive("temperature", self.temperature)
        check.between("bank_momentum", self.bank_momentum, 0, 1)
        check.between("width", self.width, 1, 65_536)
        check.between("views", self.views, 1, 16)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the projection `z`."""
        part = Projection(facts.width, self.width, self.projection, seed=facts.seed)
        return Network(encoder, parts={"z": part})

    def memory(self, net: nn.Module, facts: Facts) -> BankLoss:
        """Return the bank, random directions at first, with the loss against it and its constant Z."""
        del net
        form: Form = form_for(facts.instances) if self.form == "auto" else self.form
        return BankLoss(
            facts.instances,
            self.width,
            form=form,
            negatives=self.negatives,
            z=self.z,
            temperature=self.temperature,
            momentum=self.bank_momentum,
            seed=facts.seed,
        )

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the loss of all views in all processes against the bank as it is."""
        assert isinstance(memory, BankLoss), "NPID is trained with the memory that it made"
        v, b = batch.views.shape[:2]
        z = net(batch.views.flatten(0, 1), "z").unflatten(0, (v, b))  # (v, b, d)
        z = gather(z.transpose(0, 1)).flatten(0, 1)  # (all b * v, d), the same on any number of processes
        assert batch.tags.instance is not None, "the loop fills `instance`"
        index = gather(batch.tags.instance).repeat_interleave(v)
        carry = {"z": z.detach(), "index": index, "step": torch.tensor(batch.step)}
        return LossOutput(memory(z, index, step=batch.step), carry=carry)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Move the bank's rows of the step's samples towards their new embeddings."""
        del net
        assert isinstance(memory, BankLoss), "NPID is trained with the memory that it made"
        memory.update(out.carry["z"], out.carry["index"], step=int(out.carry["step"]))

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: a validation row has no row in the bank."""
        del out, tags
        return float("nan")
