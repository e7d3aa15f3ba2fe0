"""From the folder of a published data set to a table: columns by its card, the split that was asked for, a report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped

from isotone.data import augment
from isotone.data.datasets import Card, Reading, reader
from isotone.data.datasets.frames import column, kept
from isotone.data.datasets.sides import dir_split, held_out
from isotone.data.datasets.tree import check_root
from isotone.data.settings import DataSettings
from isotone.data.split import read_sides
from isotone.data.table import Table, check_named, numbers, texts
from isotone.errors import ConfigError, Problem, nearest


def with_columns(settings: DataSettings) -> DataSettings:
    """Fill in the columns that the card of a data set names, where the user named none.

    Args:
        settings: with a dataset.

    Example:
        >>> with_columns(DataSettings(dataset="agedb")).target
        ('age',)
    """
    card = _card(settings)
    asked = settings.split != "drawn" or settings.hold_out is not None
    return replace(
        settings,
        image_column=settings.image_column or card.inputs,
        target=settings.target or (() if settings.category else card.target),
        group=settings.group or card.group,
        split_column=settings.split_column or ("split" if asked else None),
    )


def suited_augment(settings: DataSettings, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the augmentations without the flip, where mirroring changes the target: `mild` loses it, others must not.

    Args:
        settings: with a dataset.
        names: of the augmentations.

    Raises:
        ConfigError: the flip is named, alone or by a set other than `mild`.

    Example:
        >>> suited_augment(DataSettings(dataset="mpii-face-gaze"), ("mild",))
        ('light',)
    """
    card = _card(settings)
    if card.flips:
        return names
    named = tuple("light" if name == "mild" else name for name in names)
    if "flip" in augment.parse(",".join(named), "image"):
        raise ConfigError(
            f"augment {','.join(names)!r} flips images, but a mirrored image of {card.name} has another target. "
            "Leave the flip out, as in --augment light,color."
        )
    return named


def read_dataset(root: Path, settings: DataSettings, *, targets: bool = True) -> Table:
    """Read the folder of a data set as a table; every row has its target, unless rows without are asked for.

    Args:
        root: folder, with or without the set's top folder.
        settings: with a dataset; its filters, its split and what a fault does.
        targets: False where only inputs are wanted.

    Returns:
        A table whose file names start from the root. Its problems hold the report: what is left out and why as one
        warning, what is missing or damaged as problems that stop a run unless `on_bad` is skip.

    Raises:
        DataError: the root is no folder, or not that of the data set.
        ConfigError: a split or a group that the data set does not have.
    """
    card = _card(settings)
    if card.kind == "edf":
        raise ConfigError(
            f"the recordings of {card.name} are cut into windows before they are trained on. Write their table first: "
            f"isotone datasets {card.name} --root {root} --out {card.name}.csv"
        )
    settings = with_columns(settings if targets else replace(settings, split="drawn", hold_out=None))
    reading = read_folder(root, settings)
    path = root.absolute() / card.name
    check_named(path, reading.frame, settings, targets)
    asked = settings.target if targets and not settings.unlabelled else ()
    known = _known(reading.frame, asked)
    left_out = reading.left_out | {f"with no {', '.join(asked)}": int((~known).sum())}
    return Table(
        path=path,
        frame=kept(reading.frame, known),
        lines=np.flatnonzero(known) + 2,
        image_column=settings.image_column,
        features=settings.features,
        target=settings.target if targets else (),
        group=settings.group if targets else None,
        split_column=settings.split_column if targets else None,
        category=settings.category if targets else None,
        sequence=settings.sequence if targets else None,
        time=settings.time if targets else None,
        fresh=not targets,
        problems=_report(card, reading, int(known.sum()), left_out, settings.on_bad == "error"),
    )


def read_folder(root: Path, settings: DataSettings) -> Reading:
    """Read the folder of a data set and add the column `split`, where one was asked for.

    Args:
        root: folder.
        settings: with a dataset.

    Raises:
        DataError, ConfigError: as `read_dataset`.
    """
    check_root(root)
    card = _card(settings)
    reading = reader(card.name).read(root, settings)
    side = _sides(card, reading.frame, settings)
    return reading if side is None else replace(reading, frame=reading.frame.assign(split=side))


def summary(rows: int, left_out: dict[str, int]) -> str:
    """Return how many rows were read and left out, and why.

    Example:
        >>> summary(10, {"with no age": 2, "with no face": 0})
        '10 rows are read, 2 are left out (2 with no age)'
    """
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    what = f"{rows:,} rows are read, {sum(left_out.values()):,} are left out"
    return f"{what} ({reasons})" if reasons else what


# ----------------------------------------------------------------------------------------------------------------------


def _card(settings: DataSettings) -> Card:
    assert settings.dataset is not None, "asked for a dataset only"
    return reader(settings.dataset).CARD


def _known(frame: pd.DataFrame, target: tuple[str, ...]) -> Bool[np.ndarray, " n"]:
    known = np.ones(len(frame), dtype=bool)
    for name in target:
        known &= np.isfinite(numbers(column(frame, name)))
    return known


def _report(card: Card, reading: Reading, rows: int, left_out: dict[str, int], stops: bool) -> tuple[Problem, ...]:
    told = f"`isotone datasets {card.name}` says more"
    notes = [Problem("dataset", summary(rows, left_out), told, file=card.name, fatal=False)]
    notes += [Problem("dataset", text, told, file=card.name, fatal=False) for text in reading.remarks]
    return (*(replace(fault, fatal=stops) for fault in reading.faults), *notes)


def _sides(card: Card, frame: pd.DataFrame, settings: DataSettings) -> Shaped[np.ndarray, " n"] | None:
    if settings.split == "drawn" and settings.hold_out is None:
        return None
    target = np.stack([numbers(column(frame, name)) for name in card.target], axis=1)
    group = texts(column(frame, settings.group or card.group))
    if settings.hold_out is not None:
        return held_out(_is_group(group, settings.hold_out, card), target, group, settings.val_fraction)
    if settings.split == "dir":
        if not card.most_held_out:
            raise ConfigError(f"{card.name} has no DIR split: agedb and imdb-wiki have one. Leave --split out.")
        return dir_split(target[:, 0], card.most_held_out)
    if "published" not in frame.columns:
        what = card.published or "no split was published"
        raise ConfigError(f"there is no published split to read for {card.name}: {what}. Leave --split out.")
    side = read_sides(texts(column(frame, "published")))
    return side if "val" in side else held_out(side == "test", target, group, settings.val_fraction)


def _is_group(group: Shaped[np.ndarray, " n"], wanted: str, card: Card) -> Bool[np.ndarray, " n"]:
    test = group == wanted
    if not test.any():
        some = sorted(set(group.tolist()))
        raise ConfigError(
            f"hold_out {wanted!r} is no {card.group} of {card.name}, which has {len(some)}, such as "
            f"{', '.join(some[:3])}.{nearest(wanted, some)}"
        )
    return test
