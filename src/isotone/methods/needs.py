"""What a method needs of the data, and which head their labels ask for: settled before anything is made."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from isotone.errors import ConfigError
from isotone.predict import FROZEN, HEADS, Task, task_of
from isotone.records import Dataset, Kind, Method, Need
from isotone.relations.geometry import distance_of

LABELS: frozenset[Need] = frozenset(("target", "category", "label"))
NEEDS: dict[Need, str] = {  # each in words, for `isotone methods` and for messages
    "target": "a target",
    "category": "a category",
    "label": "a target or a category",
    "sequence": "a sequence",
    "second": "a second input",
    "teacher": "a finished run as teacher",
}
KINDS: dict[Kind, str] = {"image": "images", "rows": "rows of numbers", "signal": "signals"}
DEFAULT_HEAD: dict[Task, str] = {"numbers": "l1", "classes": "classify", "none": "auto"}
_HAS: dict[Task, str] = {"numbers": "has targets only", "classes": "has classes only", "none": "has no labels"}
_M = TypeVar("_M", bound=Method)


def needs_label(method: Method | type[Method]) -> bool:
    """Tell whether a method trains on labelled rows only."""
    return bool(LABELS & set(method.needs))


def suited(method: _M, dataset: Dataset) -> _M:
    """Return the method with its head resolved, or refuse data that it cannot be trained on or judged with.

    Args:
        method: with its settings; its head `auto` becomes `classify` for classes, `l1` for numbers, and stays where
            there are no labels. A target distance `auto` becomes that of the data's geometry.
        dataset: decoded and split.

    Raises:
        ConfigError: the data lack what the method needs, are of a kind that it does not take, have too few labelled
            rows, targets that are no gazes, or the head is not for such labels. Each message names the way out.

    Example:
        >>> import numpy as np
        >>> from isotone.methods.baseline import Baseline
        >>> text, split = np.array(list("abcd")), np.array(["train", "train", "val", "test"])
        >>> data = Dataset("x", "rows", np.eye(4), np.eye(4)[:, :1], ("age",), split, text, np.arange(4))
        >>> suited(Baseline(), data).head
        'l1'
    """
    _check_needs(method, dataset)
    if dataset.kind not in method.kinds:
        takes = " or ".join(KINDS[kind] for kind in method.kinds)
        raise ConfigError(
            f"{type(method).__name__} takes {takes}, but data set `{dataset.name}` holds {KINDS[dataset.kind]}. "
            "`isotone methods` lists what each takes."
        )
    task = task_of(dataset)
    if task != "none":
        _check_rows(dataset, task)
    if task == "numbers" and dataset.geometry == "gaze":
        _check_gaze(dataset)
    more = {"distance": distance_of(dataset.geometry)} if getattr(method, "distance", "") == "auto" else {}
    return replace(method, head=_head(method.head, dataset, task), **more)  # pyright: ignore[reportCallIssue, reportArgumentType]


def check_views(dataset: Dataset, augment: Sequence[str]) -> None:
    """Refuse augmentations of images that turn or mirror a gaze.

    Args:
        dataset: with its geometry.
        augment: transforms, presets written out.

    Raises:
        ConfigError: one of them does.
    """
    found = [name for name in augment if name in ("flip", "turn", "rotate")]
    if found and dataset.geometry == "gaze" and dataset.target_names:
        raise ConfigError(
            f"the augmentation {found[0]!r} turns a gaze without its target. Name others, such as --augment "
            "light,noise."
        )


# ----------------------------------------------------------------------------------------------------------------------


def _check_needs(method: Method, dataset: Dataset) -> None:
    task = task_of(dataset)
    fixes: dict[Need, tuple[bool, str]] = {
        "target": (task == "numbers", "Use --method supcon or baseline, or name a --target."),
        "category": (task == "classes", "Use --method rnc or baseline, or name a --category."),
        "label": (task != "none", ""),
        "sequence": (dataset.sequence is not None, "Name its column: --sequence."),
        "second": (dataset.second is not None, "Name its column: --second."),
        "teacher": (True, ""),  # looked for when it is read
    }
    for need in method.needs:
        there, fix = fixes[need]
        if there:
            continue
        if need in LABELS and task == "none":
            flags = {"target": "a --target", "category": "a --category", "label": "a --target or a --category"}[need]
            fix = f"Name {flags}, or use a method that needs no label: `isotone methods` lists what each needs."
        has = _HAS[task] if need in LABELS else "names none"
        what = "`target` or a `category`" if need == "label" else f"`{need}`"
        raise ConfigError(f"{type(method).__name__} needs a {what}, but data set `{dataset.name}` {has}. {fix}")


def _check_rows(dataset: Dataset, task: Task) -> None:
    train, val, test = (dataset.labelled(side) for side in ("train", "val", "test"))
    if len(train) < 2 or not len(val) or not len(test):
        raise ConfigError(
            f"data set `{dataset.name}` has {len(train)} rows with a label to train on, {len(val)} for validation and "
            f"{len(test)} for the test, but at least 2, 1 and 1 are needed. Label more rows, or change the split."
        )
    if task == "classes" and dataset.category is not None and len(set(dataset.category[train].tolist())) < 2:
        only = dataset.classes[int(dataset.category[train[0]])]
        raise ConfigError(
            f"all {len(train)} training rows of data set `{dataset.name}` with a label are of class {only!r}, so there "
            "is nothing to tell apart. Look at --category and at the split."
        )


def _check_gaze(dataset: Dataset) -> None:
    target, names = dataset.target, dataset.target_names
    if len(names) not in (2, 3):
        raise ConfigError(
            f"geometry gaze takes two targets, pitch and yaw in radians, or three, a direction, but there "
            f"{'is' if len(names) == 1 else 'are'} {len(names)}: {', '.join(names)}. Name them: --target pitch,yaw."
        )
    for name, y, most in zip(names, target.T, (math.pi / 2, math.pi), strict=False):
        if len(names) == 2 and np.nanmax(np.abs(y)) > most + 1e-6:
            raise ConfigError(
                f"geometry gaze takes pitch (up to 1.5708 either way) and yaw (up to 3.1416) in radians, but {name!r} "
                f"goes from {np.nanmin(y):g} to {np.nanmax(y):g}. Multiply degrees by 0.0174533; pitch comes first."
            )
    if len(names) == 3 and (target == 0).all(axis=1).any():
        row = dataset.label[(target == 0).all(axis=1)][0]
        raise ConfigError(f"geometry gaze takes directions, but {row} is all zeros and has none. Remove such rows.")


def _head(head: str, dataset: Dataset, task: Task) -> str:
    if head == "auto" or head in FROZEN[task]:
        return DEFAULT_HEAD[task] if head == "auto" else head
    if task == "none":
        raise ConfigError(
            f"the head {head!r} is fitted on labels, and data set `{dataset.name}` has none. Leave out --head, or name "
            "a --target or a --category."
        )
    does, has, use, other = (
        ("predicts numbers", f"classes ({dataset.category_name!r})", "classify", "--target")
        if task == "classes"
        else ("tells classes apart", "targets", ", ".join(HEADS["numbers"]), "--category")
    )
    raise ConfigError(
        f"the head {head!r} {does}, but data set `{dataset.name}` has {has}. Use --head {use}, or name a {other} "
        "instead."
    )
