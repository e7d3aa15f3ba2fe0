"""A folder of images with boxes, in the layout of Pascal VOC, and how well boxes were found: average precision.

Source: Everingham et al. 2015, doi:10.1007/s11263-014-0733-5: an object is found by a box that overlaps it by half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float, Shaped

from isotone.errors import ConfigError, DataError
from isotone.randomness import uniform

ANNOTATIONS = ("Annotations", "annotations")
IMAGES = ("JPEGImages", "images", "Images")
ENDINGS = (".jpg", ".jpeg", ".png")
TEST_SHARE = 0.3  # where the folder has no lists
LARGEST = 2**20  # bytes of one annotation file
OVERLAP = 0.5

Side = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image file and the objects in it.

    Args:
        image: its file.
        boxes: (m, 4) left, top, right, bottom in pixels, as edges: the first pixel is from 0 to 1.
        names: (m,) classes of the objects.
        difficult: (m,) objects that count neither as found nor as missed.
        side: `train` or `test`.
    """

    image: Path
    boxes: Float[np.ndarray, "m 4"]
    names: Shaped[np.ndarray, " m"]
    difficult: Bool[np.ndarray, " m"]
    side: Side


@dataclass(frozen=True, eq=False)
class Found:
    """The boxes that a detector gives for one image.

    Args:
        boxes: (m, 4) as in `Annotated`.
        names: (m,) classes.
        scores: (m,) larger = more likely.
    """

    boxes: Float[np.ndarray, "m 4"]
    names: Shaped[np.ndarray, " m"]
    scores: Float[np.ndarray, " m"]


def read_voc(folder: Path, *, seed: int = 0) -> list[Annotated]:
    """Return the images of a Pascal VOC folder with their objects, by file name.

    `Annotations` (or `annotations`) holds an XML file for each image, `JPEGImages` (or `images`) the images. The lists
    `ImageSets/Main/trainval.txt` (or `train.txt`) and `test.txt` (or `val.txt`) say which image is on which side; where
    they are missing, three in ten are drawn for the test. A box without an area is left out.

    Args:
        folder: with the two folders.
        seed: of the draw.

    Raises:
        ConfigError: the folder is not one of this layout.
        DataError: a file that cannot be read, an image that is not there; a side without images or objects.
    """
    notes, images = _inner(folder, ANNOTATIONS), _inner(folder, IMAGES)
    files = sorted(notes.glob("*.xml"))
    sides = _sides(folder, [file.stem for file in files], seed)
    found = [_read(file, images, sides[file.stem]) for file in files if file.stem in sides]
    for side in ("train", "test"):
        if not any(len(one.boxes) for one in found if one.side == side):
            raise DataError(f"{folder} has no objects on the {side} side of its images. Look at ImageSets/Main.")
    return found


def average_precisions(
    truth: Sequence[Annotated], found: Sequence[Found], *, overlap: float = OVERLAP
) -> dict[str, float]:
    """Return the average precision of each class that the images hold.

    Formula: the boxes of a class, of all images, from the highest score down; one is right where the object of its
    class that it overlaps most has intersection over union >= `overlap` with it and was not found by a box before; a
    second box on an object is wrong; one on a difficult object does not count. recall_i = right so far / objects,
    precision_i = right so far / counted so far, average precision = sum_i (recall_i - recall_{i-1}) * max_{j >= i}
    precision_j.

    Args:
        truth: images with their objects.
        found: for each image the boxes of the detector.
        overlap: above 0, up to 1.

    Returns:
        By class, from 0 to 1. A class with difficult objects only is left out.

    Example:
        >>> box, one = np.array([[0.0, 0.0, 10.0, 10.0]]), np.array(["cell"])
        >>> image = Annotated(Path("a.jpg"), box, one, np.array([False]), "test")
        >>> average_precisions([image], [Found(box + 2, one, np.array([0.9]))])  # 64 / 136 overlap
        {'cell': 0.0}
        >>> average_precisions([image], [Found(box + 1, one, np.array([0.9]))])  # 81 / 119
        {'cell': 1.0}

    Source: as at the top of this file; the area under the envelope, as since VOC 2010.
    """
    names = np.unique(np.concatenate([one.names[~one.difficult] for one in truth]))
    return {str(name): _one_class(str(name), truth, found, overlap) for name in names}


