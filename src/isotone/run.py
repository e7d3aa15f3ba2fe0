"""The handle of a finished run, and the reading of data, new or those that a run was made of."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from isotone.data.arrays import array_inputs
from isotone.data.given import INPUTS_ONLY, Beside, Found, as_split, check_fits, read
from isotone.data.load import load_inputs
from isotone.data.settings import DataSettings
from isotone.data.table import Labels
from isotone.errors import ConfigError
from isotone.evaluate.probes import append_rows, evaluate_run, kept_rows, probe_names, probe_settings
from isotone.evaluate.subject import Subject
from isotone.evaluate.suspects import Rows, averaged, suspects
from isotone.export.saved import Model
from isotone.finish import engine
from isotone.folder import existing
from isotone.methods.needs import needs_label
from isotone.records import Dataset
from isotone.report import write_report
from isotone.report.suspects import write_suspects
from isotone.settings import Settings
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
        columns, probing = probe_settings(self.settings.data, listed(settings))
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
            return same_data(self.folder, source, self.settings, beside, quiet)
        kind, shape = self.model.kind, self.model.shape
        channels = str(shape[0]) if kind == "image" and (data is None or isinstance(data, str | Path)) else "auto"
        chosen = replace(self.settings, data=replace(columns, channels=channels, label_noise=0.0))
        found = read_data(source if data is None else data, chosen, beside, quiet, labels="optional").dataset
        if data is None and columns.split_column is None:
            found = as_split(found, same_data(self.folder, source, self.settings, beside, quiet))
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


def listed(settings: dict[str, Any]) -> dict[str, Any]:
    """Let `target="age"` stand for `target=["age"]`, as on the command line.

    Args:
        settings: by name.

    Example:
        >>> listed({"target": "age", "passes": 2})
        {'target': ['age'], 'passes': 2}
    """
    lists = ("target", "features", "augment")
    return {k: [v] if k in lists and isinstance(v, str) else v for k, v in settings.items()}


def read_data(data: Any, settings: Settings, beside: Beside, quiet: bool, labels: Labels | None = None) -> Found:
    """Return a table or arrays, read as `isotone.data.given.read` does, with progress and the first notes on stderr.

    Args:
        data: path of a table, or arrays.
        settings: of the run; its method says whether labels are needed.
        beside: what goes with arrays.
        quiet: no progress, no notes.
        labels: needed or optional, whatever the method.
    """
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


def same_data(folder: Path, data: Any, settings: Settings, beside: Beside, quiet: bool) -> Dataset:
    """Return the data that a run was started with, or refuse others.

    Args:
        folder: of the run.
        data: path of its table, or its arrays.
        settings: of the run.
        beside: what goes with arrays.
        quiet: no progress, no notes.

    Raises:
        ConfigError: the data are others, by their fingerprint.
    """
    dataset = read_data(data, settings, beside, quiet).dataset
    if dataset.fingerprint != json.loads((folder / "data.json").read_text(encoding="utf-8"))["fingerprint"]:
        raise ConfigError(
            f"the data are not those that {folder} was started with. Bring them back, or start a new run with --out."
        )
    return dataset
