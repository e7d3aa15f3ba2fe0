"""SupCon: every other row of the same class is a positive, every other row stands in the denominator.

Source: Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv 2004.11362.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.core.kernels.lse_rows import Positives, log_sum_exp_among
from isotone.records import LossOutput

Form = Literal["out", "in"]


def supcon(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    temperature: float = 0.1,
    form: Form = "out",
) -> Float[Tensor, ""]:
    """Pull rows of one class together, against all others.

    `out: L = mean_i mean_{p in P(i)} -log( exp s_ip / sum_{k != i} exp s_ik )`, `s = cosine / temperature`;
    `in: L = mean_i -log( mean_{p in P(i)} exp s_ip / sum_{k != i} exp s_ik )`. P(i): the other rows of i's class.

    `out` is the better form in the paper; `in <= out`. Rows are normalised inside; float32 or wider; no n x n is kept:
    O(n^2 d) time, memory for one block of rows. No `base_temperature`: the value is a cross-entropy, ln(n - 1) where
    all rows are equal. One class alone is fine, as in the paper.

    Args:
        embeddings: (n, d), or (b, v, d) for v views of b samples, n = b * v; any float type and scale.
        labels: (b,) for (b, v, d), else (n,); integers. Floats are refused.
        temperature: above 0; 0.1 as published.
        form: `out` (mean outside the logarithm, the paper's equation 2) or `in` (inside it, equation 3).

    Returns:
        A scalar, the mean over the rows that have a positive, in float32 or wider. Rows that are alone in their class
        have no term; where all are, the value is 0, joined to the graph.

    Raises:
        ShapeError: for other shapes, float labels, fewer than two rows, NaN or infinity.
        ConfigError: for a temperature not above 0 and another form.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> round(supcon(z, torch.tensor([0, 0, 1, 1]), temperature=1.0).item(), 6)  # ln(1 + 2 / e)
        0.551445

    Source: arXiv 2004.11362, equations 2 and 3.
    """
    return supcon_output(embeddings, labels, temperature=temperature, form=form).total


def supcon_output(
    embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"],
    labels: Int[Tensor, " b"],
    *,
    temperature: float = 0.1,
    form: Form = "out",
) -> LossOutput:
    """Return `supcon` as `total`, and in `parts` the number of rows that have no positive, `lonely`.

    Args:
        embeddings: (n, d) or (b, v, d), `labels`, `temperature`, `form`: see `supcon`.

    Example:
        >>> supcon_output(torch.eye(3), torch.tensor([0, 0, 1])).parts["lonely"]
        tensor(1)
    """
    check.positive("temperature", temperature)
    check.choice("form", form, ("out", "in"))
    z = check.embeddings(embeddings, "SupCon")
    views = embeddings.shape[1] if embeddings.dim() == 3 else 1
    y = check.labels(labels, len(z), views, "SupCon")
    return unchecked_supcon(z, y, temperature=temperature, form=form)


def unchecked_supcon(
    z: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    *,
    temperature: float,
    form: Form = "out",
) -> LossOutput:
    """Return `supcon_output` of rows and labels that are known to be sound; NaN goes through to the value.

    Args:
        z: (n, d), `labels`: (n,), the rest as in `supcon`.

    Example:
        >>> unchecked_supcon(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), temperature=0.1).total.exp()
        tensor(3.)
    """
    x = z.to(torch.promote_types(z.dtype, torch.float32))
    _, group, count = labels.unique(return_inverse=True, return_counts=True)
    paired = count[group] > 1
    found = paired.sum()
    weight = paired / found.clamp_min(1).to(x.dtype)
    # a product of two rows is cosine / temperature
    total = log_sum_exp_among(x, temperature**-0.5, weight, positives=Positives(group, group, form))
    return LossOutput(total.to(x.dtype), {"lonely": len(x) - found})


class SupConLoss(nn.Module):
    """`supcon` as a module for anyone's own training loop.

    Args:
        temperature: see `supcon`.
        form: see `supcon`.

    Raises:
        ConfigError: for a temperature not above 0 and another form, when it is made.

    Example:
        >>> SupConLoss(temperature=0.1)(torch.randn(8, 2, 16), torch.arange(8) % 3).shape
        torch.Size([])
    """

    def __init__(self, temperature: float = 0.1, form: Form = "out") -> None:
        super().__init__()
        check.positive("temperature", temperature)
        check.choice("form", form, ("out", "in"))
        self.temperature = temperature
        self.form: Form = form

    def forward(
        self, embeddings: Float[Tensor, "n d"] | Float[Tensor, "b v d"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Return the loss of `embeddings` (n, d) or (b, v, d) and integer `labels` (b,)."""
        return supcon(embeddings, labels, temperature=self.temperature, form=self.form)
