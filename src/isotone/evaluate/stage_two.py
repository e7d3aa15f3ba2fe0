"""Stage 2: the linear predictor on the frozen encoder, the same for every method that trains an encoder alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.check import between, positive
from isotone.predict import predictor
from isotone.predict.conformal import check_level
from isotone.predict.linear import fit_linear
from isotone.predict.logistic import fit_logistic
from isotone.predict.scaling import Scaling
from isotone.records import Dataset

Embed = Callable[[np.ndarray, int], Tensor]  # rows of the data set and an epoch to their augmented representations


@dataclass(frozen=True)
class HeadSettings:
    """Stage 2: the linear predictor on the frozen encoder, in eval mode, its best state picked on validation.

    Args:
        head_epochs: epochs of stage 2, for numbers. For classes it is solved to the end, for 45 penalties.
        head_batch: rows in a batch of stage 2, for numbers.
        head_lr: learning rate of stage 2, for numbers.
        head_views: augmented passes of the training rows that stage 2 sees (numbers: in turn); 0 fits on the clean
            rows.
        interval: share of new rows that lie in the interval around their prediction, such as 0.9; 0 writes none. Any
            finished run of numbers can be asked later: `isotone predict --interval 0.9`.
    """

    head_epochs: int = 100
    head_batch: int = 64
    head_lr: float = 0.05
    head_views: int = 0
    interval: float = 0.0

    def __post_init__(self) -> None:
        between("head_epochs", self.head_epochs, 1, 100_000)
        between("head_batch", self.head_batch, 1, 1_000_000)
        between("head_views", self.head_views, 0, 100_000)
        positive("head_lr", self.head_lr)
        if self.interval:
            check_level(self.interval)


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The linear layer on raw representations, and what `metrics.json` says of its fit."""

    layer: nn.Linear
    record: dict[str, Any]


def fit_head(
    dataset: Dataset,
    h: Float[Tensor, "n d"],
    embed: Embed,
    scaling: Scaling,
    head: str,
    settings: HeadSettings,
    *,
    seed: int,
) -> FittedHead:
    """Fit the head on the training rows that have a label, and pick its best state on validation.

    Args:
        dataset: with its labels and split.
        h: (n, d) clean representations of all rows.
        embed: gives augmented ones, where the settings want them.
        scaling: of the targets.
        head: name of the predictor.
        settings: of stage 2.
        seed: of the order of the rows.

    Raises:
        ShapeError: a representation is not finite.
    """
    train, val = dataset.labelled("train"), dataset.labelled("val")
    if dataset.category is not None:
        return _classes(dataset.category, len(dataset.classes), h, embed, settings, train, val)
    target = torch.from_numpy(scaling.standardise(dataset.target)).float()

    def features(epoch: int) -> Tensor:
        return embed(train, epoch % settings.head_views)

    fit = fit_linear(
        features if settings.head_views else h[train],
        target[train],
        h[val],
        target[val],
        predictor=predictor(head),
        epochs=settings.head_epochs,
        lr=settings.head_lr,
        batch_size=settings.head_batch,
        seed=seed,
    )
    return FittedHead(_layer(fit.weight, fit.bias), {"best_epoch": fit.best_epoch, "val_scores": list(fit.val_scores)})


# ----------------------------------------------------------------------------------------------------------------------


def _classes(
    category: np.ndarray,
    classes: int,
    h: Tensor,
    embed: Embed,
    settings: HeadSettings,
    train: np.ndarray,
    val: np.ndarray,
) -> FittedHead:
    passes = [embed(train, epoch) for epoch in range(settings.head_views)] or [h[train]]
    y, val_y = torch.from_numpy(category[train]).repeat(len(passes)), torch.from_numpy(category[val])
    fit = fit_logistic(torch.cat(passes), y, h[val], val_y, classes=classes)
    record = {"penalty": fit.penalty, "penalties": list(fit.penalties), "val_scores": list(fit.val_scores)}
    return FittedHead(_layer(fit.weight, fit.bias), record)


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
