"""Batch statistics taken out of a network: BatchNorm replaced by GroupNorm, or by a norm of each place alone.

Batch norm sees the samples of one process only, so 1 and 2 processes train different networks, and with views of one
sample in a batch it can leak which belong together. Group norm normalises each sample by itself, but all its places
together: a place then knows something of every other. Channel norm knows of none, and forgets how strong each is.

Source: Wu and He 2018, arXiv:1803.08494; channel norm as in the public code of Rivière et al. 2020, arXiv 2002.02848
(`facebookresearch/CPC_audio`), Ba et al. 2016, arXiv 1607.06450, over the channels.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

GROUPS = 32  # the paper's choice, section 4.1
NORMS = ("batch", "group", "channel")


def with_norm(module: nn.Module, norm: str) -> nn.Module:
    """Return the network as it is for `batch`, else a copy with group or channel norm in place of every batch norm.

    Args:
        module: any network.
        norm: of `NORMS`.

    Example:
        >>> with_norm(nn.Sequential(nn.BatchNorm1d(8)), "channel")[0]
        ChannelNorm()
    """
    return {"batch": lambda x: x, "group": group_norm, "channel": channel_norm}[norm](module)


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
    return _replaced(module, _grouped)


def channel_norm(module: nn.Module) -> nn.Module:
    """Return a copy of the network with every BatchNorm replaced by a `ChannelNorm` of the same weight and bias.

    Args:
        module: as for `group_norm`.

    Example:
        >>> channel_norm(nn.Sequential(nn.Conv1d(3, 48, 1), nn.BatchNorm1d(48)))[1].weight.shape
        torch.Size([48])
    """
    return _replaced(module, lambda norm: ChannelNorm(norm.num_features, eps=norm.eps, affine=norm.affine))


class ChannelNorm(nn.Module):
    """Brings the channels of each place to mean 0 and variance 1, then scales and shifts each channel.

    Args:
        channels: of the maps.
        eps: added to the variance.
        affine: whether to scale and shift.

    Example:
        >>> ChannelNorm(2)(torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])).round().tolist()  # (1, 2 channels, 2 places)
        [[[-1.0, 0.0], [1.0, 0.0]]]
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, channels: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)) if affine else None)

    def forward(self, x: Float[Tensor, "b c *places"]) -> Float[Tensor, "b c *places"]:
        """Return the normalised maps."""
        out = functional.layer_norm(x.movedim(1, -1), (self.channels,), self.weight, self.bias, self.eps)
        return out.movedim(-1, 1)


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether the network, in any depth, normalises by the statistics of a batch.

    Example:
        >>> has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))), has_batch_norm(nn.Linear(2, 2))
        (True, False)
    """
    return any(isinstance(part, _BatchNorm) for part in module.modules())


# ----------------------------------------------------------------------------------------------------------------------


def _replaced(module: nn.Module, make: Callable[[_BatchNorm], nn.Module]) -> nn.Module:
    if isinstance(module, _BatchNorm):
        return _converted(module, make)
    out = copy.deepcopy(module)
    for parent in list(out.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, _converted(child, make))
    return out


def _grouped(norm: _BatchNorm) -> nn.Module:
    channels = norm.num_features
    groups = max(g for g in range(1, min(GROUPS, channels) + 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels, eps=norm.eps, affine=norm.affine)


def _converted(norm: _BatchNorm, make: Callable[[_BatchNorm], nn.Module]) -> nn.Module:
    out = make(norm)
    if norm.affine:
        out.weight, out.bias = copy.deepcopy(norm.weight), copy.deepcopy(norm.bias)
    out.train(norm.training)
    # timm's BatchNormAct2d is batch norm, dropout and activation in one module
    rest = [child for child in norm.children() if not isinstance(child, nn.Identity)]
    return nn.Sequential(out, *rest) if rest else out
