"""Batch statistics taken out of a network: BatchNorm replaced by GroupNorm.

Batch norm sees the samples of one process only, so 1 and 2 processes train different networks, and with views of one
sample in a batch it can leak which belong together. Group norm normalises each sample by itself.

Source: Wu and He 2018, arXiv:1803.08494.
"""

import copy

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

GROUPS = 32  # the paper's choice, section 4.1


def group_norm(module: nn.Module) -> nn.Module:
    """Return a copy of the network with every BatchNorm replaced by a GroupNorm of the same weight and bias.

    The number of groups is the largest that divides the channels and is at most 32. Running statistics are dropped.

    Args:
        module: any network; it stays as it is. A subclass of BatchNorm that also holds an activation (as timm's
            EfficientNets have) keeps its activation.

    Example:
        >>> group_norm(nn.Sequential(nn.Conv2d(3, 48, 1), nn.BatchNorm2d(48)))[1].num_groups
        24
    """
    if isinstance(module, _BatchNorm):
        return _converted(module)
    out = copy.deepcopy(module)
    for parent in list(out.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, _converted(child))
    return out


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether the network, in any depth, normalises by the statistics of a batch.

    Example:
        >>> has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))), has_batch_norm(nn.Linear(2, 2))
        (True, False)
    """
    return any(isinstance(part, _BatchNorm) for part in module.modules())


# ----------------------------------------------------------------------------------------------------------------------


def _converted(norm: _BatchNorm) -> nn.Module:
    channels = norm.num_features
    groups = max(g for g in range(1, min(GROUPS, channels) + 1) if channels % g == 0)
    out = nn.GroupNorm(groups, channels, eps=norm.eps, affine=norm.affine)
    if norm.affine:
        out.weight, out.bias = copy.deepcopy(norm.weight), copy.deepcopy(norm.bias)
    out.train(norm.training)
    # timm's BatchNormAct2d is batch norm, dropout and activation in one module
    rest = [child for child in norm.children() if not isinstance(child, nn.Identity)]
    return nn.Sequential(out, *rest) if rest else out
