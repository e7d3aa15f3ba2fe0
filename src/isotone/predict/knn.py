"""kNN as a head: the mean answer of the nearest training rows in the frozen encoder's space, k by validation.

What RnC orders is the distance, and this is the predictor that reads distances and nothing else. It never predicts
beyond the targets that it was trained on, and it cannot be trained end to end.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.predict.linear import check_features
from isotone.predict.neighbours import means, minus_square, nearness, tried


class Neighbours(nn.Module):
    """Maps representations (b, d) to the mean answer (b, o) of the k nearest rows that it holds.

    Formula: out(h) = (1 / k) sum of y_j over the k rows j with the smallest |h - h_j|; rows equally far as the k-th
    share its place. Computes in float64 on the CPU, in blocks of rows; 1,000 rows against 100,000 take seconds.

    A row that it holds is its own nearest: on training rows it looks better than it is.

    Args:
        rows: (n, d) representations that it holds.
        answers: (n, o) their answers.
        k: neighbours, 1 to n.

    Example:
        >>> head = Neighbours(torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[2.0], [4.0], [60.0]]), 2)
        >>> head(torch.tensor([[0.4]])).tolist()
        [[3.0]]

    Source: Cover and Hart 1967, doi:10.1109/TIT.1967.1053964.
    """

    rows: Tensor
    answers: Tensor
    k: Tensor

    def __init__(self, rows: Float[Tensor, "n d"], answers: Float[Tensor, "n o"], k: int) -> None:
        super().__init__()
        self.register_buffer("rows", rows.detach().float())
        self.register_buffer("answers", answers.detach().double())
        self.register_buffer("k", torch.tensor(k))

    def forward(self, h: Float[Tensor, "b d"]) -> Float[Tensor, "b o"]:
        """Return (b, o) float64, on the device of the representations."""
        return torch.from_numpy(_means(self.rows, self.answers, h, [int(self.k)])[:, 0]).to(h.device)


@dataclass(frozen=True, eq=False)
class NeighboursFit:
    """The head and how its number of neighbours was chosen.

    Args:
        head: holds the training rows.
        ks: numbers of neighbours that were tried, the largest first.
        val_scores: validation MAE of each in standardised units.
    """

    head: Neighbours
    ks: tuple[int, ...]
    val_scores: tuple[float, ...]


def fit_neighbours(
    features: Float[Tensor, "n d"],
    target: Float[Tensor, "n k"],
    val_features: Float[Tensor, "m d"],
    val_target: Float[Tensor, "m k"],
) -> NeighboursFit:
    """Return the head with the number of neighbours of the lowest validation MAE, the largest of equals.

    Args:
        features: (n, d) training representations; target: (n, k) their standardised targets.
        val_features: (m, d) validation representations; val_target: (m, k) their standardised targets.

    Raises:
        ShapeError: shapes do not fit, or a value is not finite.

    Example:
        >>> h = torch.linspace(0, 1, 64)[:, None]
        >>> fit_neighbours(h, 3 * h, h[20:24] + 0.001, 3 * h[20:24]).head.k.item()
        1
    """
    check_features(features, target, val_features, val_target)
    ks = tried(len(features))
    found = _means(features, target, val_features, ks)
    scores = np.abs(found - _numbers(val_target)[:, None]).mean(axis=(0, 2))
    head = Neighbours(features, target, ks[int(np.argmin(scores))])
    return NeighboursFit(head, tuple(ks), tuple(scores.tolist()))


# ----------------------------------------------------------------------------------------------------------------------


def _means(rows: Tensor, answers: Tensor, h: Tensor, ks: list[int]) -> Float[np.ndarray, "b p o"]:
    """Return the mean answer for each k; rows are centred, since a large mean would cost the distances their digits."""
    bank, y = _numbers(rows), _numbers(answers)
    middle = bank.mean(axis=0)
    near = nearness(_numbers(h) - middle, bank - middle, minus_square)
    parts = [means(one, tie, y, ks) for one, tie in near]
    return np.concatenate(parts) if parts else np.empty((0, len(ks), y.shape[1]))


def _numbers(x: Tensor) -> Float[np.ndarray, "n d"]:
    return x.detach().to("cpu", torch.float64).numpy()
