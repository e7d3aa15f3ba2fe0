"""Instance discrimination against a memory bank: which of N remembered samples is this? NPID's loss and PIRL's.

The bank holds one row for each training sample. Four ways to ask: yes or no to the own row and to K drawn rows (`nce`,
or `pirl-nce`, where each anchor has its own Z), the own row among K drawn ones (`softmax`), or among all N (`full`).
No negative is the anchor's own row, which public code does not always exclude.

Source: Wu, Xiong, Yu, Lin 2018 (NPID), arXiv 1805.01978, section 3; Misra, van der Maaten 2020 (PIRL),
arXiv 1912.01991, equations 4 and 5.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.candidates import Bank
from isotone.core.kernels.lse_rows import log_sum_exp_rows
from isotone.core.similarity import unit
from isotone.errors import ConfigError
from isotone.losses.info_nce import info_nce
from isotone.losses.nce import NCELoss, pirl_nce

Form = Literal["nce", "pirl-nce", "softmax", "full"]
Level = Literal["first-batch", "running"]
FULL = 200_000  # rows up to which one product with the whole bank is cheaper than fetching thousands of draws


def form_for(instances: int) -> Form:
    """Return `full` up to 200,000 training rows, `nce` above.

    At 256 anchors and width 128 the full softmax is one product with at most 102 MB of rows, and nothing is estimated.

    Example:
        >>> form_for(50_000), form_for(1_281_167)
        ('full', 'nce')
    """
    return "full" if instances <= FULL else "nce"


class BankLoss(nn.Module):
    """The bank, the loss of embeddings against it, and its update after the step: what NPID and PIRL remember.

    `full`: `L = mean_i -log( exp s_ii / sum over all samples j of exp s_ij )`, `s = cosine / temperature` with row j;
    `softmax`: the sum is over the own row and K draws; `nce`, `pirl-nce`: see `isotone.losses.nce`.

    The draws are shared by all anchors of the global batch, one (K, d) set of rows instead of n of them, uniform over
    the samples that are not in the batch; a pure function of (seed, step, samples of the batch).

    Args:
        instances: training rows, N; at least 2.
        width: of an embedding.
        form: `nce`, `pirl-nce`, `softmax` or `full`.
        negatives: K, draws with replacement; unused by `full`. NPID: 4,096; PIRL: 32,000.
        z: of `nce`: `first-batch` as published, or `running`; see `isotone.losses.nce.NCELoss`.
        temperature: above 0; both papers' 0.07.
        momentum: of the bank's rows, weighs the OLD row; 0 to 1. Both papers: 0.5.
        seed: of the first rows and of the draws.

    Raises:
        ConfigError: for numbers out of range and unknown names, when it is made.

    Example:
        >>> memory = BankLoss(6, width=4, form="full", temperature=0.1)
        >>> z, index = torch.randn(3, 4), torch.tensor([5, 0, 2])
        >>> before = memory(z, index, step=0)
        >>> memory.update(z, index, step=0)  # after the step
        >>> bool(memory(z, index, step=1) < before)
        True

    Source: arXiv 1805.01978, equations 2-8; arXiv 1912.01991, section 3.2.
    """

    def __init__(
        self,
        instances: int,
        width: int,
        *,
        form: Form = "full",
        negatives: int = 4096,
        z: Level = "first-batch",
        temperature: float = 0.07,
        momentum: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check.choice("form", form, ("nce", "pirl-nce", "softmax", "full"))
        check.positive("negatives", negatives)
        check.positive("temperature", temperature)
        check.between("momentum", momentum, 0.0, 1.0)
        self.form, self.negatives, self.temperature, self.momentum = form, negatives, temperature, momentum
        self.bank = Bank(instances, width, seed=seed)
        self.nce = NCELoss(instances, z, temperature) if form == "nce" else None

    def forward(self, embeddings: Float[Tensor, "n d"], index: Int[Tensor, " n"], *, step: int) -> Float[Tensor, ""]:
        """Return the loss of the anchors; the gradient reaches them alone, nothing is changed.

        Args:
            embeddings: (n, d) of the global batch, any length; a row of zeros has cosine 0 with everything.
            index: (n,) the anchors' samples, repeats allowed.
            step: training steps done; keys the draws.

        Returns:
            A scalar in float32 or wider.

        Raises:
            ShapeError: for other shapes, NaN or infinity, an index below 0 or from `instances` on.
            ConfigError: where negatives are drawn and the batch holds every sample.
        """
        own = self.bank.rows(index)  # (n, d)
        if self.form == "full":
            return self._full(embeddings, own, index)
        noise = self._noise(index, step)
        if self.form == "softmax":
            return info_nce(embeddings, own, temperature=self.temperature, negatives=noise, in_batch=False)
        if self.nce is None:
            return pirl_nce(embeddings, own, noise, temperature=self.temperature)
        return self.nce(embeddings, own, noise)

    @torch.no_grad()
    def update(self, embeddings: Float[Tensor, "n d"], index: Int[Tensor, " n"], *, step: int) -> None:
        """Take a step's embeddings into Z, then into the bank, after the step.

        Args:
            embeddings: and `index`: of the global batch, the same on every process.
            step: what `forward` was given, so that Z is estimated from the same draws.
        """
        if self.nce is not None and (self.nce.z is None or self.nce.kind == "running"):
            self.nce.update(embeddings, self.bank.rows(index), self._noise(index, step))
        self.bank.update(index, embeddings, momentum=self.momentum)

    def _full(self, embeddings: Tensor, own: Tensor, index: Tensor) -> Tensor:
        x = unit(check.embeddings(embeddings, "the full softmax"), 1 / self.temperature)
        near = (x * own.to(x)).sum(1, keepdim=True)  # (n, 1); the one logit for both its roles
        weight = x.new_full((len(x),), 1 / len(x))
        total = log_sum_exp_rows(x, self.bank.embeddings.to(x), weight, own=index, more=near)
        return (total - near.mean(dtype=total.dtype)).to(x.dtype)

    def _noise(self, index: Tensor, step: int) -> Float[Tensor, "k d"]:
        if self.form != "full" and len(index.unique()) == self.bank.size:
            raise ConfigError(
                f"`{self.form}` draws negatives from the samples outside the batch, but the batch holds all "
                f"{self.bank.size} training rows. Use --form full, or a smaller --batch-size."
            )
        return self.bank.rows(self.bank.draw_shared(index, self.negatives, step=step))
