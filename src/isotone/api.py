"""The verbs: what the command line and a notebook call. One function a verb; a run is a folder, `Run` its handle."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from isotone.data import audit as auditing
from isotone.data.arrays import array_inputs
from isotone.data.datasets.reading import suited_augment, with_columns
from isotone.data.given import INPUTS_ONLY, Beside, Found, as_split, check_fits, named, read
from isotone.data.load import load_inputs
from isotone.data.recordings import windowed, written_down
from isotone.data.settings import DataSettings
from isotone.data.table import Labels, read_table
from isotone.errors import ConfigError
from isotone.evaluate.probes import append_rows, evaluate_run, kept_rows, probe_names, probe_settings
from isotone.evaluate.subject import Subject
from isotone.evaluate.suspects import Rows, averaged, suspects
from isotone.export.saved import Model, load_model
from isotone.finish import engine, execute, start
from isotone.folder import claim, existing
from isotone.methods.needs import needs_label
from isotone.prepare import build
from isotone.records import Dataset
from isotone.report import write_report
from isotone.report.suspects import write_suspects
from isotone.settings import Settings, only_known, parts_of, read_config, resolve
from isotone.train.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

SHOW_READING = 2000  # images, counted twice (checked, then decoded): fewer are read before a line could be

Data = str | Path | tuple[Any, Any] | np.ndarray | Tensor
Column = str | Sequence[Any] | np.ndarray | None


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
        """Scores with intervals beside the constant predictors, and where the errors lie: `metrics.json`."""
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    def inputs(self, data: str | Path | Any) -> tuple[np.ndarray, np.ndarray]:
        """Return raw inputs and a name for each row, of a table (its labels are not needed) or an array.

        Raises:
            DataError: with every problem of the new data.
        """
        kind, shape = self.model.kind, self.model.shape  # (c, h, w), (f,) or (c, t), as the encoder sees it
        if isinstance(data, str | Path):
            channels = str(shape[0]) if kind == "image" else "auto"
            return load_inputs(Path(data), replace(self.settings.data, channels=channels, **INPUTS_ONLY))
        inputs = array_inputs(data, kind, shape[1:] + shape[:1] if kind == "image" else shape)
        return inputs, np.array([f"row {i}" for i in range(len(inputs))])

    def embed(self, data: str | Path | Any) -> Float[np.ndarray, "n d"]:
        """Return representations (n, d) of a table's or an array's rows."""
        return self.model.embed(self.inputs(data)[0])

    def predict(self, data: str | Path | Any) -> Shaped[np.ndarray, "n *k"]:
        """Return predictions (n,): numbers in the user's units, (n, k) for several targets, or classes as text.

        Raises:
            ConfigError: the run had no labels, so it predicts nothing.
        """
        self.model.check_predicts()
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
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """Run probes on the frozen encoder; append their test scores to `probes.jsonl` and return them.

        Args:
            probes: names: linear, knn, svm, layers, low-shot, semi, finetune, invariance, detection.
            data: other data of the same kind of input (transfer); or the run's own again, which only a run on arrays of
                more than 2,000 rows needs: up to there it keeps its features, and a table is read again.
            groups: as in `fit`, with arrays.
            split: as in `fit`, with arrays.
            quiet: no progress on standard error.
            settings: `category`, `target`, `labels`, `group`, `split_column`, `image_column`: the labels to probe, in
                place of the run's own; and those of `isotone.evaluate.probes.ProbeSettings`, such as passes or voc.

        Returns:
            One row for each score: with intervals, in the user's units, and the probe's settings.

        Raises:
            ConfigError: unknown probes and settings, labels that a probe cannot tell, arrays that are needed again.
            DataError: where the table cannot be read any more.
        """
        names = probe_names(probes)
        columns, probing = probe_settings(self.settings.data, _listed(settings))
        own = data is None and columns == self.settings.data
        kept = kept_rows(self.folder) if own else None

        def reading() -> Dataset:
            return self._probed(data, columns, Beside(groups, split), quiet)

        model, seed = self.model, self.settings.train.seed
        accelerator = engine(replace(self.settings, train=replace(self.settings.train, precision="no")))
        subject = Subject(
            model.encoder, model.views, model.shape, reading, kept=kept, accelerator=accelerator, seed=seed
        )
        rows = evaluate_run(names, subject, probing, data=data, stream=None if quiet else sys.stderr)
        append_rows(self.folder / "probes.jsonl", rows)
        return rows

    def _probed(self, data: Data | None, columns: DataSettings, beside: Beside, quiet: bool) -> Dataset:
        """Return the data to probe: the run's own, checked to be that, or others that its encoder takes."""
        source = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))["source"]
        if source is None and data is None:
            raise ConfigError(
                f"{self.folder} was made from arrays, which are needed again: run.evaluate(data=(X, y)) or "
                "run.suspects((X, y)) in Python, with groups= and split= as in fit."
            )
        if data is None and columns == self.settings.data:
            return _same_data(self.folder, source, self.settings, beside, quiet)
        kind, shape = self.model.kind, self.model.shape
        channels = str(shape[0]) if kind == "image" and (data is None or isinstance(data, str | Path)) else "auto"
        chosen = replace(self.settings, data=replace(columns, channels=channels, label_noise=0.0))
        found = _read(source if data is None else data, chosen, beside, quiet, labels="optional").dataset
        if data is None and columns.split_column is None:
            found = as_split(found, _same_data(self.folder, source, self.settings, beside, quiet))
        check_fits(found, self.model.kind, self.model.shape, f"the encoder of {self.folder}")
        return found

    def suspects(
        self,
        data: Data | None = None,
        *,
        groups: Sequence[Any] | np.ndarray | None = None,
        split: Sequence[str] | np.ndarray | None = None,
        rows: Rows = "train",
        top: int = 40,
        quiet: bool = True,
        command: str = "run.suspects()",
    ) -> "pd.DataFrame":
        """Rank rows whose target disagrees with their neighbours'; write suspects.csv (returned) and suspects.html.

        `data`, `groups` and `split` are those of `fit`, and needed again where the run was made from arrays. `rows`:
        `train`, or `all` for validation and test rows too. `top`: rows that the page shows with their neighbours.
        """
        dataset = self._probed(data, self.settings.data, Beside(groups, split), quiet)
        plain = replace(self.settings, train=replace(self.settings.train, precision="no"))
        h = averaged(self.model.encoder, dataset, self.model.views, device=engine(plain).device)
        found = suspects(dataset, h, rows=rows)
        return write_suspects(self.folder, dataset, found, command=command, top=top)

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
    chosen = _with_inputs(_chosen(method, config, columns | net | _listed(settings)), source)
    found = _read(data, chosen, beside, quiet)
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
    dataset = _same_data(folder, source if source is not None else data, settings, beside, quiet)
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
    if source is not None and settings.data.dataset is not None:
        net = replace(settings.net, augment=suited_augment(settings.data, settings.net.augment))
        settings = replace(settings, data=with_columns(settings.data), net=net)
    if source is None or settings.data.image_column is not None:
        return settings
    found = read_table(source, settings.data, labels="optional")
    return replace(settings, data=replace(written_down(found, settings.data), image_column=found.image_column))


