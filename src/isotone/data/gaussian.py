"""Normal numbers for each sample from two uniform ones, without a generator for each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def gaussian(u: Float[Tensor, "b 2"], count: int) -> Float[Tensor, "b count"]:
    """Return (b, count) standard normal numbers that depend on the sample's two numbers `u` (b, 2) and nothing else.

    The two numbers (24 bits each) seed a hash of the position, and the inverse of the normal distribution turns its
    bits into the sample. A generator for each sample would be a loop over the batch and differ between devices.

    Args:
        u: in [0, 1).
        count: numbers wanted for each sample; they end at 5.2 either way.

    Example:
        >>> two = gaussian(torch.tensor([[0.1, 0.2], [0.3, 0.4]]), 5)
        >>> bool((two[1:] == gaussian(torch.tensor([[0.3, 0.4]]), 5)).all())
        True
    """
    whole = (u * 2**24).to(torch.int32)
    seed = _hash(_hash(whole[:, :1]) ^ whole[:, 1:])
    bits = _hash(_hash(torch.arange(count, device=u.device, dtype=torch.int32)) ^ seed)  # (b, count)
    # 23 bits and a half fit a float32, so ±1 is never reached: the tails end at 5.2
    symmetric = bits.bitwise_right_shift_(9).bitwise_and_(0x7FFFFF).to(u.dtype).add_(0.5).mul_(2.0**-22).sub_(1)
    return symmetric.erfinv_().mul_(math.sqrt(2))


# ----------------------------------------------------------------------------------------------------------------------


def _hash(x: Tensor) -> Tensor:
    """Mix 32 bits held in int32, whose products wrap: the finaliser of MurmurHash3 (Appleby, public domain)."""
    x = _fold(x, 16).mul_(0x85EBCA6B - 2**32)
    x = _fold(x, 13).mul_(0xC2B2AE35 - 2**32)
    return _fold(x, 16)


def _fold(x: Tensor, bits: int) -> Tensor:
    # int32 shifts copy the sign downwards; the mask makes the shift logical
    return (x >> bits).bitwise_and_((1 << (32 - bits)) - 1).bitwise_xor_(x)
