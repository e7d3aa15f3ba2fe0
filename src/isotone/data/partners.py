"""What each sample of a batch is paired with: a neighbour in time of the same recording or track, or its second input.

Which neighbour, and which views, is a pure function of (seed, epoch, row), as everything that is drawn: a row has the
same partner in every batch, with any number of workers or processes, and after a resume.

Source: Wang, Gupta 2015, arXiv 1505.00687 (two patches of one track are a pair).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from isotone.data.views import Views
from isotone.errors import DataError, Problem
from isotone.randomness import key, uniform
from isotone.records import Dataset

Partners = Callable[[np.ndarray, int], Tensor]
_ROUNDING = 1e-9  # of the lag; times in decimals, such as 0.8 and 0.7, may differ by a little more than the lag


class Neighbours:
    """Finds for a row others of its sequence with 0 < |time difference| <= lag; built once, then quick.

    Args:
        sequence: (n,) of all rows, any values that can be sorted.
        time: (n,) finite.
        rows: (m,) the rows that can be picked: those that are trained on.
        lag: largest difference in time, above 0, in the unit of time.

    Raises:
        DataError: no row of `rows` has a neighbour.

    Example:
        >>> found = Neighbours(np.array(["a", "a", "b", "b"]), np.array([0.0, 1, 0, 9]), np.arange(4), lag=1.0)
        >>> found.pick(np.array([0, 1, 2]), np.array([0.5, 0.5, 0.5])).tolist(), found.share_alone
        ([1, 0, 2], 0.5)
    """

    def __init__(
        self,
        sequence: Shaped[np.ndarray, " n"],
        time: Float[np.ndarray, " n"],
        rows: Int[np.ndarray, " m"],
        *,
        lag: float,
    ) -> None:
        code = np.unique(sequence, return_inverse=True)[1].reshape(-1)
        self.sorted = rows[np.lexsort((time[rows], code[rows]))]
        given = code[self.sorted], time[self.sorted]
        reach = lag * (1 + _ROUNDING) + 4 * np.finfo(np.float64).eps * float(np.abs(time).max(initial=0.0))
        # places in `sorted`, (n,): neighbours are first ... before - 1 and after ... last - 1
        self.first = _places(*given, code, time - reach, right=False)
        self.before = _places(*given, code, time, right=False)
        self.after = _places(*given, code, time, right=True)
        self.last = _places(*given, code, time + reach, right=True)
        self.share_alone = float(np.mean(self.count(rows) == 0)) if len(rows) else 1.0
        if self.share_alone == 1.0:
            raise DataError([_none_found(*given, lag)])

    def count(self, rows: Int[np.ndarray, " b"]) -> Int[np.ndarray, " b"]:
        """Return how many neighbours each row has."""
        return (self.before - self.first + self.last - self.after)[rows]

    def pick(self, rows: Int[np.ndarray, " b"], u: Float[np.ndarray, " b"]) -> Int[np.ndarray, " b"]:
        """Return a neighbour of each row, each equally likely; a row without one is its own partner.

        Args:
            rows: (b,) any rows of the data set.
            u: (b,) in [0, 1): which of them.
        """
        count, earlier = self.count(rows), (self.before - self.first)[rows]
        nth = np.floor(u * count).astype(np.int64)
        place = np.where(nth < earlier, self.first[rows] + nth, self.after[rows] + nth - earlier)
        return np.where(count > 0, self.sorted[place.clip(max=len(self.sorted) - 1)], rows)


def neighbours(dataset: Dataset, lag: float) -> Neighbours:
    """Return the neighbours in time among a data set's training rows.

    Args:
        dataset: with sequence and time.
        lag: largest difference in time.

    Raises:
        DataError: no training row has a neighbour.
    """
    assert dataset.sequence is not None, "a method that needs a sequence is refused where there is none"
    assert dataset.time is not None, "a data set with sequences has times"
    return Neighbours(dataset.sequence, dataset.time, dataset.rows("train"), lag=lag)


def neighbour_views(
    dataset: Dataset, views: Views, lag: float, seed: int, device: torch.device | None = None, *, count: int = 1
) -> Partners:
    """Return what makes random views of a neighbour in time for each row: from rows (b,) and epoch to (v, b, ...).

    Args:
        dataset: with sequence and time.
        views: of the inputs; partners draw other numbers than the rows themselves.
        lag: largest difference in time.
        seed: of the run; a row meets another neighbour in each epoch.
        device: where the views are made; None: on the CPU.
        count: views of each neighbour, v.

    Raises:
        DataError: no training row has a neighbour.
    """
    found, other = neighbours(dataset, lag), replace(views, seed=key("neighbour", views.seed))

    def make(rows: np.ndarray, epoch: int) -> Tensor:
        partner = found.pick(rows, uniform(rows, 1, "neighbour", seed, epoch)[:, 0])
        return other.random(_raw(dataset.inputs, partner, device), rows, epoch, count)

    return make


def second_views(dataset: Dataset, views: Views, device: torch.device | None = None, *, count: int = 1) -> Partners:
    """Return what makes random views of each row's second input: from rows (b,) and epoch to (v, b, ...).

    Args:
        dataset: with a second input.
        views: of the second input; they draw other numbers than the views of the first.
        device: where the views are made; None: on the CPU.
        count: views of each second input, v.
    """
    second, other = dataset.second, replace(views, seed=key("second", views.seed))
    assert second is not None, "a method that needs a second input is refused where there is none"
    return lambda rows, epoch: other.random(_raw(second, rows, device), rows, epoch, count)


# ----------------------------------------------------------------------------------------------------------------------


def _raw(inputs: np.ndarray, rows: np.ndarray, device: torch.device | None) -> Tensor:
    # np.asarray takes a memory map's class off the copy
    return torch.from_numpy(np.asarray(np.take(inputs, rows, axis=0))).to(device)


def _places(
    code: np.ndarray, time: np.ndarray, asked_code: np.ndarray, asked_time: np.ndarray, *, right: bool
) -> np.ndarray:
    """Return how many of the sorted (code, time) come before each of those asked for; `right` counts equal ones too.

    One sort of all together takes the place of a search through each sequence.
    """
    asked = np.r_[np.zeros(len(code), dtype=bool), np.ones(len(asked_code), dtype=bool)]
    order = np.lexsort((asked == right, np.r_[time, asked_time], np.r_[code, asked_code]))
    before = np.cumsum(~asked[order])
    found = np.empty(len(asked), dtype=np.int64)
    found[order] = before
    return found[len(code) :]


def _none_found(code: np.ndarray, time: np.ndarray, lag: float) -> Problem:
    apart = np.diff(time)[(np.diff(code) == 0) & (np.diff(time) > 0)]
    what = f"no training row has a neighbour at most {lag:g} away in time (--lag)"
    if not len(apart):
        what = f"{what}: no two rows of a sequence differ in time"
        return Problem("no-neighbours", what, "Look at --sequence and --time")
    smallest = f"{apart.min():.12g}"
    what = f"{what}: rows of a sequence are at least {smallest} apart"
    return Problem("no-neighbours", what, f"Pass --lag {smallest} or more")
