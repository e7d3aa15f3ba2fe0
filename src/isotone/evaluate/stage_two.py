"""Stage 2: the predictor on the frozen encoder, the same for every method that trains an encoder alone.

L1, MSE and Huber are fitted by SGD from the ridge solution; classes, and targets in bins, to the end for a ladder of
penalties; kNN keeps the training rows and chooses its number of neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotone.check import between, positive
from isotone.errors import ConfigError
from isotone.predict import BINNED, predictor
from isotone.predict.conformal import check_level
from isotone.predict.knn import Neighbours, fit_neighbours
from isotone.predict.linear import fit_linear
from isotone.predict.logistic import fit_logistic
from isotone.predict.penalised import fit_penalised
from isotone.predict.scaling import BINS, Scaling
from isotone.records import Dataset, Predictor

Embed = Callable[[np.ndarray, int], Tensor]  # rows of the data set and an epoch to their augmented representations


@dataclass(frozen=True)
class HeadSettings:
    """Stage 2: the predictor on the frozen encoder, in eval mode, its best state picked on validation.

    Args:
        head_epochs: epochs of stage 2, for l1, mse and huber. The other linear heads are solved to the end, for a
            ladder of penalties.
        head_batch: rows in a batch of stage 2, for l1, mse and huber.
        head_lr: learning rate of stage 2, for l1, mse and huber.
        head_views: augmented passes of the training rows that stage 2 sees (l1, mse and huber: in turn; knn: none); 0
            fits on the clean rows.
        head_bins: bins that dex, dldl, or and corn make of each target, from its smallest to its largest training
            value; for whole numbers such as ages, largest - smallest + 1 gives each its own.
        interval: share of new rows that lie in the interval around their prediction, such as 0.9; 0 writes none. Any
            finished run of numbers can be asked later: `isotone predict --interval 0.9`.
        interval_form: constant: all intervals are equally wide; quantile: two quantile heads on the frozen encoder make
            them wide where rows are uncertain. Both hold the share, by the validation rows.
        scheme: frozen, or finetune: encoder and fitted head are then trained on together, on the labels alone, and the
            epoch with the best validation score is kept, the start included.
        finetune_passes: further passes of each labelled training row through the encoder, for finetune.
        finetune_lr: learning rate of finetune, for batches of 256; 0 takes a tenth of the encoder's.
    """

    head_epochs: int = 100
    head_batch: int = 64
    head_lr: float = 0.05
    head_views: int = 0
    head_bins: int = BINS
    interval: float = 0.0
    interval_form: Literal["constant", "quantile"] = "constant"
    scheme: Literal["frozen", "finetune"] = "frozen"
    finetune_passes: int = 30
    finetune_lr: float = 0.0

    def __post_init__(self) -> None:
        between("head_epochs", self.head_epochs, 1, 100_000)
        between("head_batch", self.head_batch, 1, 1_000_000)
        between("head_views", self.head_views, 0, 100_000)
        between("head_bins", self.head_bins, 2, 10_000)
        positive("head_lr", self.head_lr)
        if self.interval:
            check_level(self.interval)
        elif self.interval_form == "quantile":
            raise ConfigError(
                "`interval_form` quantile needs to know the share of rows that its intervals are to hold, but "
                "`interval` is 0. Add --interval 0.9, or leave out --interval-form."
            )
        between("finetune_passes", self.finetune_passes, 1, 1_000_000)
        if self.finetune_lr:
            positive("finetune_lr", self.finetune_lr)


def check_scheme(settings: HeadSettings, method: str, head: str, *, own_head: bool) -> None:
    """Raise a ConfigError where there is nothing to fine-tune, or encoder and head are trained together anyway.

    Args:
        settings: of stage 2.
        method: its name.
        head: name of the predictor; `none` where the data have no labels.
        own_head: whether the method trains a head.
    """
    if settings.scheme == "frozen":
        return
    if head == "none":
        raise ConfigError(
            "`scheme` finetune trains on labels, and the data have none. Leave it out, or name a --target or a "
            "--category."
        )
    if head == "knn":
        raise ConfigError(
            "`scheme` finetune trains encoder and head on, and the head knn has nothing to train. Use --head l1, or "
            "leave out --scheme."
        )
    if own_head:
        raise ConfigError(
            f"`scheme` finetune is for methods that train an encoder alone, and {method} trains encoder and head "
            "together already. Leave it out."
        )


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The layer on raw representations, and what `metrics.json` says of its fit."""

    layer: nn.Linear | Neighbours
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
    exact = torch.from_numpy(scaling.standardise(dataset.target))
    target = exact.float()
    if head == "knn":
        near = fit_neighbours(h[train], exact[train], h[val], exact[val])
        record = {"k": int(near.head.k), "ks": list(near.ks), "val_scores": list(near.val_scores)}
        return FittedHead(near.head, record)
    if head in BINNED:
        return _bins(target, h, embed, predictor(head, scaling.bins), settings, train, val)

    def features(epoch: int) -> Tensor:
        return embed(train, epoch % settings.head_views)

    fit = fit_linear(
        features if settings.head_views else h[train],
        target[train],
        h[val],
        target[val],
        predictor=predictor(head, scaling.bins),
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
    passes = _passes(h, embed, settings, train)
    y, val_y = torch.from_numpy(category[train]).repeat(len(passes)), torch.from_numpy(category[val])
    fit = fit_logistic(torch.cat(passes), y, h[val], val_y, classes=classes)
    record = {"penalty": fit.penalty, "penalties": list(fit.penalties), "val_scores": list(fit.val_scores)}
    return FittedHead(_layer(fit.weight, fit.bias), record)


def _bins(
    target: Tensor,
    h: Tensor,
    embed: Embed,
    head: Predictor,
    settings: HeadSettings,
    train: np.ndarray,
    val: np.ndarray,
) -> FittedHead:
    passes = _passes(h, embed, settings, train)
    y = target[train].repeat(len(passes), 1)
    fit = fit_penalised(torch.cat(passes), y, h[val], target[val], predictor=head)
    record = {"penalty": fit.penalty, "penalties": list(fit.penalties), "val_scores": list(fit.val_scores)}
    return FittedHead(_layer(fit.weight, fit.bias), record)


def _passes(h: Tensor, embed: Embed, settings: HeadSettings, train: np.ndarray) -> list[Tensor]:
    """Return the representations to fit on: each augmented pass of the training rows, or the clean one."""
    return [embed(train, epoch) for epoch in range(settings.head_views)] or [h[train]]


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
