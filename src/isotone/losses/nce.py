"""Instance discrimination by binary NCE: is this row the anchor's, or one drawn at random? NPID's form and PIRL's.

Both put one yes-or-no question to the positive and to each of K noise rows; a bank (`isotone.candidates.Bank`) holds
the rows and draws them. They differ in the constant: one Z for the whole data set, or each anchor's own.

Source: Wu, Xiong, Yu, Lin 2018 (NPID), arXiv 1805.01978, section 3.2; Misra, van der Maaten 2020 (PIRL),
arXiv 1912.01991, equations 4 and 5.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates.gather import gather
from isotone.core.nce import noise_contrast
from isotone.errors import ShapeError

Anchors = Float[Tensor, "n d"] | Float[Tensor, "b v d"]
Noise = Float[Tensor, "b k d"] | Float[Tensor, "k d"]


def nce(
    embeddings: Anchors,
    positive: Float[Tensor, "b d"],
    noise: Noise,
    *,
    instances: int,
    z: float | None = None,
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """Tell each anchor's row from K rows drawn uniformly from N instances, the normaliser Z being given.

    `L = mean_i -ln[P_i / (P_i + K/N)] - sum_k ln[(K/N) / (P_k + K/N)]`, `P = exp(s) / Z`, `s = cosine / temperature`.

    Computed as `ln sigmoid` of `s - ln Z - ln(K/N)`, so finite at every scale; in float32, or float64 if given. A row
    of zeros has cosine 0 with everything. The loss is a sum over K + 1 questions: it grows with K.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples; float, any length.
        positive: (b, d) what each anchor is, shared by its views: a bank's rows, or the other view.
        noise: (b, k, d) draws for each sample, or (k, d) shared by all; k at least 1. NPID: 4,096.
        instances: N, over which the noise is drawn uniformly.
        z: Z above 0. None takes the first batch's estimate of this batch, `N * mean exp(s)` over positives and noise,
            without a gradient; N then cancels out.
        temperature: above 0; both papers' 0.07.

    Returns:
        A scalar in the type of the embeddings (at least float32).

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, no noise, NaN or infinity.
        ConfigError: for instances, z or a temperature not above 0.

    Example:
        >>> rows = torch.eye(4)
        >>> alike = torch.ones(4, 4)  # cosine 1/2 with every row, so every P is 1/N
        >>> round(nce(alike, rows, rows[:1], instances=4, z=4 * math.exp(0.5), temperature=1.0).item(), 6)  # 2 ln 2
        1.386294

    Source: arXiv 1805.01978, equations 5-8 (noise-contrastive estimation; without the proximal term of equation 9).
    """
    check.positive("instances", instances)
    if z is not None:
        check.positive("z", z)
    near, far = _scores(embeddings, positive, noise, temperature, "NCE")
    level = near.new_tensor(math.log(z) - math.log(instances)) if z is not None else _level(near, far)
    return noise_contrast(near, far, level + math.log(far.shape[1]))


def pirl_nce(
    embeddings: Anchors, positive: Float[Tensor, "b d"], noise: Noise, *, temperature: float = 0.07
) -> Float[Tensor, ""]:
    """Tell each anchor's row from K noise rows, each compared with the anchor's own noise: no constant to estimate.

    `L = mean_i -ln h(positive) - sum_k ln(1 - h(k))`, `h(x) = exp(s_x) / (exp(s_x) + sum over noise k of exp(s_k))`.

    This is `nce` with each anchor's own `Z_i = N * mean_k exp(s_ik)`, differentiated through. For a noise row the sum
    holds the row itself, so it counts twice, as in the paper, whose h(k) we read as seen from the same anchor.

    Args:
        embeddings: (n, d) or (b, v, d), `positive`: (b, d), `noise`: (b, k, d) or (k, d), as in `nce`. PIRL: k 32,000.
        temperature: above 0; the paper's 0.07.

    Returns:
        A scalar in the type of the embeddings (at least float32).

    Raises:
        ShapeError: for other shapes or types, fewer than two rows, no noise, NaN or infinity.
        ConfigError: for a temperature not above 0.

    Example:
        >>> rows = torch.eye(4)
        >>> round(pirl_nce(torch.ones(4, 4), rows, rows[:1]).item(), 6)  # 2 ln 2
        1.386294

    Source: arXiv 1912.01991, equations 4 and 5.
    """
    near, far = _scores(embeddings, positive, noise, temperature, "PIRL's NCE")
    return noise_contrast(near, far, far.logsumexp(1))


class NCELoss(nn.Module):
    """`nce` as a module that knows its Z: a constant, the first batch's (as published), or a running mean.

    Z changes only in `update`, called after the step; it is a buffer, saved with the network. Until the first `update`
    the loss uses the estimate of the batch at hand and keeps nothing.

    Args:
        instances: N, see `nce`.
        z: a number above 0; `first-batch`: the estimate of the first batch, kept for ever, NPID's; `running`: the
            moving average of all batches', which follows the network.
        temperature: see `nce`.
        momentum: of the running mean, `Z <- momentum * Z + (1 - momentum) * estimate`; 0 to 1.

    Raises:
        ConfigError: for numbers out of range and unknown names, when it is made.

    Example:
        >>> loss, rows = NCELoss(instances=50_000), torch.randn(3, 8, 16)
        >>> value = loss(rows[0], rows[1], rows[2])
        >>> loss.update(rows[0], rows[1], rows[2])  # after the step
        >>> bool(torch.isclose(loss(rows[0], rows[1], rows[2]), value))
        True
    """

    log_level: Tensor
    updates: Tensor

    def __init__(
        self,
        instances: int,
        z: float | Literal["first-batch", "running"] = "first-batch",
        temperature: float = 0.07,
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        check.positive("instances", instances)
        check.positive("temperature", temperature)
        check.between("momentum", momentum, 0.0, 1.0)
        if isinstance(z, str):
            check.choice("z", z, ("first-batch", "running"))
        else:
            check.positive("z", z)
        self.instances, self.kind, self.temperature, self.momentum = instances, z, temperature, momentum
        self.register_buffer("log_level", torch.zeros(()))  # ln(Z / N): near 0, so float32 holds it well
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def z(self) -> float | None:
        """Z as it stands; None before the first update."""
        if not isinstance(self.kind, str):
            return self.kind
        return self.instances * math.exp(float(self.log_level)) if bool(self.updates) else None

    def forward(self, embeddings: Anchors, positive: Float[Tensor, "b d"], noise: Noise) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d), `positive` (b, d), `noise` (b, k, d) or (k, d)."""
        if not isinstance(self.kind, str):
            return nce(embeddings, positive, noise, instances=self.instances, z=self.kind, temperature=self.temperature)
        near, far = _scores(embeddings, positive, noise, self.temperature, "NCE")
        level = torch.where(self.updates > 0, self.log_level.to(near.dtype), _level(near, far))
        return noise_contrast(near, far, level + math.log(far.shape[1]))

    @torch.no_grad()
    def update(self, embeddings: Anchors, positive: Float[Tensor, "b d"], noise: Noise) -> None:
        """Take a step's batch into Z, after the step; nothing happens to a constant, or to a first batch's once set.

        The processes' batches count as one: each may hand in its own rows, or all of them the rows of all. Every
        process must call it.

        Args:
            embeddings: and `positive`, `noise`: what the loss was computed of.
        """
        known = bool(self.updates)
        if not isinstance(self.kind, str) or (self.kind == "first-batch" and known):
            return
        near, far = _scores(embeddings, positive, noise, self.temperature, "NCE")
        wide = check.wide_dtype(near.device)
        count = near.numel() + far.numel()
        mine = torch.stack([_level(near.to(wide), far.to(wide)), near.new_tensor(math.log(count), dtype=wide)])  # (2,)
        everyone = gather(mine[None])  # (processes, 2): log of the mean, log of the number of terms
        level = everyone.sum(1).logsumexp(0) - everyone[:, 1].logsumexp(0)
        if known:
            old = self.log_level.to(wide) + _log(self.momentum)
            level = torch.logaddexp(old, level + _log(1 - self.momentum))
        self.log_level.copy_(level)
        self.updates += 1


