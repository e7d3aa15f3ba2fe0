"""The optimizer, and its state as named tensors and plain numbers, so that a checkpoint needs no pickle."""

from typing import Any

import torch
from torch import Tensor, nn

from isotone.train.settings import TrainSettings


def build_optimizer(net: nn.Module, settings: TrainSettings, lr: float) -> torch.optim.Optimizer:
    """Return SGD with momentum or AdamW over the network's weights; biases and norms are not decayed.

    Args:
        net: whose parameters with a gradient are trained.
        settings: `optimizer`, `momentum` and `weight_decay` are used.
        lr: nominal learning rate; the loop sets it anew each step.

    Example:
        >>> build_optimizer(nn.Linear(2, 2), TrainSettings(), 0.1).param_groups[1]["weight_decay"]
        0.0
    """
    weights = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in weights if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum)


def pack(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, dict[str, float]]]:
    """Split an optimizer's state dict into tensors `7/momentum_buffer` and numbers; the groups are made anew.

    Args:
        state: of `optimizer.state_dict()`.

    Returns:
        The tensors, and for each parameter its plain numbers.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, float]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{name}"] = value
            elif value is not None:
                numbers.setdefault(str(index), {})[name] = value
    return tensors, numbers


def unpack(state: dict[str, Any], tensors: dict[str, Tensor], numbers: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return the state dict that `pack` came from.

    Args:
        state: of a fresh optimizer of the same network, for its groups.
        tensors: as from `pack`.
        numbers: as from `pack`.
    """
    entries: dict[int, dict[str, Tensor | float]] = {}
    for path, value in tensors.items():
        index, name = path.split("/", 1)
        entries.setdefault(int(index), {})[name] = value
    for index, named in numbers.items():
        entries.setdefault(int(index), {}).update(named)
    return {"state": entries, "param_groups": state["param_groups"]}
