"""Every random draw is a pure function of its key, so there is no generator state to save, to share or to lose.

A resumed run, another number of data workers and another number of processes draw the same numbers, because a
draw knows only (seed, epoch, sample index, view), never what was drawn before it.

Source: the mixing function is SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195).
"""

import hashlib

import numpy as np
import torch

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: int | str) -> int:
    """Return a 63-bit integer that depends on the parts and nothing else.

    Args:
        parts: integers or names, such as `("augment", seed, epoch)`.

    Example:
        >>> key("order", 0, 1) == key("order", 0, 1), key("order", 0, 1) == key("order", 0, 2)
        (True, False)
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """Return a torch generator on the CPU, seeded by `key(*parts)`."""
    return torch.Generator().manual_seed(key(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """Return a NumPy generator, seeded by `key(*parts)`."""
    return np.random.default_rng(key(*parts))


def uniform(index: np.ndarray, draws: int, *parts: int | str) -> np.ndarray:
    """Return uniform numbers in [0, 1), one row for each sample, whatever other samples are asked for.

    Args:
        index: (n,) sample indices.
        draws: numbers wanted for each sample.
        parts: the rest of the key, such as `("augment", seed, epoch, view)`.

    Returns:
        (n, draws) float64.

    Example:
        >>> both = uniform(np.array([3, 7]), 2, "augment", 0)
        >>> bool((both[1:] == uniform(np.array([7]), 2, "augment", 0)).all())
        True
    """
    base = np.uint64(key(*parts))
    row = _mix(index.astype(np.uint64)[:, None] + base)  # (n, 1)
    bits = _mix(row + _GOLDEN * np.arange(1, draws + 1, dtype=np.uint64)[None, :])  # (n, draws)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


# ----------------------------------------------------------------------------------------------------------------------


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: every input bit changes every output bit with probability one half."""
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
