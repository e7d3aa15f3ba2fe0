"""DLDL-v2: a softmax over bins pulled to a Gaussian around the target, and its expectation to the target itself."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.check import positive
from isotone.predict.bins import apart
from isotone.predict.dex import expectation
from isotone.records import Bins


@dataclass(frozen=True)
class DLDL:
    """Predict by a probability for each bin, learned from a distribution rather than from one bin: DLDL-v2.

    Formula: with p = softmax(out) over the bins, c their centres and t_j = exp(-(c_j - y)² / 2σ²) / Σ_i exp(-(c_i - y)²
    / 2σ²), the Gaussian around the target renormalised over the bins, loss = mean over rows and target dimensions of
    Σ t_j log(t_j / p_j) + λ |Σ p_j c_j - y|; prediction = Σ p_j c_j. σ and the second term are in bins. The prediction
    never leaves the bins; for a target far beyond them t is the last bin alone.

    Both settings were published for bins of one year. A run's 50 bins of ages from 1 to 101 are 2.04 years wide, which
    makes σ 4.1 years and λ half as strong a year: a flatter target, and more of the loss in its shape. With 101 bins,
    the range of the training ages plus one (`--head-bins 101`), they are the published ones.

    Args:
        bins: of each target dimension, each with outputs of its own.
        sigma: σ > 0 in bins; published: 2, for bins of one year.
        weight: λ > 0 of the expectation's error; published: 1, for bins of one year.

    Raises:
        ConfigError: `sigma` or `weight` is not a finite number above 0.

    Example:
        >>> dldl = DLDL(Bins((0.0,), (2.0,), 3))
        >>> out = torch.zeros(1, 3)
        >>> round(dldl.loss(out, torch.tensor([[1.0]])).item(), 4), dldl.decode(out).item()
        (0.0018, 1.0)

    Source: Gao, Zhou, Wu, Geng 2018, doi:10.24963/ijcai.2018/99, equations 5, 6 and 8; Zha et al. 2023, table 2.
    """

    bins: Bins
    sigma: float = 2.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)
        positive("weight", self.weight)

    def outputs(self, k: int) -> int:
        """Return k times the number of bins: one output for each."""
        return k * self.bins.count

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean divergence plus the weighted mean error of the expectation, in float32 or wider.

        Args:
            out: (n, k * bins) the head's outputs.
            target: (n, k) standardised targets.

        Returns:
            A scalar >= 0.

        Raises:
            ShapeError: the shapes do not fit the bins, or n = 0.
        """
        logits, place = apart(out, target, self.bins, each=self.bins.count, owner="DLDL-v2")
        log_p = logits.log_softmax(dim=2)
        index = torch.arange(self.bins.count, device=place.device, dtype=place.dtype)
        # -(j - y)² less what all bins share, around their middle: y² would drown the rest for a y far outside
        middle = (self.bins.count - 1) / 2
        near = (index - middle) * ((place[..., None] - middle) - (index - middle) / 2) / self.sigma**2
        log_t = near.log_softmax(dim=2).to(log_p.dtype)
        divergence = (log_t.exp() * (log_t - log_p)).sum(dim=2)
        error = (log_p.exp() @ index.to(log_p.dtype) - place.to(log_p.dtype)).abs()
        return (divergence + self.weight * error).mean()

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the expectation over the bins."""
        return expectation(out, self.bins)
