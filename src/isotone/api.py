"""The verbs: what the command line and a notebook call. One function a verb; a run is a folder, `Run` its handle."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate.utils import broadcast_object_list
from jaxtyping import Float
from torch import nn

from isotone.data import audit as auditing
from isotone.data.arrays import array_inputs, load_arrays
from isotone.data.load import load_inputs, load_table
from isotone.data.split import shared_groups
from isotone.data.table import read_table
from isotone.errors import ConfigError
from isotone.evaluate.judge import describe
from isotone.evaluate.probes import FrozenRows, append_rows, kept_rows, number_probes, probe_rows
from isotone.export.saved import Model, load_model
from isotone.finish import build, engine, execute
from isotone.folder import claim, existing, provenance, write_config, write_json
from isotone.records import Dataset
from isotone.report import write_report
from isotone.settings import Settings, only_known, parts_of, read_config, resolve
from isotone.train.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

SHOW_READING = 2000  # images, counted twice (checked, then decoded): fewer are read before a line could be

Data = str | Path | tuple[Any, Any]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its model, and what can be done with them.

    Args:
        folder: of the run.
        model: encoder, head and scaling.
        settings: of the run.
    """

    folder: Path
    model: Model
    settings: Settings

    @property
    def metrics(self) -> dict[str, Any]:
        """Errors with intervals beside the constant predictors, order, error by bin and group: `metrics.json`."""
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    def inputs(self, data: str | Path | Any) -> tuple[np.ndarray, np.ndarray]:
        """Return raw inputs and a name for each row, of a table (its targets are not needed) or an array.

        Raises:
            DataError: with every problem of the new data.
        """
        if isinstance(data, str | Path):
            columns = {"target": (), "group": None, "split_column": None, "on_bad": "error"}
            channels = str(self.model.shape[0]) if self.model.kind == "image" else "auto"
            return load_inputs(Path(data), replace(self.settings.data, channels=channels, **columns))
        shape = self.model.shape  # (c, h, w) or (f,), as the encoder sees it
        inputs = array_inputs(data, self.model.kind, shape[1:] + shape[:1])
        return inputs, np.array([f"row {i}" for i in range(len(inputs))])

    def embed(self, data: str | Path | Any) -> Float[np.ndarray, "n d"]:
        """Return representations (n, d) of a table's or an array's rows."""
        return self.model.embed(self.inputs(data)[0])

    def predict(self, data: str | Path | Any) -> Float[np.ndarray, "n *k"]:
        """Return predictions (n,), or (n, k) for several targets, in the user's units."""
        found = self.model.predict(self.embed(data))
        return found[:, 0] if found.shape[1] == 1 else found

    def evaluate(
        self,
        probes: str | Sequence[str] = ("linear", "knn"),
        data: Data | None = None,
        *,
        groups: Sequence[Any] | np.ndarray | None = None,
        split: Sequence[str] | np.ndarray | None = None,
        quiet: bool = True,
    ) -> list[dict[str, Any]]:
        """Fit probes on the frozen representation; append their test scores to `probes.jsonl` and return them.

        Args:
            probes: names: `linear` (ridge, penalty picked on validation) and `knn` (k picked on validation).
            data: the run's data again. Needed only for a run on arrays with more than 2,000 rows: up to there a run
                keeps its features, and a table is read again.
            groups: as in `fit`, with `data`.
            split: as in `fit`, with `data`.
            quiet: no progress on standard error.

        Returns:
            One row for each probe and target: scores with intervals in the user's units, and settings.

        Raises:
            ConfigError: unknown probes, data that are not those of the run, or arrays that are needed again.
            DataError: where the table cannot be read any more.
        """
        names = number_probes(probes)
        frozen = kept_rows(self.folder) if data is None else None
        rows = probe_rows(frozen or self._frozen(data, groups, split, quiet), names, seed=self.settings.train.seed)
        append_rows(self.folder / "probes.jsonl", rows)
        return rows

    def _frozen(self, data: Data | None, groups: Any, split: Any, quiet: bool) -> FrozenRows:
        source = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))["source"]
        if source is None and data is None:
            raise ConfigError(
                f"{self.folder} was made from arrays and kept the features of only some of its rows: "
                "probe it in Python with run.evaluate(data=(X, y)), with groups= and split= as in fit."
            )
        found = _same_data(self.folder, data if source is None else source, self.settings, groups, split, quiet)
        h = self.model.embed(found.inputs)
        return FrozenRows(h, found.target, found.target_names, found.split, found.group)

    def report(self, against: "str | Path | Run | None" = None) -> Path:
        """Write `report.html`, beside another run where one is given, and return its path."""
        other = against.folder if isinstance(against, Run) else against
        return write_report(self.folder, None if other is None else existing(other))


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
    data = resolve("rnc", _listed(settings)).data
    return auditing.audit(read_table(Path(table), data), data)


