"""What a run keeps for people to look at: predictions, representations, small pictures and sampled training views."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isotone.data.spreadsheet import neutral
from isotone.data.views import Views
from isotone.predict.conformal import Ends, bounds
from isotone.randomness import numpy_generator
from isotone.records import Dataset

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 2000  # in the embedding map: all of test first, then validation, then a sample of train
THUMB = 56  # pixels
SHOWN = 8  # training rows whose views are shown
VIEWS = 5  # views of each
MOST_PROBABILITIES = 20  # classes; with more, a table of them is no longer read


def keep_predictions(
    path: Path,
    dataset: Dataset,
    prediction: np.ndarray,
    probabilities: np.ndarray | None = None,
    ends: Ends | None = None,
) -> None:
    """Write `predictions.csv`: each row's name, side of the split, group, targets (or class) and predictions.

    Args:
        path: of the file; nothing is written where there is nothing to predict.
        dataset: the rows.
        prediction: (n, k) in the user's units, or (n, 1) codes of classes.
        probabilities: (n, c) of the classes; written where there are at most 20.
        ends: of the intervals, low and high (n, k) in the user's units; None writes none.
    """
    import pandas as pd

    if not prediction.shape[1]:
        return
    frame = pd.DataFrame({"row": dataset.row, "label": [neutral(x) for x in dataset.label], "split": dataset.split})
    if dataset.group is not None:
        frame["group"] = [neutral(x) for x in dataset.group]
    for column, name in enumerate(dataset.target_names):
        frame[_free(name, frame)] = dataset.target[:, column]
        frame[neutral(f"predicted_{name}")] = prediction[:, column]
    targets = [neutral(name) for name in dataset.target_names]
    frame = frame.assign(**bounds(targets, ends, list(frame)))
    if dataset.category is not None:
        names = np.array([*map(neutral, dataset.classes), ""])  # the last for -1, no label
        frame[_free(str(dataset.category_name), frame)] = names[dataset.category]
        frame[neutral(f"predicted_{dataset.category_name}")] = names[prediction[:, 0].astype(np.int64)]
    if probabilities is not None and len(dataset.classes) <= MOST_PROBABILITIES:
        columns = [f"probability_{name}" for name in dataset.classes]
        frame = pd.concat([frame, pd.DataFrame(probabilities, columns=columns)], axis=1)
    frame.to_csv(path, index=False)


def keep_features(path: Path, dataset: Dataset, h: np.ndarray, prediction: np.ndarray, *, seed: int) -> None:
    """Write `features.npz`: representations, predictions and thumbnails of at most 2,000 rows, the test rows first.

    Args:
        path: of the file.
        dataset: the rows. Where they have classes, the file holds `category` and `classes` too.
        h: (n, d) representations.
        prediction: (n, k) in the user's units, (n, 1) codes of classes, or (n, 0).
        seed: of the sample.
    """
    draw = numpy_generator("keep", seed)
    sides = [draw.permutation(dataset.rows(side)) for side in ("test", "val", "train")]
    index = np.sort(np.concatenate(sides)[:MOST_ROWS])
    np.savez_compressed(
        path,
        index=index,
        label=dataset.label[index].astype(str),
        split=dataset.split[index].astype(str),
        group=np.array([], dtype=str) if dataset.group is None else dataset.group[index].astype(str),
        target=dataset.target[index],
        prediction=prediction[index],
        h=h[index].astype(np.float32),
        thumb=_thumbnails(dataset.inputs[index]) if dataset.kind == "image" else np.zeros(0, np.uint8),
        **_classes(dataset, index),
    )


def keep_views(path: Path, dataset: Dataset, views: Views, *, seed: int) -> None:
    """Write `views.npz`: training views as the encoder sees them, so that a wrong augmentation is seen.

    Args:
        path: of the file; nothing is written for inputs that are no images.
        dataset: the rows.
        views: makes the views.
        seed: of the sample of rows.
    """
    if dataset.kind != "image":
        return
    train = dataset.rows("train")
    index = np.sort(numpy_generator("views", seed).permutation(train)[:SHOWN])
    raw = torch.from_numpy(np.ascontiguousarray(dataset.inputs[index]))
    image = views.pixels(views.random(raw, index, 0, VIEWS)).transpose(0, 1).numpy()  # (r, v, h, w, c)
    label, target = dataset.label[index].astype(str), dataset.target[index]
    np.savez_compressed(path, image=image, label=label, target=target, **_classes(dataset, index))


# ----------------------------------------------------------------------------------------------------------------------


def _thumbnails(images: np.ndarray) -> np.ndarray:
    side = images.shape[1]
    if side <= THUMB:
        return images
    from PIL import Image

    small = [np.asarray(Image.fromarray(x.squeeze()).resize((THUMB, THUMB), Image.Resampling.BOX)) for x in images]
    return np.stack(small).reshape(len(images), THUMB, THUMB, images.shape[-1])


def _free(name: str, frame: "pd.DataFrame") -> str:
    """Return the name of a column of answers, which must not take the place of a column like `label` or `split`."""
    return neutral(f"true_{name}" if name in frame.columns else name)


def _classes(dataset: Dataset, index: np.ndarray) -> dict[str, Any]:
    """Return the codes of the rows and the names of the codes; nothing where there are no classes."""
    if dataset.category is None:
        return {}
    return {"category": dataset.category[index].astype(np.int64), "classes": np.array(dataset.classes, dtype=str)}