class PIRLNCELoss(nn.Module):
    """`pirl_nce` as a module for anyone's own training loop.

    Args:
        temperature: see `pirl_nce`.

    Raises:
        ConfigError: for a temperature not above 0, when it is made.

    Example:
        >>> PIRLNCELoss()(torch.randn(8, 16), torch.randn(8, 16), torch.randn(32, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        check.positive("temperature", temperature)
        self.temperature = temperature

    def forward(self, embeddings: Anchors, positive: Float[Tensor, "b d"], noise: Noise) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d), `positive` (b, d), `noise` (b, k, d) or (k, d)."""
        return pirl_nce(embeddings, positive, noise, temperature=self.temperature)


# ----------------------------------------------------------------------------------------------------------------------


def _scores(z: Tensor, positive: Tensor, noise: Tensor, temperature: float, owner: str) -> tuple[Tensor, Tensor]:
    """Return cosine / temperature of each anchor with its positive (n,) and with its noise (n, k)."""
    check.positive("temperature", temperature)
    rows = check.embeddings(z, owner)
    b, d = z.shape[0], rows.shape[1]
    _check_rows(positive, noise, b, d, owner)
    kind, wide = torch.promote_types(rows.dtype, torch.float32), check.wide_dtype(rows.device)
    rows, positive, noise = rows.to(wide), positive.to(wide), noise.to(kind)  # noise may be half a gigabyte
    anchor = rows / _length(rows, owner, "embeddings")  # (n, d)
    near = (anchor.unflatten(0, (-1, b)) * (positive / _length(positive, owner, "positives"))).sum(2)  # (v, b)
    anchor = anchor.to(kind).unflatten(0, (-1, b))  # (v, b, d)
    with torch.autocast(rows.device.type, enabled=False):
        # (v, b, d) @ (d, k), or (b, k, d) @ (b, d, v)
        dots = anchor @ noise.T if noise.dim() == 2 else (noise @ anchor.permute(1, 2, 0)).permute(2, 0, 1)
    far = dots / _length(noise, owner, "noise").squeeze(-1)  # (v, b, k)
    return near.flatten().to(kind) / temperature, far.flatten(0, 1) / temperature


