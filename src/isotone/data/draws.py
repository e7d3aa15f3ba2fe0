"""What a method draws for each sample of a batch: a pure function of (seed, epoch, sample, name)."""

import torch
from jaxtyping import Float
from torch import Tensor

from isotone.randomness import uniform
from isotone.records import Batch


def sample_draws(batch: Batch, count: int, name: str) -> Float[Tensor, "b count"]:
    """Return numbers in [0, 1), `count` for each sample, whatever batch, process or number of workers it is in.

    Args:
        batch: with the tag `instance`.
        count: numbers for each sample.
        name: what they are for; another name draws other numbers.

    Returns:
        (b, count) float64 on the device of the views. Float64 holds all 53 bits, so that no number rounds up to 1.

    Example:
        >>> from isotone.records import Tags
        >>> batch = Batch(torch.zeros(1, 3, 8), Tags(instance=torch.tensor([4, 0, 9])))
        >>> bool((sample_draws(batch, 2, "angle")[1:2] == sample_draws(batch, 2, "angle")[1]).all())
        True
    """
    assert batch.tags.instance is not None, "the loop fills `instance`"
    drawn = uniform(batch.tags.instance.cpu().numpy(), count, name, batch.seed, batch.epoch)
    return torch.from_numpy(drawn).to(batch.views.device)
