"""A network's outputs for chosen rows of a data set: eval mode, no gradient, float32."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.data.views import Views
from isotone.records import Dataset


@torch.no_grad()
def forward(
    net: nn.Module,
    dataset: Dataset,
    rows: np.ndarray,
    views: Views,
    *,
    device: torch.device,
    epoch: int | None = None,
    chunk: int = 256,
) -> Float[Tensor, "n o"]:
    """Return the outputs (n, o) on the CPU for the rows (n,), leaving the network as it was.

    Args:
        net: takes a batch of clean views.
        dataset: where the rows are.
        rows: indices; may be empty only if the network accepts an empty batch.
        views: makes clean views of raw inputs.
        device: where the network is.
        epoch: of the augmented view to take; None takes the clean view.
        chunk: rows at a time.
    """
    training = net.training
    net.eval()
    parts: list[Tensor] = []
    for start in range(0, len(rows), chunk):
        raw = torch.from_numpy(np.ascontiguousarray(dataset.inputs[rows[start : start + chunk]])).to(device)
        seen = views.clean(raw) if epoch is None else views.random(raw, rows[start : start + chunk], epoch, 1)
        parts.append(net(seen[0]).float().cpu())
    net.train(training)
    return torch.cat(parts)
