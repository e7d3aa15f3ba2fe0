"""What a run shows of its representation while it trains: nearest neighbours on validation rows, and its health.

The loss of a self-supervised method says little of what was learned; the labels, where there are some, are looked at
here and nowhere in the training.
"""

from collections.abc import Callable
from typing import TextIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.data.views import Views
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.probe import ProbeData
from isotone.nets.network import Network
from isotone.randomness import uniform
from isotone.records import Dataset
from isotone.train.doctor import diagnose
from isotone.train.forward import forward

K = 20  # neighbours: of 2,000 rows; the probe after training uses 200 of all


def online(
    dataset: Dataset,
    views: Views,
    *,
    device: torch.device,
    seed: int,
    most_rows: int = 2000,
    ordered: bool = False,
    stream: TextIO | None = None,
) -> Callable[[nn.Module], dict[str, float]]:
    """Return what the training loop asks now and then: a function of the network that gives named numbers.

    - `knn`, where rows have labels: for classes the accuracy of the 20 nearest training rows' weighted vote
      (`isotone.evaluate.knn.knn_classes`) on validation rows; for targets `1 - MAE / MAE of the training median`, 1 is
      perfect and 0 as good as a constant, the mean over the targets that vary.
    - `effective_rank`, `dead_units`, `cosine`, `spread`: see `isotone.train.doctor.diagnose`.

    The rows are drawn once, at most `most_rows` training rows and as many validation rows, clean views. Nothing is
    trained, and the network stays as it was. One that has diverged gives no numbers, for the next loss says so.

    Args:
        dataset: where the rows are; labels are not needed.
        views: makes clean views.
        device: where the network is.
        seed: of the choice of rows.
        most_rows: of each side; the time of a call grows with it.
        ordered: whether the loss itself asks for few directions, see `diagnose`.
        stream: where the doctor's sentences go, each of them once; None is silent.

    Returns:
        A function of an `isotone.nets.network.Network`.

    Example:
        >>> from isotone.data.arrays import load_arrays
        >>> from isotone.data.settings import DataSettings
        >>> x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
        >>> dataset = load_arrays(x, x[:, 0], settings=DataSettings(), seed=0)
        >>> watch = online(dataset, Views("rows"), device=torch.device("cpu"), seed=0)
        >>> numbers = watch(Network(nn.Identity()))
        >>> sorted(numbers), numbers["knn"] > 0.3
        (['cosine', 'dead_units', 'effective_rank', 'knn', 'spread'], True)
    """
    val = _some(dataset.rows("val"), most_rows, seed)
    train = _some(dataset.labelled("train"), most_rows, seed)
    return _Watch(dataset, views, device, train, val, ordered, stream)


# ----------------------------------------------------------------------------------------------------------------------


class _Watch:
    def __init__(
        self,
        dataset: Dataset,
        views: Views,
        device: torch.device,
        train: np.ndarray,
        val: np.ndarray,
        ordered: bool,
        stream: TextIO | None,
    ) -> None:
        self.dataset, self.views, self.device = dataset, views, device
        self.train, self.val, self.ordered, self.stream = train, val, ordered, stream
        self.labelled = np.flatnonzero(np.isin(val, dataset.labelled("val")))  # places in `val`
        self.said: set[str] = set()

    def __call__(self, net: nn.Module) -> dict[str, float]:
        if len(self.val) < 2:
            return {}
        h = self._embedded(net, self.val)
        if not bool(h.isfinite().all()):
            return {}
        health = diagnose(h, ordered=self.ordered)
        for problem, sentence in health.problems.items():
            if problem not in self.said and self.stream is not None:
                self.stream.write(f"{sentence}\n")
            self.said.add(problem)
        return self._neighbours(net, h) | health.numbers()

    def _embedded(self, net: nn.Module, rows: np.ndarray) -> Float[Tensor, "n d"]:
        assert isinstance(net, Network), "the loop trains what a method's `build` returned"
        return forward(net.encoder, self.dataset, rows, self.views, device=self.device)

    def _neighbours(self, net: nn.Module, h: Float[Tensor, "v d"]) -> dict[str, float]:
        """Return `knn`, or nothing where there are no labels or all are one."""
        if not len(self.labelled) or not len(self.train):
            return {}
        bank = self._embedded(net, self.train)
        if not bool(bank.isfinite().all()):
            return {}
        near, rows, val = bank.numpy(), h[torch.from_numpy(self.labelled)].numpy(), self.val[self.labelled]

        def data(y: np.ndarray) -> ProbeData:
            return ProbeData(near, y[self.train], rows[:0], y[val][:0], rows, y[val])

        if self.dataset.category is not None:
            several = len(np.unique(self.dataset.category[self.train])) > 1
            return {"knn": knn_classes(data(self.dataset.category), k=K).score} if several else {}
        scores: list[float] = []
        for y in self.dataset.target.T:
            constant = float(np.abs(y[val] - np.median(y[self.train])).mean())
            if constant > 0:
                scores.append(1 - knn_numbers(data(y), k=K).score / constant)
        return {"knn": float(np.mean(scores))} if scores else {}


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most `most` of the rows, ascending; which ones depends on the seed and the rows alone."""
    if len(rows) <= most:
        return rows
    order = np.argsort(uniform(rows, 1, "online rows", seed)[:, 0], kind="stable")
    return np.sort(rows[order[:most]])