def _uncut(settings: Settings, dataset: Dataset, source: Path | None) -> Settings:
    """Take arrays of images as they are: they are never cut."""
    if source is not None or dataset.kind != "image":
        return settings
    return replace(settings, data=replace(settings.data, image_size=dataset.inputs.shape[1], stored_size=0))


def _listed(settings: dict[str, Any]) -> dict[str, Any]:
    """Let `target="age"` stand for `target=["age"]`, as on the command line."""
    lists = ("target", "features", "augment")
    return {k: [v] if k in lists and isinstance(v, str) else v for k, v in settings.items()}


def _read(data: Any, settings: Settings, beside: Beside, quiet: bool, labels: Labels | None = None) -> Found:
    reading = Progress(1, stream=None if quiet else sys.stderr, name="reading images")

    def progress(done: int, total: int) -> None:
        reading.total = total
        if total > SHOW_READING:
            reading.update(done, f"{done} of {total}")

    labels = labels or ("needed" if needs_label(settings.method) else "optional")
    found = read(data, settings.data, beside, seed=settings.train.seed, labels=labels, progress=progress)
    for warning in found.warnings[:5] if isinstance(data, str | Path) and not quiet else []:
        sys.stderr.write(f"note: {warning}\n")
    return found


def _claimed(out: str | Path | None, stem: str, accelerator: Accelerator) -> Path:
    """Return the run folder that the main process has claimed, on every process."""
    folders = [claim(out, stem) if accelerator.is_main_process else None]
    folder = broadcast_object_list(folders)[0]
    assert isinstance(folder, Path), "the main process has claimed it"
    return folder


def _same_data(folder: Path, data: Any, settings: Settings, beside: Beside, quiet: bool) -> Dataset:
    """Return the data that a run was started with, or refuse others."""
    dataset = _read(data, settings, beside, quiet).dataset
    if dataset.fingerprint != json.loads((folder / "data.json").read_text(encoding="utf-8"))["fingerprint"]:
        raise ConfigError(
            f"the data are not those that {folder} was started with. Bring them back, or start a new run with --out."
        )
    return dataset
