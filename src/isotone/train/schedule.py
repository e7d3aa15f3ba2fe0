"""The learning rate: the nominal one, and as a pure function of the step warm-up, then half a cosine to a floor."""

import math

from isotone.records import Method
from isotone.train.settings import TrainSettings

ADAMW_LR = 1e-3


def nominal_lr(method: Method, settings: TrainSettings) -> float:
    """Return the learning rate that the user named, or the default: the method's with SGD, 0.001 with AdamW.

    Args:
        method: gives its `default_lr`.
        settings: `lr` and `optimizer` are used.
    """
    return settings.lr or (ADAMW_LR if settings.optimizer == "adamw" else method.default_lr)


def learning_rate(settings: TrainSettings, *, base: float, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of the step.

    `floor + (base - floor) (1 + cos(pi x)) / 2`, with x the share of the run that is done: counted in steps, or with
    `lr_update = "epoch"` in epochs from 1, so that the first epoch already runs below the nominal rate, as published.

    Args:
        settings: `lr_floor`, `lr_update` and `warmup` are used.
        base: nominal learning rate, already scaled to the batch.
        step: from 0.
        steps: of the whole run.
        steps_per_epoch: batches in an epoch.

    Example:
        >>> learning_rate(TrainSettings(warmup=0.0), base=1.0, step=50, steps=100, steps_per_epoch=10)
        0.5005

    Source: Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5, one period.
    """
    if settings.lr_update == "epoch":
        done = (step // steps_per_epoch + 1) / max(1, steps // steps_per_epoch)
    else:
        done = step / steps
    lowest = base * settings.lr_floor
    cosine = lowest + (base - lowest) * (1 + math.cos(math.pi * done)) / 2
    warm = settings.warmup * steps
    return cosine * min(1.0, (step + 1) / warm) if warm >= 1 else cosine
