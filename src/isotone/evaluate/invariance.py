"""How much of a transformation can be read back from the representation, and how far it moves an image. No labels.

Two measures for two transformations, the quarter turn of Rotation and the shuffled patches of Jigsaw. A method that
predicts a transformation keeps it in its features; one that is to be invariant, as PIRL, loses it.

Source: Misra and van der Maaten 2020 (PIRL), arXiv 1912.01991, section 4.4 measures the same distance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone.data.patches import SIDE, shuffle, turn
from isotone.data.permutations import permutation_set
from isotone.errors import ConfigError
from isotone.evaluate.linear import logistic
from isotone.evaluate.subject import Answers, Subject, plain, result_row
from isotone.randomness import numpy_generator, uniform

ROWS = 5000  # training rows at most, and a fifth as many for validation
PERMUTATIONS = 24
PENALTIES = tuple(np.logspace(1, -4, 6).tolist())

Change = Callable[[Float[Tensor, "b c h w"], Int[Tensor, " b"]], Float[Tensor, "b c h w"]]


@dataclass(frozen=True, eq=False)
class Transformation:
    """A transformation of images with a number that says which.

    Args:
        name: as printed.
        count: how many there are.
        first: the first that changes an image; those before it leave it as it is.
        change: from images (b, c, h, w) and numbers (b,) to the transformed images.
    """

    name: str
    count: int
    first: int
    change: Change


def invariance(subject: Subject) -> list[dict[str, Any]]:
    """Score how well a linear classifier tells which transformation an image went through, and how far that moves it.

    Each image goes through one transformation, drawn by the seed, and the classifier is fitted on frozen features of
    the transformed training images: the quarter turn (4 classes, guessing gives 0.25) and the order of 3 x 3 patches
    (24 orders far from each other, 0.042).

    Formula: relative distance = mean_i (1 - cos(h(x_i), h(T x_i))) / mean_i (1 - cos(h(x_i), h(x_j(i)))), x the test
    images, T a transformation that is not the identity, j(i) another image drawn by the seed. 0: invariant; 1: the
    transformed copy is as far as any other image.

    Args:
        subject: encoder and images; at most 5,000 training rows are used.

    Returns:
        Four lines: for each transformation `accuracy` (with `chance`) and `relative distance`, this one without
        interval, None where all test images share one representation.

    Raises:
        ConfigError: the data are no images, or there are fewer than two test rows.

    Source: as at the top of this file.
    """
    data = subject.dataset
    if data.kind != "image":
        raise ConfigError(f"The probe 'invariance' turns and cuts images, but the data are {data.kind}. Leave it out.")
    if len(data.rows("test")) < 2:
        raise ConfigError(f"The probe 'invariance' needs two test rows, but there are {len(data.rows('test'))}.")
    return [line for one in transformations(subject.seed) for line in (_readable(subject, one), _moved(subject, one))]


def transformations(seed: int) -> list[Transformation]:
    """Return the quarter turns and the shuffles of 3 x 3 patches.

    Example:
        >>> turns = transformations(0)[0]
        >>> turns.change(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([1])).tolist()
        [[[[2.0, 4.0], [1.0, 3.0]]]]
    """
    orders = torch.from_numpy(permutation_set(PERMUTATIONS, patches=SIDE**2, seed=seed).astype(np.int64))

    def reorder(images: Tensor, number: Tensor) -> Tensor:
        return shuffled(images, orders.to(images.device)[number])

    return [Transformation("quarter turn", 4, 1, turn), Transformation("patch order", PERMUTATIONS, 0, reorder)]


def shuffled(images: Float[Tensor, "b c h w"], order: Int[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
    """Return images whose 3 x 3 patches stand in another order; what a side leaves of three stays as it is.

    Args:
        images: (b, c, h, w), square.
        order: (b, 9) which patch stands in each place, row by row.

    Example:
        >>> shuffled(torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([[8, 1, 2, 3, 4, 5, 6, 7, 0]]))[0, 0].tolist()
        [[8.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 0.0]]
    """
    b, c, size, _ = images.shape
    cell = size // SIDE
    begin = (size - SIDE * cell) // 2
    inner = (..., slice(begin, begin + SIDE * cell), slice(begin, begin + SIDE * cell))
    cells = (
        images[inner].reshape(b, c, SIDE, cell, SIDE, cell).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    )  # (b, 9, c, p, p)
    chosen = shuffle(cells, order)
    out = images.clone()
    out[inner] = chosen.view(b, SIDE, SIDE, c, cell, cell).permute(0, 3, 1, 4, 2, 5).reshape(b, c, SIDE * cell, -1)
    return out


# ----------------------------------------------------------------------------------------------------------------------


class _Changed(nn.Module):
    """The encoder on transformed views: takes the numbers of the transformation in the order of the rows."""

    def __init__(self, encoder: nn.Module, change: Change, numbers: np.ndarray) -> None:
        super().__init__()
        self.encoder, self.change, self.numbers, self.done = encoder, change, torch.from_numpy(numbers), 0
        self.eval()

    def forward(self, views: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        mine = self.numbers[self.done : self.done + len(views)]
        self.done += len(views)
        return self.encoder(self.change(views, mine.to(views.device)))


def _readable(subject: Subject, one: Transformation) -> dict[str, Any]:
    data = subject.dataset
    number = _numbers(one, len(data.split), subject.seed)
    every = Answers(one.name, number, data.rows("train"), data.rows("val"), data.rows("test"), data.group)
    few = every.fewer(ROWS, ROWS // 5, seed=subject.seed)
    h = subject.embed(few.rows, _Changed(subject.encoder, one.change, number[few.rows]))
    result = logistic(few.data(h), penalties=PENALTIES)
    return result_row(few, result, seed=subject.seed) | {"probe": "invariance", "chance": 1 / one.count}


def _moved(subject: Subject, one: Transformation) -> dict[str, Any]:
    test = subject.dataset.rows("test")
    h = subject.embed(test)
    number = _numbers(one, len(subject.dataset.split), subject.seed)[test]
    moving = one.first + number % (one.count - one.first)
    copy = subject.embed(test, _Changed(subject.encoder, one.change, moving))
    draw = numpy_generator("other image", subject.seed).permutation(len(test))
    other = np.empty_like(draw)
    other[draw] = np.roll(draw, 1)  # one cycle through all images: never an image itself
    between = _distance(h, h[other])
    apart = between > 1e-12  # what rounding leaves of one representation for all
    return {
        "probe": "invariance",
        "target": one.name,
        "split": "test",
        "n": len(test),
        "score": plain(_distance(h, copy) / between) if apart else None,
        "score_name": "relative distance",
        "higher_is_better": False,
        "settings": {"metric": "cosine"},
        "notes": [] if apart else ["all test images have one representation: there is no distance to compare with"],
    }


def _numbers(one: Transformation, rows: int, seed: int) -> Int[np.ndarray, " n"]:
    return (uniform(np.arange(rows), 1, "invariance", one.name, seed)[:, 0] * one.count).astype(np.int64)


def _distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]) -> float:
    """Return the mean of 1 - cosine; a row of zeros is at distance 1 of all."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(1 - (a * b).sum(axis=1) / np.where(length > 0, length, 1.0)))
