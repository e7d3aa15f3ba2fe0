"""MoCo: a view finds another view's key among a queue of keys, which a slowly moving encoder has made; no labels.

Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
arXiv 1911.05722, section 3 (version 1); Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive
Learning", 2020, arXiv 2003.04297 (version 2).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone import check
from isotone.candidates import Queue, gather
from isotone.core.similarity import unit
from isotone.errors import ConfigError
from isotone.losses.info_nce import info_nce
from isotone.nets.heads import Projection
from isotone.nets.momentum import Momentum
from isotone.nets.network import Network
from isotone.predict import Head
from isotone.records import Batch, Facts, Kind, LossOutput, Need, Tags

LONGEST_QUEUE = 65_536  # the paper's, on 1.28 million images


class KeysAndQueue(nn.Module):
    """What MoCo remembers: the network that makes the keys, and the keys of past steps.

    Args:
        keys: follows the network that is trained.
        queue: of unit keys, with the instance of each.

    Example:
        >>> memory = KeysAndQueue(Momentum(nn.Linear(3, 2), 0.99), Queue(4, width=2, instance=True))
        >>> sorted(memory.state_dict())
        ['keys.net.bias', 'keys.net.weight', 'queue.embeddings', 'queue.instance', 'queue.seen']
    """

    def __init__(self, keys: Momentum, queue: Queue) -> None:
        super().__init__()
        self.keys, self.queue = keys, queue


@dataclass(frozen=True)
class MoCo:
    """Lets a view find the other one among a queue of past keys of a slow encoder; no labels, small batches suffice.

    Version 2 by default; version 1 is `projection=linear, temperature=0.07`. Keys of a batch's own samples never count
    as negatives, which in the authors' code they can where an epoch ends; `collisions` counts those left out. The queue
    starts empty and the loss rises while it fills, up to the logarithm of its size. A step that has no key to use takes
    the other keys of its batch.

    Batch norm can give away which key belongs to a query, for both have the statistics of one batch. The authors
    shuffle the keys between GPUs; here use --norm group, which on one process and on several is the same network.

    Args:
        head: predictor on the frozen encoder: classify, l1, mse, huber, dex, dldl, or, corn, knn; auto takes what the
            labels ask for.
        temperature: divides the cosine; 0.2 in version 2, 0.07 in version 1, 0.1 usual for CIFAR-10.
        queue: past keys, at most half as many as there are training rows; 0 takes a tenth, at most the paper's 65,536.
        key_momentum: share of its old weights that the slow encoder keeps in a step; the paper's 0.999 for 10^6 steps.
        symmetric: let each view be query and key in turn, for a second pass through both encoders.
        width: of what is compared; the paper's 128.
        projection: head that is trained in between and dropped: mlp in version 2, linear in version 1.
        views: augmented copies of each sample in a batch: 2, query and key.
    """

    head: Head = "auto"
    temperature: float = 0.2
    queue: int = 0
    key_momentum: float = 0.99
    symmetric: bool = False
    width: int = 128
    projection: Literal["mlp", "linear"] = "mlp"
    views: int = 2

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.12
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image", "rows", "signal")

    def __post_init__(self) -> None:
        check.positive("temperature", self.temperature)
        check.between("queue", self.queue, 0, 10_000_000)
        check.between("key_momentum", self.key_momentum, 0, 1)
        check.between("width", self.width, 1, 65_536)
        check.between("views", self.views, 2, 2)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        """Return the encoder with the projection `z`."""
        part = Projection(facts.width, self.width, self.projection, seed=facts.seed)
        return Network(encoder, parts={"z": part})

    def memory(self, net: nn.Module, facts: Facts) -> KeysAndQueue:
        """Return the slow copy of the network and an empty queue.

        Raises:
            ConfigError: for a queue of more than half as many keys as there are training rows.
        """
        rows = facts.instances
        if self.queue > rows // 2:
            raise ConfigError(
                f"`queue` {self.queue:,} is more than half of the {rows:,} training rows, so that old keys of the same "
                f"samples would fill it. Use --queue {rows // 10} (a tenth, as --queue 0 does), at most {rows // 2}."
            )
        size = self.queue or min(max(1, rows // 10), LONGEST_QUEUE)
        return KeysAndQueue(Momentum(net, self.key_momentum), Queue(size, self.width, instance=True))

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return InfoNCE of the queries in all processes with their keys, against the queue."""
        assert isinstance(memory, KeysAndQueue), "MoCo is trained with the memory that it made"
        turns = 2 if self.symmetric else 1
        queries = net(batch.views[:turns].flatten(0, 1), "z").unflatten(0, (turns, -1))  # (t, b, d)
        keyed = batch.views.flip(0)[:turns].flatten(0, 1)
        keys = memory.keys(keyed, "z", micro_batch=batch.micro_batch).unflatten(0, (turns, -1))
        q, k = (gather(z.transpose(0, 1)).transpose(0, 1) for z in (queries, keys))  # (t, all b, d)
        assert batch.tags.instance is not None, "the loop fills `instance`"
        instance = gather(batch.tags.instance)
        negatives, collisions = _others(memory.queue, instance)
        terms = [
            info_nce(one, key, temperature=self.temperature, negatives=negatives, in_batch=not len(negatives))
            for one, key in zip(q, k, strict=True)
        ]
        carry = {"keys": unit(k.flatten(0, 1)), "instance": instance.repeat(turns)}
        return LossOutput(torch.stack(terms).mean(), {"collisions": collisions}, carry)

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Put the step's keys into the queue, and let the slow encoder follow."""
        assert isinstance(memory, KeysAndQueue), "MoCo is trained with the memory that it made"
        memory.queue.update(out.carry["keys"], Tags(instance=out.carry["instance"]))
        memory.keys.update(net)

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return NaN: the loss of clean rows, which have a single view, says nothing of the representation."""
        del out, tags
        return float("nan")


# ----------------------------------------------------------------------------------------------------------------------


def _others(queue: Queue, instance: Int[Tensor, " b"]) -> tuple[Float[Tensor, "m d"], Int[Tensor, ""]]:
    """Return the queue's rows of samples that are not in the batch, and the number of those that are."""
    past = queue.candidates()
    assert past.tags.instance is not None, "the queue was made to keep it"
    own = torch.isin(past.tags.instance, instance)
    return past.embeddings[~own], own.sum()
