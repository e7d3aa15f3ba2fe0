"""What corrupted test images do to the errors of finished runs; kept in each run's folder, so that it is done once."""

import json
import os
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from jaxtyping import Float

from isotone.data.corrupt import CORRUPTIONS, REFERENCE, SEVERITIES, check_names, corrupt
from isotone.data.load import load_table
from isotone.errors import ConfigError
from isotone.evaluate.metrics import Interval, bootstrap
from isotone.records import Dataset
from isotone.run import Run
from isotone.studies.errors import absolute_errors
from isotone.train.progress import duration

KEPT = "corruptions.npz"
CHUNK = 256  # images held corrupted at once


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Errors of one run on the test rows that have a label.

    Args:
        clean: (t,) on the images as they are.
        error: (19, 5, t) by corruption and severity; NaN for corruptions that were not asked for.
    """

    clean: Float[np.ndarray, " t"]
    error: Float[np.ndarray, "m s t"]


def run_data(run: Run) -> Dataset:
    """Return the data of a run on a table, checked to be those it was made with.

    Raises:
        ConfigError: the run was made from arrays, or its table has changed.
    """
    source = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["source"]
    if source is None:
        raise ConfigError(f"{run.folder} was made from arrays. Corruptions are tried on the images of a table.")
    data = load_table(Path(source), run.settings.data, run.settings.train.seed, labels="optional")[0]
    check_data(run, data)
    return data


def check_data(run: Run, data: Dataset) -> None:
    """Refuse to judge a run on other data than it was made with.

    Raises:
        ConfigError: the fingerprints differ.
    """
    if json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["fingerprint"] != data.fingerprint:
        raise ConfigError(f"the data are not those that {run.folder} was started with. Bring them back.")


def check_corruptible(data: Dataset, names: Sequence[str]) -> None:
    """Refuse what cannot be judged on corrupted images, before anything is trained for it.

    Raises:
        ConfigError: no images, no labelled test rows, an unknown corruption, or the extra is not installed.
    """
    if data.kind != "image":
        raise ConfigError(f"corruptions are of images, and {data.name} holds {data.kind}.")
    if not len(data.labelled("test")):
        raise ConfigError(f"corruptions are judged on test rows with labels, and {data.name} has none.")
    check_names(names)


def corrupted_errors(
    runs: Sequence[Run], data: Dataset, names: Sequence[str] = CORRUPTIONS, *, stream: TextIO | None = sys.stderr
) -> list[Corrupted]:
    """Return the errors of runs on corrupted test images; every run sees the same pixels.

    What was done before is read from the runs' folders; after each corruption all is kept there.

    Args:
        runs: of the same data and seed.
        data: of the runs.
        names: of the corruptions.
        stream: where to say which corruption is under way; None is silent.

    Raises:
        ConfigError: no images, no labels, other data, or the extra `corruptions` is not installed.
    """
    check_corruptible(data, names)
    rows = data.labelled("test")
    for run in runs:
        check_data(run, data)
    found = [_kept(run, data) or _clean(run, data, rows) for run in runs]
    places = {name: CORRUPTIONS.index(name) for name in names}
    todo = [name for name in names if not all(np.isfinite(one.error[places[name]]).all() for one in found)]
    began = time.monotonic()
    for count, name in enumerate(todo):
        if stream is not None:
            each = (time.monotonic() - began) / max(count, 1)
            left = f", about {duration((len(todo) - count) * each)} left" if count else ""
            stream.write(f"corrupting: {name}, {count + 1} of {len(todo)}{left}\n")
        for column, severity in enumerate(SEVERITIES):
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                images = corrupt(data.inputs[part], name, severity, rows=part)
                for run, one in zip(runs, found, strict=True):
                    answers = run.model.answers(run.model.embed(images))
                    one.error[places[name], column, start : start + CHUNK] = absolute_errors(data, part, answers)
        for run, one in zip(runs, found, strict=True):
            _keep(run, data, one)
    return found


def corruption_table(found: Corrupted, data: Dataset, *, seed: int) -> pd.DataFrame:
    """Return a run's errors with intervals: a line for each corruption and severity, `all` for their mean, 0 for clean.

    Args:
        found: of the run.
        data: of the run; groups are drawn whole where there are groups.
        seed: of the bootstrap.
    """
    rows = data.labelled("test")
    done = [i for i in range(len(CORRUPTIONS)) if np.isfinite(found.error[i]).all()]
    columns: dict[tuple[str, int], np.ndarray] = {("all", 0): found.clean}
    for j, severity in enumerate(SEVERITIES):
        columns["all", severity] = found.error[done, j].mean(axis=0)
    columns |= {(CORRUPTIONS[i], s): found.error[i, j] for i in done for j, s in enumerate(SEVERITIES)}
    x = np.stack(list(columns.values()), axis=1)
    names = tuple(f"{name} {severity}" for name, severity in columns)
    group = None if data.group is None else data.group[rows]
    each = bootstrap(lambda w: w @ x / w.sum(axis=1, keepdims=True), names, len(rows), group=group, seed=seed)
    lines = [
        {"corruption": name, "severity": severity, **_line(each[f"{name} {severity}"])} for name, severity in columns
    ]
    return pd.DataFrame(lines)


# ----------------------------------------------------------------------------------------------------------------------


def _line(found: Interval) -> dict[str, float]:
    return {"error": found.value, "low": found.low, "high": found.high}


def _clean(run: Run, data: Dataset, rows: np.ndarray) -> Corrupted:
    clean = absolute_errors(data, rows, run.model.answers(run.model.embed(data.inputs[rows])))
    return Corrupted(clean, np.full((len(CORRUPTIONS), len(SEVERITIES), len(rows)), np.nan))


def _kept(run: Run, data: Dataset) -> Corrupted | None:
    """Return what an earlier call kept; None where there is nothing, or it is damaged."""
    try:
        with (run.folder / KEPT).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            same = str(file["fingerprint"]) == data.fingerprint and tuple(file["names"].tolist()) == CORRUPTIONS
            same &= int(file["reference"]) == REFERENCE
            return Corrupted(file["clean"], file["error"]) if same else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _keep(run: Run, data: Dataset, found: Corrupted) -> None:
    """Write the errors whole or not at all."""
    temporary = run.folder / f".tmp-{KEPT}"
    with temporary.open("wb") as file:
        np.savez(
            file,
            clean=found.clean,
            error=found.error,
            fingerprint=np.array(data.fingerprint),
            names=np.array(CORRUPTIONS),
            reference=np.array(REFERENCE),
        )
    os.replace(temporary, run.folder / KEPT)
