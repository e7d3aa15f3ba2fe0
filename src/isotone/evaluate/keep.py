"""What a run keeps for people to look at: predictions, representations, small pictures and sampled training views."""

from pathlib import Path

import numpy as np
import torch

from isotone.data.spreadsheet import neutral
from isotone.data.views import Views
from isotone.randomness import numpy_generator
from isotone.records import Dataset

MOST_ROWS = 2000  # in the embedding map: all of test first, then validation, then a sample of train
THUMB = 56  # pixels
SHOWN = 8  # training rows whose views are shown
VIEWS = 5  # views of each


def keep_predictions(path: Path, dataset: Dataset, prediction: np.ndarray) -> None:
    """Write `predictions.csv`: each row's name, side of the split, group, targets and predictions.

    Args:
        path: of the file.
        dataset: the rows.
        prediction: (n, k) in the user's units.
    """
    import pandas as pd

    frame = pd.DataFrame({"row": dataset.row, "label": [neutral(x) for x in dataset.label], "split": dataset.split})
    if dataset.group is not None:
        frame["group"] = [neutral(x) for x in dataset.group]
    for column, name in enumerate(dataset.target_names):
        frame[neutral(name)] = dataset.target[:, column]
        frame[neutral(f"predicted_{name}")] = prediction[:, column]
    frame.to_csv(path, index=False)


def keep_features(path: Path, dataset: Dataset, h: np.ndarray, prediction: np.ndarray, *, seed: int) -> None:
    """Write `features.npz`: representations, predictions and thumbnails of at most 2,000 rows, the test rows first.

    Args:
        path: of the file.
        dataset: the rows.
        h: (n, d) representations.
        prediction: (n, k) in the user's units.
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
    )


def keep_views(path: Path, dataset: Dataset, views: Views, *, seed: int) -> None:
    """Write `views.npz`: training views as the encoder sees them, so that a wrong augmentation is seen.

    Args:
        path: of the file; nothing is written for rows.
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
    np.savez_compressed(path, image=image, label=dataset.label[index].astype(str), target=dataset.target[index])


# ----------------------------------------------------------------------------------------------------------------------


def _thumbnails(images: np.ndarray) -> np.ndarray:
    side = images.shape[1]
    if side <= THUMB:
        return images
    from PIL import Image

    small = [np.asarray(Image.fromarray(x.squeeze()).resize((THUMB, THUMB), Image.Resampling.BOX)) for x in images]
    return np.stack(small).reshape(len(images), THUMB, THUMB, images.shape[-1])
