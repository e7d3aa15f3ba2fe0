"""What travels between the rooms: small frozen records, nothing that computes.

Axis letters, the same everywhere: n anchors, m candidates, d width, k target dimensions, b batch, v views,
h w c image height, width, channels, t time steps of a signal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

Relation = Callable[["Tags", "Tags"], Float[Tensor, "n m"]]
Similarity = Callable[[Float[Tensor, "n d"], Float[Tensor, "m d"]], Float[Tensor, "n m"]]
Kind = Literal["image", "rows", "signal"]
Need = Literal["target", "category", "label", "sequence", "second", "teacher"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Bins:
    """Equal bins of each target, from the smallest to the largest of the training rows.

    Args:
        low: k numbers in standard units, the centres of the first bins.
        high: k numbers >= `low`, the centres of the last ones; equal to `low` where all training targets are.
        count: bins of each, >= 1.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    count: int = 50


@dataclass(frozen=True)
class Tags:
    """What is known of each sample; a data set fills what it has.

    Args:
        instance: (n,) which source sample this is; two views of one image share it.
        category: (n,) class, any integer.
        target: (n, k) real targets in the user's units, float64, so that close labels stay apart and ties stay ties.
        scaled: (n, k) the targets in standard deviations of the training rows, float64.
        bins: of `scaled`, from the training rows; the same for all samples.
        sequence: (n,) which recording, track or video this is of, any integer.
        time: (n,) when in the sequence, float64.
    """

    instance: Int[Tensor, " n"] | None = None
    category: Int[Tensor, " n"] | None = None
    target: Float[Tensor, "n k"] | None = None
    scaled: Float[Tensor, "n k"] | None = None
    sequence: Int[Tensor, " n"] | None = None
    time: Float[Tensor, " n"] | None = None
    bins: Bins | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Tags":
        """Return the tags with `change` applied to every tensor that is there."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: change(x) if isinstance(x, Tensor) else x for name, x in given.items()}
        return Tags(**changed)


@dataclass(frozen=True)
class Batch:
    """One step's input in one process.

    Args:
        views: (v, b, ...) augmented copies of b samples.
        tags: of the b samples; `instance` counts the training rows from 0.
        partners: (w, b, ...) views of what each sample is paired with (a neighbour in time, its second input), or None.
        step: training steps done, the same on every process.
        epoch: counted from 0.
        seed: of the run; with the epoch and the instance it keys what a method draws (`isotone.data.draws`).
        micro_batch: rows at a time for a network of the method's own; the one it is given sees to that itself. 0: all.
    """

    views: Shaped[Tensor, "v b *shape"]
    tags: Tags
    partners: Shaped[Tensor, "w b *other"] | None = None
    step: int = 0
    epoch: int = 0
    seed: int = 0
    micro_batch: int = 0


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


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a trained run says of the training rows, in their order.

    Args:
        h: (n, d) float32 representations.
        probabilities: (n, c) float32 of the classes, or None where the run tells no classes apart.
    """

    h: np.ndarray
    probabilities: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """What a method is told of the data and the encoder before it builds anything.

    Args:
        width: of the representation, d.
        kind: of the inputs.
        shape: of one view: (c, h, w), (c, t) or (f,).
        k: numbers that a head regresses: the target dimensions, twice as many on a circle; 0 where there are none.
        classes: number of classes; 0 where the data have none.
        instances: training rows; `Tags.instance` is below it.
        seed: of the run.
        bins: of the targets, for predictors that ask which bin; None where the data have no targets.
        second: an encoder for the second input and its width, or None.
        teacher: what the run that the user named says of the training rows, or None.
        targets: (n, k) float64 of the training rows in standard units, in the order of `Tags.instance`, NaN where a row
            has none; None where the data have none.
    """

    width: int
    kind: Kind = "image"
    shape: tuple[int, ...] = ()
    k: int = 0
    classes: int = 0
    instances: int = 0
    seed: int = 0
    bins: Bins | None = None
    second: tuple[nn.Module, int] | None = None
    teacher: Teacher | None = None
    targets: np.ndarray | None = None


