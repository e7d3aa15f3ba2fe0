"""The lines that every comparison shows: what needs no training of an encoder at all.

The best constants, a linear fit on the raw inputs and, where the user names weights, one on their features. A method
that does not beat them has learned nothing that was worth an encoder.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotone.evaluate.angles import constants
from isotone.evaluate.constant import most_frequent_class
from isotone.evaluate.knn import knn_classes
from isotone.evaluate.probe import ProbeData
from isotone.predict import predictor
from isotone.predict.linear import fit_linear
from isotone.predict.logistic import fit_logistic
from isotone.predict.scaling import Scaling
from isotone.prepare import build
from isotone.records import Dataset
from isotone.relations.geometry import period_of
from isotone.settings import Settings
from isotone.studies.arms import Arm

SIDE = 32  # pixels: the linear fit sees images averaged to this side, which keeps it exact and quick
WIDEST = 4096  # numbers of a signal, averaged in time to at most so many
CLASS_SIDE = 16  # the same for classes, whose fit is iterative


def references(settings: Settings, task: str) -> tuple[Arm, ...]:
    """Return the reference lines for such a comparison, in the order shown.

    Args:
        settings: of a run of it.
        task: numbers or classes.
    """
    linear = "ridge" if task == "numbers" else "logistic regression"
    constants = (
        [Arm("median", "median", "constant"), Arm("mean", "mean", "constant")]
        if task == "numbers"
        else [Arm("most-frequent", "most frequent class", "constant")]
    )
    found = [*constants, Arm("linear-raw", f"{linear} on the raw inputs", "linear fit, no encoder")]
    if settings.net.pretrained or settings.net.weights:
        found.append(Arm("linear-pretrained", f"{linear} on the pretrained features", "linear fit, encoder as it came"))
    return tuple(found)


def predicted(arm: Arm, dataset: Dataset, settings: Settings) -> Float[np.ndarray, "n k"]:
    """Return a reference's predictions of all rows, numbers (n, k) in the user's units or codes (n, 1).

    Args:
        arm: of `references`.
        dataset: decoded and split; fitted on its training rows, the penalty picked on its validation rows.
        settings: of a run, which name the pretrained encoder.
    """
    train = dataset.labelled("train")
    if arm.name == "most-frequent":
        assert dataset.category is not None, "asked of class data only"
        return np.full((len(dataset.split), 1), float(most_frequent_class(dataset.category[train])))
    if arm.name in ("median", "mean"):
        return np.tile(constants(dataset.target[train], dataset.geometry)[arm.name], (len(dataset.split), 1))
    if arm.name == "linear-raw":
        return linear(dataset, raw_features(dataset))
    return linear(dataset, build(settings, dataset, None, torch.device("cpu")).model.embed(dataset.inputs))


def linear(dataset: Dataset, h: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """Return the predictions of a linear fit: ridge regression, or logistic regression for classes.

    Args:
        dataset: fitted on its labelled training rows alone, the penalty picked on its validation rows.
        h: (n, d) features of all rows.

    Example:
        >>> x, split = np.arange(12.0)[:, None], np.array(["train"] * 8 + ["val", "val", "test", "test"])
        >>> data = Dataset("x", "rows", x, 3 * x + 1, ("y",), split, split, np.arange(12))
        >>> linear(data, x)[-1].round(3).tolist()
        [34.0]
    """
    train, val = dataset.labelled("train"), dataset.labelled("val")
    features = torch.from_numpy(np.ascontiguousarray(h, dtype=np.float32))
    if dataset.category is not None:
        y, val_y = (torch.from_numpy(dataset.category[rows]) for rows in (train, val))
        fit = fit_logistic(features[train], y, features[val], val_y, classes=len(dataset.classes))
        return _out(features, fit.weight, fit.bias).argmax(dim=1, keepdim=True).double().numpy()
    scaling = Scaling.of(dataset.target[train], period=period_of(dataset.geometry))
    y = torch.from_numpy(scaling.standardise(dataset.target)).float()
    fit = fit_linear(features[train], y[train], features[val], y[val], predictor=predictor("mse"), epochs=0)
    return scaling.restore(_out(features, fit.weight, fit.bias).numpy())


def voted(dataset: Dataset, h: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 1"]:
    """Return the classes that the weighted vote of the 200 nearest training rows gives; NaN for the training rows.

    Args:
        dataset: with classes.
        h: (n, d) representations of all rows.
    """
    assert dataset.category is not None, "numbers have the head knn"
    y, train = dataset.category, dataset.labelled("train")
    val, asked = dataset.labelled("val"), np.concatenate([dataset.labelled("val"), dataset.labelled("test")])
    result = np.full((len(h), 1), np.nan)
    found = knn_classes(ProbeData(h[train], y[train], h[val], y[val], h[asked], y[asked]))
    result[asked, 0] = found.prediction
    return result


def raw_features(dataset: Dataset) -> Float[np.ndarray, "n d"]:
    """Return each row's input as one vector: rows as they are, images and signals averaged down where they are large.

    Args:
        dataset: decoded.
    """
    inputs = dataset.inputs
    if dataset.kind == "rows":
        return inputs.astype(np.float32)
    side = SIDE if dataset.category is None else CLASS_SIDE
    return np.concatenate([_small(part, dataset.kind, side) for part in _parts(inputs)])


# ----------------------------------------------------------------------------------------------------------------------


def _parts(inputs: np.ndarray, rows: int = 512) -> Iterator[np.ndarray]:
    for begin in range(0, len(inputs), rows):
        yield np.asarray(inputs[begin : begin + rows])


def _small(part: np.ndarray, kind: str, side: int) -> Float[np.ndarray, "n d"]:
    x = torch.from_numpy(part.astype(np.float32))
    if kind == "image":
        x = torch.nn.functional.adaptive_avg_pool2d(x.movedim(-1, 1), min(side, x.shape[1]))
    else:
        x = torch.nn.functional.adaptive_avg_pool1d(x, max(1, min(x.shape[2], WIDEST // x.shape[1])))
    return x.flatten(1).numpy()


def _out(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return h.double() @ weight.T.double() + bias.double()
