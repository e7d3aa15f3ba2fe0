"""Predictors: what turns a linear head's outputs into a prediction. Adding one = one file, and one line here."""

from typing import Literal

from isotone.errors import ConfigError, nearest
from isotone.predict.classify import Classify
from isotone.predict.corn import CORN
from isotone.predict.dex import DEX
from isotone.predict.dldl import DLDL
from isotone.predict.huber import Huber
from isotone.predict.l1 import L1
from isotone.predict.mse import MSE
from isotone.predict.or_ import OR
from isotone.records import Bins, Dataset, Predictor

Task = Literal["numbers", "classes", "none"]
NumberHead = Literal["l1", "mse", "huber", "dex", "dldl", "or", "corn", "knn"]  # on a frozen encoder
TrainedHead = Literal["auto", "l1", "mse", "huber", "dex", "dldl", "or", "corn", "classify"]  # trained end to end
Head = Literal[TrainedHead, "knn"]

BINNED: dict[str, type[DEX | DLDL | OR | CORN]] = {"dex": DEX, "dldl": DLDL, "or": OR, "corn": CORN}
PREDICTORS: dict[str, type[Predictor]] = {"l1": L1, "mse": MSE, "huber": Huber, **BINNED, "classify": Classify}
HEADS: dict[Task, tuple[str, ...]] = {
    "numbers": ("l1", "mse", "huber", *BINNED),
    "classes": ("classify",),
    "none": (),
}
FROZEN: dict[Task, tuple[str, ...]] = {**HEADS, "numbers": (*HEADS["numbers"], "knn")}  # what a frozen encoder takes


def predictor(name: str, bins: Bins | None = None) -> Predictor:
    """Return the predictor of that name with its default settings.

    Args:
        name: a key of `PREDICTORS`.
        bins: of the training targets (`Scaling.of(train_target).bins`), for the predictors that ask which bin a target
            is in; the others leave them aside.

    Returns:
        A frozen dataclass with `outputs`, `loss` and `decode`.

    Raises:
        ConfigError: there is no such predictor, and the message names the nearest one; or it needs bins.

    Example:
        >>> predictor("huber"), predictor("dex", Bins((-1.5,), (2.0,)))
        (Huber(delta=1.0), DEX(bins=Bins(low=(-1.5,), high=(2.0,), count=50)))
    """
    if name not in PREDICTORS:
        raise ConfigError(
            f"The head must be one of {', '.join(PREDICTORS)}, but got {name!r}.{nearest(name, PREDICTORS)}"
        )
    if name not in BINNED:
        return PREDICTORS[name]()
    if bins is None:
        raise ConfigError(
            f"The head {name!r} needs the bins of the training targets, but got none. "
            f"Give them: predictor({name!r}, Scaling.of(train_target).bins)."
        )
    return BINNED[name](bins)


def task_of(dataset: Dataset) -> Task:
    """Return what there is to predict in a data set: `numbers`, `classes`, or `none` where it has no labels."""
    if dataset.category is not None:
        return "classes"
    return "numbers" if dataset.target.shape[1] else "none"
