"""The SVM probe where a row has several labels: columns of 0 and 1, or the classes of the objects in a VOC folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from isotone.data.images import decode_all
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.evaluate.subject import CHUNK, Answers, Subject, result_row
from isotone.evaluate.svm import svm
from isotone.evaluate.voc import Annotated, read_voc
from isotone.records import Dataset
from isotone.train.forward import forward

SHOWN = 3  # names of labels in a title


def svm_columns(subject: Subject) -> list[dict[str, Any]]:
    """Fit a linear SVM for each target column, which must hold 0 and 1, and score it on the test rows.

    Args:
        subject: its data have a target for each label. A row without one of them is left out.

    Returns:
        One line: `score`, the mean average precision; `by_class` of each label.

    Raises:
        ConfigError: a column holds other numbers.
        ShapeError: see `isotone.evaluate.svm.svm`.
    """
    found = subject.frozen
    known = np.asarray(np.isfinite(found.target).all(axis=1))
    for name, y in zip(found.target_names, found.target.T, strict=True):
        odd = y[known & ~np.isin(y, (0, 1))]
        if len(odd):
            raise ConfigError(
                f"`labels` are columns of 0 and 1, but {name!r} holds {odd[0]:g}. For numbers use --target, for "
                "classes --category."
            )
    return _line(subject, found.h, found.target, found.target_names, found.split, known, found.group)


def svm_voc(subject: Subject, folder: Path) -> list[dict[str, Any]]:
    """Fit a linear SVM for each class of objects, on whole images, as the VOC07 protocol does.

    Images are squashed to the square that the encoder takes. An image whose objects of a class are all marked as
    difficult is a negative in training and counts for nothing in the test.

    Args:
        subject: its encoder takes images; its own data are not needed.
        folder: as `isotone.evaluate.voc.read_voc` reads it.

    Returns:
        One line: `score`, the mean average precision; `by_class` of each class.

    Raises:
        ConfigError: the encoder takes no images; the folder is no Pascal VOC folder.
        DataError: an annotation or an image cannot be read.

    Source: Goyal et al. 2019, arXiv 1905.01235, section 4; settings of `facebookresearch/vissl`.
    """
    if len(subject.shape) != 3:
        raise ConfigError("The probe 'svm' reads images from --voc, and the encoder takes none. Leave out --voc.")
    images = read_voc(folder, seed=subject.seed)
    names = sorted({str(name) for one in images if one.side == "train" for name in one.names[~one.difficult]})
    c, side = subject.shape[:2]
    settings = DataSettings(image_size=side, resize="squash")
    split = np.array([one.side for one in images])
    data = Dataset(
        name=folder.resolve().name,
        kind="image",
        inputs=decode_all([one.image for one in images], settings, 1 if c == 1 else 3),
        target=_present(images, names),
        target_names=tuple(names),
        split=split,
        label=np.array([one.image.name for one in images]),
        row=np.arange(len(images)),
    )
    rows = np.arange(len(images))
    h = forward(subject.encoder, data, rows, subject.views, device=subject.device, chunk=CHUNK).numpy()
    line = _line(subject, h, data.target, names, split, np.ones(len(images), dtype=bool))[0]
    return [line | {"target": data.name}]


# ----------------------------------------------------------------------------------------------------------------------


def _line(
    subject: Subject,
    h: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n c"],
    names: Sequence[str],
    split: Shaped[np.ndarray, " n"],
    known: Shaped[np.ndarray, " n"],
    group: Shaped[np.ndarray, " n"] | None = None,
) -> list[dict[str, Any]]:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    train, val, test = (np.flatnonzero(known & (split == side)) for side in ("train", "val", "test"))
    asked = Answers(", ".join(names[:SHOWN]) + more, y, train, val, test, group)
    result = svm(asked.data(h[asked.rows]), names=names)
    return [result_row(asked, result, seed=subject.seed)]


def _present(images: Sequence[Annotated], names: Sequence[str]) -> Float[np.ndarray, "n c"]:
    """Return 1 where an image has an object of a class; NaN in the test where all of them are difficult."""
    y = np.zeros((len(images), len(names)))
    for i, one in enumerate(images):
        for j, name in enumerate(names):
            mine = one.difficult[one.names == name]
            hard = bool(len(mine)) and bool(mine.all())
            y[i, j] = np.nan if hard and one.side == "test" else float(len(mine) > 0 and not hard)
    return y
