"""A first-in, first-out queue of past embeddings with their tags: many candidates at the cost of a small batch.

The queue holds the global batch's rows. Every process keeps its own copy and hands the same rows to `update`, so the
copies are the same to the bit; no process sends anything but a checksum of what it hands in.

Source: He, Fan, Wu, Xie, Girshick 2020, "Momentum Contrast", arXiv 1911.05722, section 3.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone import check
from isotone.candidates.gather import same_on_all_processes
from isotone.errors import ShapeError
from isotone.records import Candidates, Tags


class Queue(nn.Module):
    """The last `size` embeddings, oldest out first, as candidates for the losses.

    Empty at the start: the first steps have fewer candidates rather than made-up ones. MoCo starts from random unit
    vectors; for that, hand `size` of them to `update` before step 1. All that changes is in buffers, so the queue is
    saved with the network and a resumed run goes on as if it had never stopped. Keep it much smaller than the data set:
    an embedding of the anchor's own sample is a false negative where the relation does not know the instance.

    Args:
        size: rows kept, at least 1; no multiple of the batch or of the data set is needed. MoCo: 65,536 on ImageNet.
        width: of an embedding.
        target: target dimensions k to keep with each row, float64; 0 keeps no targets.
        category: keep each row's class.
        instance: keep which sample each row is of.

    Raises:
        ConfigError: for a size or width below 1, or a negative number of target dimensions.

    Example:
        >>> queue = Queue(3, width=1, target=1)
        >>> rows = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
        >>> queue.update(rows[:2], Tags(target=rows[:2].double()))
        >>> queue.candidates().embeddings.flatten().tolist()
        [1.0, 2.0]
        >>> queue.update(rows[2:], Tags(target=rows[2:].double()))
        >>> sorted(queue.candidates().tags.target.flatten().tolist())
        [2.0, 3.0, 4.0]

    Source: arXiv 1911.05722, section 3.2, "Dictionary as a queue"; Algorithm 1.
    """

    embeddings: Tensor
    target: Tensor | None
    category: Tensor | None
    instance: Tensor | None
    seen: Tensor

    def __init__(
        self, size: int, width: int, *, target: int = 0, category: bool = False, instance: bool = False
    ) -> None:
        super().__init__()
        check.positive("size", size)
        check.positive("width", width)
        check.between("target", target, 0, float("inf"))
        self.size, self.width = size, width
        self.register_buffer("embeddings", torch.zeros(size, width))
        self.register_buffer("target", torch.zeros(size, target, dtype=torch.float64) if target else None)
        self.register_buffer("category", torch.zeros(size, dtype=torch.int64) if category else None)
        self.register_buffer("instance", torch.zeros(size, dtype=torch.int64) if instance else None)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # rows ever handed in; the next place follows

    @property
    def filled(self) -> int:
        """Rows the queue holds now, 0 to `size`."""
        return min(int(self.seen), self.size)

    def candidates(self) -> Candidates:
        """Return the rows that are filled, (m, d) with m <= size, in no particular order, and the tags kept with them.

        They are views of the queue, not copies: use them before the next `update`. An anchor is never among them, so
        `own` and `mask` are None.
        """
        m = self.filled
        return Candidates(self.embeddings[:m], self._tags().map(lambda kept: kept[:m]))

    @torch.no_grad()
    def update(self, z: Float[Tensor, "n d"], tags: Tags | None = None) -> None:
        """Put in a step's rows, after the step, and drop the oldest; the same as putting them in one by one.

        Every process calls it with the rows of the global batch, in one order: what `gather` returned for the loss.

        Args:
            z: (n, d) embeddings as the losses shall meet them (a momentum encoder's are normalised by it); copied
                without their graph. Where n is above the size, the last `size` rows stay.
            tags: of the n rows, with at least the tags that the queue keeps; the others are not looked at.

        Raises:
            ShapeError: for another width or type, NaN or infinity, a missing tag, tags of another length, and on every
                process where the processes hand in different rows.
        """
        given = {name: getattr(tags or Tags(), name) for name in self._kept()}
        same_on_all_processes("Queue.update", z, *(x for x in given.values() if x is not None))
        n = self._checked(z, given)
        stay = min(n, self.size)
        place = (self.seen + n - stay + torch.arange(stay, device=self.seen.device)) % self.size
        for name, rows in {"embeddings": z, **given}.items():
            kept = getattr(self, name)
            kept.index_copy_(0, place, rows[n - stay :].to(kept))  # its device and type
        self.seen += n

    def _checked(self, z: Tensor, given: dict[str, Tensor | None]) -> int:
        if z.dim() != 2 or z.shape[1] != self.width or not z.is_floating_point():
            raise ShapeError(
                f"Queue.update expects float embeddings (n, {self.width}), got {tuple(z.shape)} {z.dtype}."
                " Flatten the views; build the queue with the embedding's width."
            )
        check.finite(z, "Queue.update", "embeddings", "Look at the loss before: the network has diverged.")
        for name, x in given.items():
            if x is None:
                raise ShapeError(
                    f"this Queue keeps the tag `{name}`, got tags without it. Fill Tags({name}=...), "
                    "or build the queue without."
                )
            expected, whole = (z.shape[0], *getattr(self, name).shape[1:]), name != "target"
            if x.shape != expected or x.is_floating_point() == whole:
                raise ShapeError(
                    f"this Queue keeps the tag `{name}` as {'integers' if whole else 'floats'} {expected}, got "
                    f"{tuple(x.shape)} {x.dtype}. Give one tag for each of the {z.shape[0]} rows."
                )
        return z.shape[0]

    def _kept(self) -> list[str]:
        return [name for name in ("target", "category", "instance") if getattr(self, name) is not None]

    def _tags(self) -> Tags:
        return Tags(instance=self.instance, category=self.category, target=self.target)
