"""Predictors: what turns a linear head's outputs into a prediction. Adding one = one file, and one line here."""

from typing import Literal

from isotone.errors import ConfigError, nearest
from isotone.predict.classify import Classify
from isotone.predict.huber import Huber
from isotone.predict.l1 import L1
from isotone.predict.mse import MSE
from isotone.records import Dataset, Predictor

Task = Literal["numbers", "classes", "none"]

PREDICTORS: dict[str, type[Predictor]] = {"l1": L1, "mse": MSE, "huber": Huber, "classify": Classify}
HEADS: dict[Task, tuple[str, ...]] = {"numbers": ("l1", "mse", "huber"), "classes": ("classify",), "none": ()}


def predictor(name: str) -> Predictor:
    """Return the predictor of that name with its default settings.

    Args:
        name: a key of `PREDICTORS`.

    Returns:
        A frozen dataclass with `outputs`, `loss` and `decode`.

    Raises:
        ConfigError: there is no such predictor; the message names the nearest one.

    Example:
        >>> predictor("huber")
        Huber(delta=1.0)
    """
    if name not in PREDICTORS:
        raise ConfigError(
            f"The head must be one of {', '.join(PREDICTORS)}, but got {name!r}.{nearest(name, PREDICTORS)}"
        )
    return PREDICTORS[name]()


def task_of(dataset: Dataset) -> Task:
    """Return what there is to predict in a data set: `numbers`, `classes`, or `none` where it has no labels."""
    if dataset.category is not None:
        return "classes"
    return "numbers" if dataset.target.shape[1] else "none"