def fit(
    data: Data,
    *,
    method: str | None = None,
    out: str | Path | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    split: Sequence[str] | np.ndarray | None = None,
    encoder: str | nn.Module = "auto",
    config: str | Path | None = None,
    quiet: bool = False,
    command: str | None = None,
    **settings: Any,
) -> Run:
    """Train a representation and a predictor on a table or on arrays, judge them and write the report.

    Args:
        data: path of a CSV or Parquet table, or arrays (X, y): images (n, h, w[, c]) or rows (n, f); y (n,) or (n, k).
        method: `rnc` or `baseline`, see `isotone methods`; None takes the config's, else `rnc`.
        out: folder of the run; None takes the next free one below `runs/`.
        groups: (n,) for arrays: whose row it is; a group is never on two sides of the split. For a table name the
            column: `group="person"`.
        split: (n,) train, val or test for arrays; drawn where there is none.
        encoder: name, or a module that maps (b, c, h, w) or (b, f) to (b, d).
        config: YAML of settings; named settings win over it.
        quiet: no progress on standard error.
        command: what to write down as the command that repeats the run.
        settings: any setting of `isotone fit --help`, with underscores: target="age", passes=200.

    Returns:
        The run, loaded from its folder.

    Raises:
        ConfigError: unknown or wrong settings, a folder that is in use.
        DataError: every problem of the data, before anything is trained.
        DivergenceError: training became NaN or infinite.
        StoppedError: Ctrl-C or SIGTERM; the run is saved, `isotone resume` goes on.

    Example: see README.md; the block there is run by the tests.
    """
    custom = encoder if isinstance(encoder, nn.Module) else None
    named = {} if custom is not None or encoder == "auto" else {"encoder": encoder}
    saved = read_config(Path(config)) if config else {}
    name = method or str(saved.get("method", "rnc"))
    values = only_known(saved, parts_of(name), str(config)) | named | _listed(settings)
    source = Path(data) if isinstance(data, str | Path) else None
    chosen = _with_image_column(resolve(name, values), source)
    found = _load(data, chosen, groups, split, quiet)
    if source is None and found.dataset.kind == "image":  # arrays are taken as they are, never cut
        side = found.dataset.inputs.shape[1]
        chosen = replace(chosen, data=replace(chosen.data, image_size=side, stored_size=0))
    model, accelerator = build(chosen, found.dataset, custom), engine(chosen)
    stem = f"{source.stem if source else 'arrays'}-{chosen.name}"
    folders = [claim(out, stem) if accelerator.is_main_process else None]
    folder = broadcast_object_list(folders)[0]
    assert isinstance(folder, Path), "the main process has claimed it"
    if accelerator.is_main_process:
        _start(folder, chosen, found, source, command, custom is not None)
    accelerator.wait_for_everyone()
    execute(folder, chosen, found.dataset, model, accelerator, stream=None if quiet else sys.stderr)
    return load(folder, encoder=custom)