@runtime_checkable
class Method(Protocol):
    """What the training loop knows of a method: a frozen dataclass whose fields are its settings.

    The loop calls `loss`, makes the step, and calls `after_step`. What is to be remembered between steps is a module of
    buffers, `memory`: it is saved in checkpoints beside the network and is the same on every process.

    - `select` says which weights are kept, the last or those of the best validation score; `scored` whether there is a
      score at all.
    - `needs` names what the data must have: `target`, `category`, `label` (one of the two), `sequence`, `second` (an
      input of another kind beside the first) or `teacher` (a trained run); `kinds` the inputs it takes.
    """

    select: ClassVar[Literal["last", "val"]]
    scored: ClassVar[bool]
    needs: ClassVar[tuple[Need, ...]]
    kinds: ClassVar[tuple[Kind, ...]]

    @property
    def views(self) -> int:
        """Augmented copies of each sample in a batch."""
        ...

    @property
    def default_lr(self) -> float:
        """The learning rate of SGD for batches of 256, where the user names none."""
        ...

    @property
    def head(self) -> str:
        """Name of the predictor that stands on the encoder in the end, or `auto` for what the labels ask for."""
        ...

    def build(self, encoder: nn.Module, facts: Facts) -> nn.Module:
        """Return the network to train, a `isotone.nets.network.Network` around the encoder."""
        ...

    def memory(self, net: nn.Module, facts: Facts) -> nn.Module | None:
        """Return what the method remembers between steps, such as a queue; None where it remembers nothing."""
        ...

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        """Return the loss of the global batch, the same on every process, with the gradient of the local rows.

        May be called again for the same step, so it changes nothing; of `net` it may use the call alone:
        `net(x)`, or `net(x, part)` for a named part.
        """
        ...

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        """Bring the memory up to date with what `loss` carried and with the weights after the step."""
        ...

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        """Return the validation score of the network's output on clean rows; lower is better. Only where `scored`."""
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

    What is to be predicted is the target or the category; a data set may have neither.

    Args:
        name: what the user calls it: the table's file name, or `arrays`.
        kind: `image`, `rows` or `signal`.
        inputs: image: (n, h, w, c) uint8, often a memory map; rows: (n, f) float32; signal: (n, c, t) float32.
        target: (n, k) float64 in the user's units, NaN where a row has no label; k = 0: there is none.
        target_names: k names.
        split: (n,) text: train, val or test. A row without a label is judged nowhere.
        label: (n,) text: how to call the row: its file name, else `row 17`.
        row: (n,) line of the table (header = 1), or index of the array.
        group: (n,) text, or None.
        group_name: the column that the groups come from.
        fingerprint: SHA-256 over inputs, labels and split; a resumed run must find the same.
        category: (n,) int64 index into `classes`, -1 where a row has no label; or None.
        classes: the names of the classes, sorted.
        category_name: the column that the classes come from.
        sequence: (n,) text: recording, track or video of the row, or None.
        time: (n,) float64 when in its sequence, or None.
        second: another input of each row, in one of the forms of `inputs`, or None.
        second_kind: of the second input.
        geometry: what the targets are places on: `line`, `circle:PERIOD` or `gaze`.
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
    category: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    category_name: str | None = None
    sequence: np.ndarray | None = None
    time: np.ndarray | None = None
    second: np.ndarray | None = None
    second_kind: Kind | None = None
    geometry: str = "line"

    def rows(self, split: Split) -> np.ndarray:
        """Return the indices of the rows of one side of the split, ascending."""
        return np.flatnonzero(self.split == split)

    def labelled(self, split: Split) -> np.ndarray:
        """Return the indices of the rows of one side that have their label, ascending; none where there are none."""
        rows = self.rows(split)
        if self.category is not None:
            return rows[self.category[rows] >= 0]
        return rows[np.isfinite(self.target[rows]).all(axis=1) & (self.target.shape[1] > 0)]


@dataclass(frozen=True)
class Features:
    """Representations computed once: `h` (n, d) float32 of the data set's rows `index` (n,)."""

    h: np.ndarray
    index: np.ndarray
