"""What travels between the rooms: small frozen records, nothing that computes.

Axis letters, the same everywhere: n anchors, m candidates, d width, k target dimensions, b batch, v views,
h w c image height, width, channels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

Relation = Callable[["Tags", "Tags"], Float[Tensor, "n m"]]
Similarity = Callable[[Float[Tensor, "n d"], Float[Tensor, "m d"]], Float[Tensor, "n m"]]
Kind = Literal["image", "rows"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Tags:
    """What is known of each sample; a data set fills what it has.

    Args:
        instance: (n,) which source sample this is; two views of one image share it.
        category: (n,) class, any integer.
        target: (n, k) real targets in the user's units, float64, so that close labels stay apart and ties stay ties.
        scaled: (n, k) the targets in standard deviations of the training rows, float64.
    """

    instance: Int[Tensor, " n"] | None = None
    category: Int[Tensor, " n"] | None = None
    target: Float[Tensor, "n k"] | None = None
    scaled: Float[Tensor, "n k"] | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Tags":
        """Return the tags with `change` applied to every tensor that is there."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return Tags(**{name: None if x is None else change(x) for name, x in given.items()})


@dataclass(frozen=True)
class Batch:
    """One step's input: `views` (v, b, ...) of b samples, and the tags of the b samples."""

    views: Shaped[Tensor, "v b *shape"]
    tags: Tags


@dataclass(frozen=True)
class Candidates:
    """What each anchor is compared with.

    Args:
        embeddings: (m, d).
        tags: of the m candidates.
        own: (n,) column of the candidate that is the anchor itself, and so never counts for it; None: there is none.
        mask: (n, m) True where the candidate counts for the anchor; None: everything but `own` does.
    """

    embeddings: Float[Tensor, "m d"]
    tags: Tags
    own: Int[Tensor, " n"] | None = None
    mask: Bool[Tensor, "n m"] | None = None


@dataclass(frozen=True)
class LossOutput:
    """A method's loss: `total` is differentiated, `parts` (named scalars, detached) are logged.

    `carry` (named tensors, detached) goes to the method's `after_step`.
    """

    total: Float[Tensor, ""]
    parts: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    carry: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


@runtime_checkable
class Method(Protocol):
    """What the training loop knows of a method: a frozen dataclass whose fields are its settings.

    The loop calls `loss`, makes the step, and calls `after_step`. What is to be remembered between steps is a module of
    buffers, `memory`: it is saved in checkpoints beside the network and is the same on every process.

    `select` says which weights are kept, the last or those of the best validation score; `default_lr` is the learning
    rate of SGD for batches of 256.
    """

    select: ClassVar[Literal["last", "val"]]
    default_lr: ClassVar[float]

    @property
    def views(self) -> int:
        """Augmented copies of each sample in a batch."""
        ...

    @property
    def head(self) -> str:
        """Name of the predictor that stands on the encoder in the end."""
        ...

    def build(self, encoder: nn.Module, width: int, k: int) -> nn.Module:
        """Return the network to train; its attribute `encoder` is the encoder, its output is what `loss` expects."""
        ...

    def memory(self, width: int, k: int) -> nn.Module | None:
        """Return what the method remembers between steps, such as a queue; None where it remembers nothing."""
        ...

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the loss of the global batch, the same on every process, with the gradient of the local rows.

        May be called again for the same step, so it changes nothing; of `net` it may use the call alone.
        """
        ...

    def after_step(self, memory: nn.Module | None, out: LossOutput) -> None:
        """Bring the memory up to date with what `loss` carried."""
        ...

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return the validation score of the network's output on clean rows; lower is better."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """What turns a head's outputs into a prediction: a frozen dataclass, one file each in `predict/`."""

    def outputs(self, k: int) -> int:
        """Return the head's output width for k target dimensions."""
        ...

    def loss(self, out: Float[Tensor, "n o"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean loss of head outputs against standardised targets."""
        ...

    def decode(self, out: Float[Tensor, "n o"]) -> Float[Tensor, "n k"]:
        """Return the standardised prediction that the head's outputs stand for."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A data set, decoded, split and ready to be drawn from. Nothing in it is ever written to.

    Args:
        name: what the user calls it: the table's file name, or `arrays`.
        kind: `image` or `rows`.
        inputs: image: (n, h, w, c) uint8, often a memory map; rows: (n, f) float32.
        target: (n, k) float64 in the user's units.
        target_names: k names.
        split: (n,) text: train, val or test.
        label: (n,) text: how to call the row: its file name, else `row 17`.
        row: (n,) line of the table (header = 1), or index of the array.
        group: (n,) text, or None.
        group_name: the column that the groups come from.
        fingerprint: SHA-256 over inputs, targets and split; a resumed run must find the same.
    """

    name: str
    kind: Kind
    inputs: np.ndarray
    target: np.ndarray
    target_names: tuple[str, ...]
    split: np.ndarray
    label: np.ndarray
    row: np.ndarray
    group: np.ndarray | None = None
    group_name: str | None = None
    fingerprint: str = ""

    def rows(self, split: Split) -> np.ndarray:
        """Return the indices of the rows of one side of the split, ascending."""
        return np.flatnonzero(self.split == split)


@dataclass(frozen=True)
class Features:
    """Representations computed once: `h` (n, d) float32 of the data set's rows `index` (n,)."""

    h: np.ndarray
    index: np.ndarray