def _check_rows(positive: Tensor, noise: Tensor, b: int, d: int, owner: str) -> None:
    if positive.shape != (b, d) or not positive.is_floating_point():
        raise ShapeError(
            f"{owner} expects a float positive ({b}, {d}) for each sample, got {tuple(positive.shape)} "
            f"{positive.dtype}. Views of one sample share it."
        )
    k = noise.shape[-2] if noise.dim() > 1 else 0
    if not k or tuple(noise.shape) not in ((b, k, d), (k, d)) or not noise.is_floating_point():
        raise ShapeError(
            f"{owner} expects float noise ({b}, k, {d}), or (k, {d}) shared by all, with k at least 1, got "
            f"{tuple(noise.shape)} {noise.dtype}. Draw it from a Bank."
        )


def _length(x: Tensor, owner: str, what: str) -> Tensor:
    """Return the rows' lengths, 1 for rows of zeros, with a last axis of one."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    check.finite(length, owner, what, "The network has diverged or its input is damaged: look at the loss before.")
    return torch.where(length > 0, length, 1.0)


def _level(near: Tensor, far: Tensor) -> Tensor:
    """Return ln(Z / N) as this batch has it: the log of the mean of exp(s), without a gradient."""
    every = torch.cat([near.detach(), far.detach().flatten()])
    return every.logsumexp(0) - math.log(every.numel())


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
