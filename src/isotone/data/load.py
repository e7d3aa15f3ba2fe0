"""From a table's path to a data set: read, audit, refuse or drop what is bad, split, decode."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from isotone.data.array_cells import positions
from isotone.data.arrays import fingerprint
from isotone.data.audit import Audit, audit
from isotone.data.classes import encode
from isotone.data.images import Progress, Source, decode_all
from isotone.data.noise import wrong_labels
from isotone.data.recordings import windowed
from isotone.data.settings import DataSettings
from isotone.data.split import split_groups, split_labelled
from isotone.data.table import Labels, read_table
from isotone.errors import DataError
from isotone.records import Dataset


def load_table(
    path: Path, settings: DataSettings, seed: int, progress: Progress | None = None, *, labels: Labels = "needed"
) -> tuple[Dataset, Audit]:
    """Read a table and everything that it names, checked, split and decoded.

    Args:
        path: CSV, Parquet, or .npz with signals; a CSV or Parquet of EDF or BDF files becomes windows.
        settings: columns, split, images, and what a bad row does.
        seed: of the split, where the table gives none.
        progress: called with (images done, total); every image is read once to check it and once to decode it.
        labels: whether a target or a category must be named.

    Returns:
        the data set of the rows without a fatal problem, and the audit of all rows.

    Raises:
        DataError: the table cannot be read; with `on_bad="error"` any fatal problem (the error carries them all), with
            "skip" only those of the whole table.
        ConfigError: the cache folder cannot be written.
    """
    table = windowed(read_table(path, settings, labels=labels), settings, progress)
    parts = 1 + (table.second is not None and table.second not in table.inputs)
    found = audit(table, settings, _part(progress, 0, 2))
    _refuse(found, settings)
    rows = np.flatnonzero(found.keep)
    target, group, words, sequence, time = (
        None if x is None else x[rows]
        for x in (found.target, found.group, found.category, found.sequence, _time(found))
    )
    assert target is not None, "an audit has targets, if none then of width 0"
    codes, classes = (None, ()) if words is None else encode(words)
    split = _split(found, rows, settings, seed, codes)
    inputs = _inputs(found, rows, settings, _part(progress, parts, 2 * parts))
    second = _second(found, rows, settings, _part(progress, 2 * parts - 1, 2 * parts))
    dataset = Dataset(
        name=table.path.name,
        kind=table.kind,
        inputs=inputs,
        target=target,
        target_names=table.target,
        split=split,
        label=found.label[rows],
        row=found.lines[rows],
        group=group,
        group_name=table.group,
        fingerprint=fingerprint(inputs, target, split, category=words, sequence=sequence, time=time, second=second),
        category=codes,
        classes=classes,
        category_name=table.category,
        sequence=sequence,
        time=time,
        second=second,
        second_kind=None if found.second is None else found.second.kind,
        geometry=settings.geometry,
    )
    return wrong_labels(dataset, settings.label_noise, seed), found


def load_inputs(
    path: Path, settings: DataSettings, progress: Progress | None = None
) -> tuple[np.ndarray, Shaped[np.ndarray, " n"]]:
    """Read new data for a trained model: the same reading and audit, without targets, groups and splits.

    Args:
        path: CSV or Parquet with the image column or the features of the run, or .npz with its signals.
        settings: those of the run; `channels` must be what the run resolved it to (`1` or `3`), since `auto` would
            look at the new images.
        progress: as for `load_table`.

    Returns:
        the inputs, (n, h, w, c) uint8, (n, f) or (n, c, t) float32, and (n,) how to call each row. With
        `on_bad="skip"` n leaves out the bad rows.

    Raises:
        DataError: as for `load_table`, or no row is usable.
        ConfigError: the cache folder cannot be written.
    """
    table = windowed(read_table(path, settings, targets=False), settings, progress)
    found = audit(table, settings, _part(progress, 0, 2))
    _refuse(found, settings)
    rows = np.flatnonzero(found.keep)
    if not len(rows):
        raise DataError(found.fatal)
    return _inputs(found, rows, settings, _part(progress, 1, 2)), found.label[rows]


# ----------------------------------------------------------------------------------------------------------------------


def _refuse(found: Audit, settings: DataSettings) -> None:
    whole = [problem for problem in found.fatal if problem.row is None]
    if whole or (found.fatal and settings.on_bad == "error"):
        raise DataError(found.fatal if settings.on_bad == "error" else whole)


def _time(found: Audit) -> np.ndarray | None:
    """The time of each row of the table; without one, its place in its sequence, which rows left out do not change."""
    return found.time if found.time is not None or found.sequence is None else positions(found.sequence)


def _split(
    found: Audit, rows: np.ndarray, settings: DataSettings, seed: int, codes: np.ndarray | None
) -> Shaped[np.ndarray, " n"]:
    if found.split is not None:
        return found.split[rows]
    group = None if found.group is None else found.group[rows]
    together = split_groups(group, None if found.digest is None else found.digest[rows])
    labelled = np.ones(len(rows), dtype=bool) if found.labelled is None else found.labelled[rows]
    shares = settings.val_fraction, settings.test_fraction
    return split_labelled(labelled, found.target[rows], together, *shares, seed, codes)


def _inputs(found: Audit, rows: np.ndarray, settings: DataSettings, progress: Progress | None) -> np.ndarray:
    if found.signal is not None:
        return found.signal if len(rows) == len(found.signal) else found.signal[rows]  # else a map would be copied
    return _decoded(found.sources, found.grey, rows, settings, progress) if found.sources else found.features[rows]


def _second(found: Audit, rows: np.ndarray, settings: DataSettings, progress: Progress | None) -> np.ndarray | None:
    if found.second is None:
        return None
    if found.second.values is not None:
        return found.second.values[rows]
    return _decoded(found.second.sources, found.second.grey, rows, settings, progress)


def _decoded(
    sources: Sequence[Source | None], grey: bool, rows: np.ndarray, settings: DataSettings, progress: Progress | None
) -> np.ndarray:
    chosen: list[Source] = [source for row in rows.tolist() if (source := sources[row]) is not None]
    grey = grey if settings.channels == "auto" else settings.channels == "1"
    return decode_all(chosen, settings, 1 if grey else 3, progress)


def _part(progress: Progress | None, part: int, parts: int) -> Progress | None:
    """Checking is the first half of the work, decoding the second; each input is one part of a half."""
    return None if progress is None else lambda done, total: progress(done + part * total, parts * total)