def resume(
    run: str | Path,
    data: tuple[Any, Any] | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    split: Sequence[str] | np.ndarray | None = None,
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
    dataset = _same_data(folder, source if source is not None else data, settings, groups, split, quiet)
    model = build(settings, dataset, encoder)
    execute(folder, settings, dataset, model, engine(settings), stream=None if quiet else sys.stderr)
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


def _with_image_column(settings: Settings, source: Path | None) -> Settings:
    """Write down the image column that was found by itself: new tables must not decide anew."""
    if source is None or settings.data.image_column is not None:
        return settings
    return replace(settings, data=replace(settings.data, image_column=read_table(source, settings.data).image_column))


def _listed(settings: dict[str, Any]) -> dict[str, Any]:
    """Let `target="age"` stand for `target=["age"]`, as on the command line."""
    lists = ("target", "features", "augment")
    return {k: [v] if k in lists and isinstance(v, str) else v for k, v in settings.items()}


@dataclass(frozen=True)
class _Found:
    """What was read: the data set, what is to be noted about it, the rows that were left out."""

    dataset: Dataset
    warnings: list[str]
    bad: "pd.DataFrame | None" = None


def _load(data: Any, settings: Settings, groups: Any, split: Any, quiet: bool) -> _Found:
    seed = settings.train.seed
    if isinstance(data, tuple) and len(data) == 2:
        if settings.data.group or settings.data.split_column:
            raise ConfigError("`group` and `split_column` name columns of a table; for arrays pass groups= and split=.")
        names = settings.data.target or None
        made = load_arrays(*data, groups=groups, split=split, target_names=names, settings=settings.data, seed=seed)
        return _Found(made, _leaks(made))
    if not isinstance(data, str | Path):
        raise ConfigError(f"data must be the path of a table or two arrays (X, y), got {type(data).__name__}.")
    if groups is not None or split is not None:
        raise ConfigError("`groups` and `split` go with arrays; for a table name the columns: group=, split_column=.")
    reading = Progress(1, stream=None if quiet else sys.stderr, name="reading images")

    def progress(done: int, total: int) -> None:
        reading.total = total
        if total > SHOW_READING:
            reading.update(done, f"{done} of {total}")

    dataset, found = load_table(Path(data), settings.data, seed, progress)
    warnings = [str(problem) for problem in found.problems if not problem.fatal]
    for warning in [] if quiet else warnings[:5]:
        sys.stderr.write(f"note: {warning}\n")
    return _Found(dataset, warnings, None if found.keep.all() else auditing.bad_rows(found))


def _same_data(folder: Path, data: Any, settings: Settings, groups: Any, split: Any, quiet: bool) -> Dataset:
    """Return the data that a run was started with, or refuse others."""
    dataset = _load(data, settings, groups, split, quiet).dataset
    if dataset.fingerprint != json.loads((folder / "data.json").read_text(encoding="utf-8"))["fingerprint"]:
        raise ConfigError(
            f"the data are not those that {folder} was started with. Bring them back, or start a new run with --out."
        )
    return dataset


def _leaks(dataset: Dataset) -> list[str]:
    shared = 0 if dataset.group is None else shared_groups(dataset.split, dataset.group)
    return [f"{shared} groups are in training and in the test: expect larger errors on new groups"] if shared else []


def _start(
    folder: Path, settings: Settings, found: _Found, source: Path | None, command: str | None, custom: bool
) -> None:
    """Write what the run was started with; `run.json` last, since it makes the folder a run."""
    write_config(folder / "config.yaml", settings.flat())
    if found.bad is not None:
        found.bad.to_csv(folder / "bad_rows.csv", index=False)
    bad = 0 if found.bad is None else len(found.bad)
    write_json(folder / "data.json", describe(found.dataset, found.warnings, bad))
    config = f"{folder}/config.yaml"
    again = f"isotone.fit((X, y), groups=groups, split=split, config={config!r})"
    again = command or (again if source is None else f"isotone fit {source} --config {config} --out NEW")
    about = provenance(again, settings.name, settings.train.seed, str(source.resolve()) if source else None)
    write_json(folder / "run.json", {**about, "custom_encoder": custom})
