"""The verbs: what the command line and a notebook call. One function a verb; a run is a folder, `Run` its handle."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from isotone.data import audit as auditing
from isotone.data.given import Beside, named
from isotone.data.recordings import windowed, written_down
from isotone.data.table import read_table
from isotone.errors import ConfigError
from isotone.export.saved import load_model
from isotone.finish import engine, execute, start
from isotone.folder import claim, existing
from isotone.prepare import build
from isotone.records import Dataset
from isotone.run import Column, Data, Run, listed, read_data, same_data
from isotone.settings import Settings, filled_in, only_known, parts_of, read_config, resolve

if TYPE_CHECKING:
    pass


def audit(table: str | Path, **settings: Any) -> auditing.Audit:
    """Look for every problem of a table in one pass; nothing is trained, decoded to disk or changed.

    Args:
        table: CSV or Parquet.
        settings: of `isotone fit`, such as target="age".

    Returns:
        The audit: `problems` (fatal ones and warnings) and `keep`, the rows without a fatal one.

    Raises:
        DataError, ConfigError: where the table cannot be read at all.
    """
    data = resolve("rnc", listed(settings)).data
    return auditing.audit(windowed(read_table(Path(table), data, labels="optional"), data), data)


def fit(
    data: Data,
    *,
    method: str | None = None,
    out: str | Path | None = None,
    category: str | bool | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    split: Sequence[str] | np.ndarray | None = None,
    sequence: Column = None,
    time: Column = None,
    signal: str | bool | None = None,
    encoder: str | nn.Module = "auto",
    config: str | Path | None = None,
    quiet: bool = False,
    command: str | None = None,
    **settings: Any,
) -> Run:
    """Train a representation, and a predictor where there are labels, judge them and write the report.

    Args:
        data: path of a table or data set; or arrays (X, y), (X, None), X: images (n, h, w[, c]), rows, signals.
        method: see `isotone methods`; None takes the config's, else `rnc`.
        out: folder of the run; None takes the next free one below `runs/`.
        category: for a table the column of classes. For arrays True where y (n,) holds classes, or their name; y of
            text always does, whole numbers are targets otherwise.
        groups: (n,) for arrays: whose row it is; a group is never on two sides. For a table: `group="person"`.
        split: (n,) train, val or test for arrays; drawn where there is none. For a data set: "published" or "dir".
        sequence: which recording or track a row is of: for a table the column, for arrays (n,).
        time: when in its sequence: for a table the column, for arrays (n,) numbers.
        signal: for an .npz table the array of signals; for arrays True where X holds signals, (n, c, t) or (n, t).
        encoder: name, or a module that maps (b, c, h, w), (b, f) or (b, c, t) to (b, d).
        config: YAML of settings, or a recipe's name; named settings win over it.
        quiet: no progress on standard error.
        command: what to write down as the command that repeats the run.
        settings: any setting of `isotone fit --help`, with underscores: target="age", passes=200.

    Returns:
        The run, loaded from its folder.

    Raises:
        ConfigError: wrong settings, a method or head that does not fit the data, a folder that is in use.
        DataError: every problem of the data, before anything is trained.
        DivergenceError, StoppedError: training became NaN, or was stopped and saved: `isotone resume` goes on.

    Example: see README.md; the block there is run by the tests.
    """
    source = Path(data) if isinstance(data, str | Path) else None
    columns, beside = named(data, category, signal, Beside(groups, split, sequence, time))
    custom = encoder if isinstance(encoder, nn.Module) else None
    net = {} if custom is not None or encoder == "auto" else {"encoder": encoder}
    chosen = _with_inputs(_chosen(method, config, columns | net | listed(settings)), source)
    found = read_data(data, chosen, beside, quiet)
    accelerator = engine(chosen)
    run = build(_uncut(chosen, found.dataset, source), found.dataset, custom, accelerator.device)
    folder = _claimed(out, f"{source.stem if source else 'arrays'}-{chosen.name}", accelerator)
    if accelerator.is_main_process:
        start(folder, run.settings, found, source, command, custom is not None)
    accelerator.wait_for_everyone()
    execute(folder, run, accelerator, stream=None if quiet else sys.stderr)
    return load(folder, encoder=custom)


def resume(
    run: str | Path,
    data: tuple[Any, Any] | np.ndarray | Tensor | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    split: Sequence[str] | np.ndarray | None = None,
    sequence: Column = None,
    time: Column = None,
    encoder: nn.Module | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Run:
    """Go on with a run that was stopped or killed; it ends with the weights of the run that never was.

    Args:
        run: its folder.
        data: the same arrays, where the run was made from arrays.
        groups: as in `fit`.
        split: as in `fit`.
        sequence: as in `fit`, for arrays.
        time: as in `fit`, for arrays.
        encoder: the same module, freshly made, where the run was made with one.
        workers: other number of data workers; never changes a result.
        quiet: no progress on standard error.

    Raises:
        ConfigError: where there is no such run, or the data are not those it was started with.
    """
    folder = existing(run)
    settings = _settings(folder)
    if workers is not None:
        settings = replace(settings, train=replace(settings.train, workers=workers))
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    source = about["source"]
    if about["custom_encoder"] and encoder is None:
        raise ConfigError(
            f"{folder} was made with an encoder of your own: pass a fresh one, resume(run, encoder=module)."
        )
    if source is None and data is None:
        raise ConfigError(
            f"{folder} was made from arrays: go on in Python with isotone.resume({str(folder)!r}, (X, y))."
        )
    beside = Beside(groups, split, sequence, time)
    dataset = same_data(folder, source if source is not None else data, settings, beside, quiet)
    accelerator = engine(settings)
    made = build(settings, dataset, encoder, accelerator.device)
    execute(folder, made, accelerator, stream=None if quiet else sys.stderr)
    return load(folder, encoder=encoder)


def load(run: str | Path, encoder: nn.Module | None = None) -> Run:
    """Return the handle of a finished run.

    Args:
        run: its folder.
        encoder: the user's own module, where the run was made with one.

    Raises:
        ConfigError: where there is no run, or it is not finished.
        CheckpointError: where its model is damaged.
    """
    folder = existing(run)
    if not (folder / "model" / "manifest.json").is_file() or not (folder / "metrics.json").is_file():
        raise ConfigError(f"the run {folder} is not finished. Go on with: isotone resume {folder}")
    return Run(folder, load_model(folder / "model", encoder), _settings(folder))


# ----------------------------------------------------------------------------------------------------------------------


def _settings(folder: Path) -> Settings:
    values = read_config(folder / "config.yaml")
    return resolve(str(values.pop("method")), values)


def _chosen(method: str | None, config: str | Path | None, values: dict[str, Any]) -> Settings:
    """Return the settings of a config under those that were named."""
    saved = read_config(Path(config)) if config else {}
    name = method or str(saved.get("method", "rnc"))
    return resolve(name, only_known(saved, parts_of(name), str(config)) | values)


def _with_inputs(settings: Settings, source: Path | None) -> Settings:
    """Write down the image column or signal that was found by itself: new tables must not decide anew."""
    settings = settings if source is None else filled_in(settings)
    if source is None or settings.data.image_column is not None:
        return settings
    found = read_table(source, settings.data, labels="optional")
    return replace(settings, data=replace(written_down(found, settings.data), image_column=found.image_column))


def _uncut(settings: Settings, dataset: Dataset, source: Path | None) -> Settings:
    """Take arrays of images as they are: they are never cut."""
    if source is not None or dataset.kind != "image":
        return settings
    return replace(settings, data=replace(settings.data, image_size=dataset.inputs.shape[1], stored_size=0))


def _claimed(out: str | Path | None, stem: str, accelerator: Accelerator) -> Path:
    """Return the run folder that the main process has claimed, on every process."""
    folders = [claim(out, stem) if accelerator.is_main_process else None]
    folder = broadcast_object_list(folders)[0]
    assert isinstance(folder, Path), "the main process has claimed it"
    return folder