def overlaps(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return intersection over union of each two boxes.

    Example:
        >>> overlaps(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(3).tolist()
        [[0.333]]
    """
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return inner / np.maximum(area_a[:, None] + area_b - inner, 1e-12)


# ----------------------------------------------------------------------------------------------------------------------


def _inner(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise ConfigError(f"{folder} is no Pascal VOC folder: it has no {' or '.join(names)} in it.")


def _sides(folder: Path, stems: list[str], seed: int) -> dict[str, Side]:
    lists = folder / "ImageSets" / "Main"
    train, test = (
        next((_lines(lists / name) for name in names if (lists / name).is_file()), None)
        for names in (("trainval.txt", "train.txt"), ("test.txt", "val.txt"))
    )
    if train is None or test is None:
        order = np.argsort(uniform(np.arange(len(stems)), 1, "voc", seed)[:, 0], kind="stable")
        cut = round(TEST_SHARE * len(stems))
        test, train = ([stems[i] for i in part] for part in (order[:cut], order[cut:]))
    both: tuple[tuple[Side, list[str]], ...] = (("train", train), ("test", test))
    return {stem: side for side, listed in both for stem in listed}


def _lines(path: Path) -> list[str]:
    return [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _read(file: Path, images: Path, side: Side) -> Annotated:
    try:
        raw = file.read_bytes()
        if len(raw) > LARGEST or b"<!" in raw:  # a document type could declare entities that grow without end
            raise DataError(f"{file} is not read: it is over {LARGEST:,} bytes or declares a document type.")
        objects = list(ElementTree.fromstring(raw).iter("object"))  # noqa: S314
        rows = [(_text(one, "name"), *_box(one), _text(one, "difficult", "0") == "1") for one in objects]
    except (OSError, ElementTree.ParseError, ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is no Pascal VOC annotation ({error}). Repair it or leave it out.") from error
    kept = [row for row in rows if row[3] > row[1] and row[4] > row[2]]
    image = next((path for end in ENDINGS if (path := images / f"{file.stem}{end}").is_file()), None)
    if image is None:
        raise DataError(f"{file} has no image: {images / file.stem}{ENDINGS[0]} is missing.")
    boxes = np.array([row[1:5] for row in kept], dtype=np.float64).reshape(-1, 4)
    names, difficult = np.array([row[0] for row in kept], dtype=str), np.array([row[5] for row in kept], dtype=bool)
    return Annotated(image, boxes, names, difficult, side)


def _box(one: ElementTree.Element) -> tuple[float, float, float, float]:
    """Return the edges: in the files pixels count from 1 and both ends belong to the box."""
    left, top, right, bottom = (float(_text(one, f"bndbox/{end}")) for end in ("xmin", "ymin", "xmax", "ymax"))
    if right <= left or bottom <= top:
        return 0.0, 0.0, 0.0, 0.0
    return max(left - 1, 0.0), max(top - 1, 0.0), right, bottom


def _text(one: ElementTree.Element, path: str, default: str | None = None) -> str:
    text = one.findtext(path, default)
    if text is None:
        raise ValueError(f"an object has no {path}")
    return text.strip()


def _one_class(name: str, truth: Sequence[Annotated], found: Sequence[Found], overlap: float) -> float:
    scores: list[np.ndarray] = []
    rights: list[np.ndarray] = []
    for one, told in zip(truth, found, strict=True):
        mine = told.names == name
        order = np.argsort(-told.scores[mine], kind="stable")
        scores.append(told.scores[mine][order])
        rights.append(_right(one, told.boxes[mine][order], name, overlap))
    score, right = np.concatenate(scores), np.concatenate(rights)
    objects = sum(int(((one.names == name) & ~one.difficult).sum()) for one in truth)
    return _envelope(right[np.argsort(-score, kind="stable")], objects)


def _right(one: Annotated, boxes: np.ndarray, name: str, overlap: float) -> Float[np.ndarray, " m"]:
    """Return for each box, best score first: 1 right, 0 wrong, NaN where it does not count."""
    mine = one.names == name
    difficult, taken = one.difficult[mine], np.zeros(int(mine.sum()), dtype=bool)
    right = np.zeros(len(boxes))
    if not len(taken):
        return right
    shared = overlaps(boxes, one.boxes[mine])
    for i, best in enumerate(shared.argmax(axis=1).tolist()):
        if shared[i, best] < overlap:
            continue
        right[i] = np.nan if difficult[best] else float(not taken[best])
        taken[best] = True
    return right


def _envelope(right: Float[np.ndarray, " m"], objects: int) -> float:
    """Return the area under the precision envelope of boxes from the highest score down."""
    counted = right[np.isfinite(right)]
    if not len(counted):
        return 0.0
    hits = np.cumsum(counted)
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(hits / objects, prepend=0.0) * precision))
