"""Log-sum-exp of rows less their positives, entry by entry: slow, and obviously right."""

import torch
from torch import Tensor


def log_sum_exp_rows(
    a: Tensor,
    b: Tensor,
    weight: Tensor,
    own: Tensor | None = None,
    more: Tensor | None = None,
    labels: tuple[Tensor, Tensor] | None = None,
    form: str = "out",
) -> Tensor:
    """Return the weighted sum over the rows; `labels` are those of the rows and of the columns."""
    total = (a.sum() + b.sum()) * 0
    for i in range(len(a)):
        kept = [k for k in range(len(b)) if own is None or k != own[i]]
        s = [(a[i] * b[k]).sum() for k in kept]
        everything = s + ([] if more is None else list(more[i]))
        if not everything:
            continue
        term = torch.stack(everything).logsumexp(0)
        positives = [] if labels is None else [x for x, k in zip(s, kept, strict=True) if labels[1][k] == labels[0][i]]
        if labels is not None and not positives:
            continue
        if positives and form == "out":
            term = term - torch.stack(positives).mean()
        if positives and form == "in":
            term = term - torch.stack(positives).logsumexp(0) + torch.tensor(len(positives), dtype=term.dtype).log()
        total = total + weight[i] * term
    return total
