"""The settings of a training run: the one source of their defaults, flags and help."""

from dataclasses import dataclass
from typing import Literal

from isotone.check import between, positive
from isotone.errors import ConfigError


@dataclass(frozen=True)
class TrainSettings:
    """How long, how fast and where a method trains.

    Args:
        passes: how often each training row goes through the encoder, the same for every method, so that comparisons
            are fair: a method with two views makes passes / 2 epochs.
        batch_size: samples in a batch over all processes; fewer where there are fewer rows.
        micro_batch: rows of views that go through the encoder at a time, in each process; 0 for the whole batch at
            once. Less memory, a second forward pass, the same loss; halved by itself where memory does not suffice.
        optimizer: sgd (momentum) or adamw.
        lr: learning rate for batches of 256, scaled in proportion to the batch; 0 takes the method's default for sgd
            and 0.001 for adamw.
        momentum: of sgd.
        weight_decay: of all weights with two or more dimensions.
        warmup: share of the run in which the learning rate rises from 0.
        lr_floor: the cosine ends at lr x this.
        lr_update: change the learning rate every step, or every epoch as published.
        clip: largest norm of the gradient; 0 for no limit.
        precision: no (float32), bf16 or fp16 (mixed); losses are always float32 or wider.
        device: auto takes an accelerator where there is one.
        workers: threads that read data ahead; 0 reads when a batch is asked for. Never changes a result.
        checkpoint_steps: steps between checkpoints; 0 saves at the end of an epoch, at most every ten seconds.
        seed: of everything random.
    """

    passes: int = 100
    batch_size: int = 128
    micro_batch: int = 0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.05
    lr_floor: float = 1e-3
    lr_update: Literal["step", "epoch"] = "step"
    clip: float = 0.0
    precision: Literal["no", "bf16", "fp16"] = "no"
    device: Literal["auto", "cpu"] = "auto"
    workers: int = 0
    checkpoint_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        between("passes", self.passes, 1, 1_000_000)
        between("batch_size", self.batch_size, 2, 1_000_000)
        between("micro_batch", self.micro_batch, 0, 1_000_000)
        between("momentum", self.momentum, 0, 0.9999)
        between("weight_decay", self.weight_decay, 0, 1)
        between("warmup", self.warmup, 0, 1)
        between("lr_floor", self.lr_floor, 0, 1)
        between("workers", self.workers, 0, 256)
        between("checkpoint_steps", self.checkpoint_steps, 0, 1_000_000_000)
        between("seed", self.seed, 0, 2**62)
        if self.lr:
            positive("lr", self.lr)
        if self.clip:
            positive("clip", self.clip)
        if self.optimizer == "adamw" and self.lr > 0.1:
            raise ConfigError(f"`lr` {self.lr:g} is far too large for adamw and fits sgd. Try --lr 0.001.")
