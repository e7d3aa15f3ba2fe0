"""Binary noise contrast: tell the positive from draws of noise, one yes-or-no question each, in log space.

Source: Gutmann, Hyvärinen 2010, "Noise-contrastive estimation", AISTATS; Mnih, Kavukcuoglu 2013, NeurIPS.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid


def noise_contrast(
    positive: Float[Tensor, " n"], noise: Float[Tensor, "n k"], threshold: Float[Tensor, "*n"]
) -> Float[Tensor, ""]:
    """Return the mean over anchors of the cost of logistic regression, data against k draws of noise:

    `-ln sigmoid(s_i - c_i) - sum_k ln sigmoid(c_i - s_ik)`, c the score at which both are equally likely.

    With `c = ln(K Z / N)` this is NPID's NCE, with `c_i = ln sum_k exp s_ik` PIRL's. Finite for finite scores.

    Args:
        positive: (n,) scores of the positives.
        noise: (n, k) scores of the draws.
        threshold: () or (n,).

    Example:
        >>> import torch
        >>> round(noise_contrast(torch.zeros(3), torch.zeros(3, 1), torch.tensor(0.0)).item(), 6)  # 2 ln 2
        1.386294
    """
    missed = logsigmoid(positive - threshold)  # (n,)
    taken = logsigmoid(threshold.reshape(-1, 1) - noise).sum(1)  # (n,)
    return -(missed + taken).mean()
