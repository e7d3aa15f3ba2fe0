"""From a table's path to a data set: read, audit, refuse or drop what is bad, split, decode."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from isotone.data.arrays import fingerprint
from isotone.data.audit import Audit, audit
from isotone.data.images import Progress, Source, decode_all
from isotone.data.settings import DataSettings
from isotone.data.split import split_groups, split_rows
from isotone.data.table import read_table
from isotone.errors import DataError
from isotone.records import Dataset


def load_table(
    path: Path, settings: DataSettings, seed: int, progress: Progress | None = None
) -> tuple[Dataset, Audit]:
    """Read a table and everything that it names, checked, split and decoded.

    Args:
        path: CSV or Parquet.
        settings: columns, split, images, and what a bad row does.
        seed: of the split, where the table gives none.
        progress: called with (images done, total); every image is read once to check it and once to decode it.

    Returns:
        the data set of the rows without a fatal problem, and the audit of all rows.

    Raises:
        DataError: the table cannot be read; with `on_bad="error"` any fatal problem (the error carries them all), with
            "skip" only those of the whole table.
        ConfigError: the cache folder cannot be written.
    """
    table = read_table(path, settings)
    found = audit(table, settings, _half(progress, 0))
    _refuse(found, settings)
    rows = np.flatnonzero(found.keep)
    target = found.target[rows]
    group = None if found.group is None else found.group[rows]
    if found.split is not None:
        split = found.split[rows]
    else:
        together = split_groups(group, None if found.digest is None else found.digest[rows])
        split = split_rows(len(rows), target, together, settings.val_fraction, settings.test_fraction, seed)
    inputs = _inputs(found, rows, settings, _half(progress, 1))
    dataset = Dataset(
        name=path.name,
        kind="rows" if table.image_column is None else "image",
        inputs=inputs,
        target=target,
        target_names=table.target,
        split=split,
        label=found.label[rows],
        row=found.lines[rows],
        group=group,
        group_name=table.group,
        fingerprint=fingerprint(inputs, target, split),
    )
    return dataset, found


def load_inputs(
    path: Path, settings: DataSettings, progress: Progress | None = None
) -> tuple[np.ndarray, Shaped[np.ndarray, " n"]]:
    """Read new data for a trained model: the same reading and audit, without targets, groups and splits.

    Args:
        path: CSV or Parquet with the image column or the features of the run.
        settings: those of the run; `channels` must be what the run resolved it to (`1` or `3`), since `auto` would
            look at the new images.
        progress: as for `load_table`.

    Returns:
        the inputs, (n, h, w, c) uint8 or (n, f) float32, and (n,) how to call each row. With `on_bad="skip"` n leaves
        out the bad rows.

    Raises:
        DataError: as for `load_table`, or no row is usable.
        ConfigError: the cache folder cannot be written.
    """
    found = audit(read_table(path, settings, targets=False), settings, _half(progress, 0))
    _refuse(found, settings)
    rows = np.flatnonzero(found.keep)
    if not len(rows):
        raise DataError(found.fatal)
    return _inputs(found, rows, settings, _half(progress, 1)), found.label[rows]


# ----------------------------------------------------------------------------------------------------------------------


def _refuse(found: Audit, settings: DataSettings) -> None:
    whole = [problem for problem in found.fatal if problem.row is None]
    if whole or (found.fatal and settings.on_bad == "error"):
        raise DataError(found.fatal if settings.on_bad == "error" else whole)


def _inputs(found: Audit, rows: np.ndarray, settings: DataSettings, progress: Progress | None) -> np.ndarray:
    if not found.sources:
        return found.features[rows]
    chosen: list[Source] = [source for row in rows.tolist() if (source := found.sources[row]) is not None]
    grey = found.grey if settings.channels == "auto" else settings.channels == "1"
    return decode_all(chosen, settings, 1 if grey else 3, progress)


def _half(progress: Progress | None, half: int) -> Progress | None:
    """Checking is the first half of the work, decoding the second."""
    return None if progress is None else lambda done, total: progress(done + half * total, 2 * total)
