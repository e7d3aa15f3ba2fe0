"""A memory bank: one remembered embedding for each training sample, and uniform draws of negatives from it.

As with the queue, every process keeps its own copy and hands the same rows to `update`, those of the global batch, so
the copies are the same to the bit.

Source: Wu, Xiong, Yu, Lin 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
arXiv 1805.01978, sections 3.1 and 3.2; Misra, van der Maaten 2020 (PIRL), arXiv 1912.01991, section 3.2.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.candidates.gather import same_on_all_processes
from isotone.errors import ConfigError, ShapeError
from isotone.randomness import generator, uniform
from isotone.records import Candidates, Tags


class Bank(nn.Module):
    """Rows of unit length, one for each sample, that follow the network by a moving average.

    Starts from random directions, uniform on the sphere (the authors' start, uniform in a cube, is only about of unit
    length). All that changes is in one buffer, saved with the network: 4 * size * width bytes, 656 MB for ImageNet.

    Args:
        size: samples, at least 2; sample i of the training set is row i.
        width: of an embedding. Both papers: 128.
        seed: of the first rows and of the draws.

    Raises:
        ConfigError: for a size below 2 or a width below 1.

    Example:
        >>> bank = Bank(4, width=2)
        >>> bank.update(torch.tensor([2]), torch.tensor([[0.0, 5.0]]), momentum=0.0)
        >>> bank.rows(torch.tensor([2])).tolist()
        [[0.0, 1.0]]
        >>> bank.draw(torch.tensor([2]), 3, step=0).shape
        torch.Size([1, 3])

    Source: arXiv 1805.01978, section 3.1, "Learning with a memory bank".
    """

    embeddings: Tensor

    def __init__(self, size: int, width: int, *, seed: int = 0) -> None:
        super().__init__()
        check.between("size", size, 2, float("inf"))
        check.positive("width", width)
        self.size, self.width, self.seed = size, width, seed
        first = torch.randn(size, width, generator=generator("bank rows", seed))
        self.register_buffer("embeddings", _unit(first, otherwise=torch.ones(size, width) / width**0.5))

    def candidates(self) -> Candidates:
        """Return the whole bank with `instance` tags 0 ... size - 1, for a softmax over all samples instead of draws.

        The anchor's own row is its positive. Views, not copies: use them before the next `update`.
        """
        instance = torch.arange(self.size, device=self.embeddings.device)
        return Candidates(self.embeddings, Tags(instance=instance))

    def rows(self, index: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape d"]:
        """Return a copy of the rows of the samples `index`, (n,) or (n, k), as (n, d) or (n, k, d).

        Raises:
            ShapeError: for an index below 0 or from `size` on.
        """
        self._check_index(index, "Bank.rows")
        return self.embeddings[index]

    def draw(self, index: Int[Tensor, " n"], k: int, *, step: int) -> Int[Tensor, "n k"]:
        """Return k samples for each anchor, uniform over all samples but its own, with replacement.

        `drawn = r + (r >= i)`, r uniform on 0 ... size - 2. A pure function of (seed, step, sample): the other rows of
        the batch, the process and a resume change nothing. Their rows are n * k * d numbers: for thousands of draws and
        large batches use `draw_shared`.

        Args:
            index: (n,) the anchors' samples.
            k: draws for each anchor, at least 1. NPID: 4,096.
            step: training steps done.

        Returns:
            (n, k) int64 on the device of `index`.

        Raises:
            ShapeError: for an index below 0 or from `size` on.
            ConfigError: for k below 1.
        """
        check.positive("k", k)
        self._check_index(index, "Bank.draw")
        own = index.cpu().numpy()
        r = _below(self.size - 1, uniform(own, k, "bank draw", self.seed, step))
        return torch.from_numpy(r + (r >= own[:, None])).to(index.device)

    def draw_shared(self, index: Int[Tensor, " n"], k: int, *, step: int) -> Int[Tensor, " k"]:
        """Return k samples for all anchors together, uniform over the samples that are not in the batch.

        One (k, d) set of rows instead of n of them. A pure function of (seed, step, samples of the batch).

        Args:
            index: (n,) the samples of the global batch, repeats allowed.
            k: draws, at least 1. PIRL: 32,000.
            step: training steps done.

        Returns:
            (k,) int64 on the device of `index`.

        Raises:
            ShapeError: for an index below 0 or from `size` on.
            ConfigError: for k below 1, and where the batch holds every sample.
        """
        check.positive("k", k)
        self._check_index(index, "Bank.draw_shared")
        own = np.unique(index.cpu().numpy())
        if len(own) == self.size:
            raise ConfigError(f"the batch holds all {self.size} samples of the bank: nothing to draw. Use `draw`.")
        r = _below(self.size - len(own), uniform(np.zeros(1, np.int64), k, "bank draw shared", self.seed, step)[0])
        passed = np.searchsorted(own - np.arange(len(own)), r, side="right")  # samples of the batch at or below
        return torch.from_numpy(r + passed).to(index.device)

    @torch.no_grad()
    def update(self, index: Int[Tensor, " n"], z: Float[Tensor, "n d"], *, momentum: float = 0.5) -> None:
        """Move the rows of a step's samples towards their new embeddings, after the step.

        `m <- normalise(momentum * m + (1 - momentum) * v)`, v the mean of the normalised embeddings that the batch
        holds of the sample. `momentum` multiplies the old row, as in the papers; some code has it the other way round.
        Where the sum is 0 (opposite directions at 0.5, or an embedding of zeros at 0) the old row stays. Every process
        calls it with the rows of the global batch, in one order: what `gather` returned for the loss.

        Args:
            index: (n,) samples, repeats allowed.
            z: (n, d) embeddings of any length, copied without their graph.
            momentum: 0 to 1. NPID and PIRL: 0.5.

        Raises:
            ShapeError: for other shapes, NaN or infinity, an index below 0 or from `size` on, and on every process
                where the processes hand in different rows.
            ConfigError: for a momentum outside 0 to 1.
        """
        check.between("momentum", momentum, 0.0, 1.0)
        same_on_all_processes("Bank.update", z, index)
        self._check_index(index, "Bank.update")
        if index.dim() != 1 or z.shape != (len(index), self.width) or not z.is_floating_point():
            raise ShapeError(
                f"Bank.update expects index (n,) and float embeddings (n, {self.width}), got {tuple(index.shape)} and "
                f"{tuple(z.shape)} {z.dtype}. Flatten the views and repeat the index for each."
            )
        check.finite(z, "Bank.update", "embeddings", "Look at the loss before: the network has diverged.")
        wide = z.to(check.wide_dtype(z.device))
        which, v = _mean_by_index(index.long(), _unit(wide, otherwise=torch.zeros_like(wide)))
        old = self.embeddings[which].to(wide.dtype)
        new = _unit(momentum * old + (1 - momentum) * v, otherwise=old)
        self.embeddings.index_copy_(0, which, new.to(self.embeddings.dtype))

    def _check_index(self, index: Tensor, owner: str) -> None:
        if index.is_floating_point() or index.dtype == torch.bool:
            raise ShapeError(f"{owner} expects integer sample numbers, got {index.dtype}. Use tags.instance.")
        outside = (index < 0) | (index >= self.size)
        if bool(outside.any()):
            worst = index[outside].flatten()[0].item()
            raise ShapeError(
                f"{owner} expects samples 0 to {self.size - 1}, got {worst}. Number the training samples from 0, "
                "or build the bank with their number."
            )


# ----------------------------------------------------------------------------------------------------------------------


def _below(n: int, u: np.ndarray) -> np.ndarray:
    """Return integers uniform on 0 ... n - 1 from numbers uniform in [0, 1)."""
    return (u * n).astype(np.int64)


def _unit(x: Tensor, otherwise: Tensor) -> Tensor:
    """Return the rows at unit length, and the row of `otherwise` where a row's length is 0."""
    largest = x.abs().amax(1, keepdim=True)
    x = x / torch.where(largest > 0, largest, 1.0)  # squares of the rest neither overflow nor vanish
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length > 0, x / torch.where(length > 0, length, 1.0), otherwise)


def _mean_by_index(index: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct indices and the mean of the rows of each, added in the batch's order, without a race.

    `index_add` adds in any order on a GPU, so that the processes' copies would drift apart in the last bit.
    """
    ordered, order = index.sort(stable=True)
    which, run, count = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    first = count.cumsum(0) - count
    nth = torch.arange(len(index), device=index.device) - first[run]  # 0 for a sample's first row of the batch, ...
    total = x.new_zeros(len(which), x.shape[1])
    for turn in range(int(nth.amax()) + 1 if len(index) else 0):
        now = nth == turn
        total[run[now]] += x[order[now]]
    return which, total / count[:, None]
