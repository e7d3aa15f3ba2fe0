"""The runs and predictions of a comparison: made once, kept on disk, found there again."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from isotone.data.load import load_table
from isotone.errors import ConfigError, DivergenceError, StoppedError
from isotone.evaluate.stage_two import fit_head
from isotone.finish import engine
from isotone.folder import write_json
from isotone.records import Dataset
from isotone.run import Run
from isotone.settings import Settings, resolve
from isotone.studies.arms import Arm, Asked, Trained
from isotone.studies.cells import cell
from isotone.studies.kept import Kept, held_out, read_kept, write_kept
from isotone.studies.references import predicted, voted
from isotone.studies.tuning import Try, Tuned, validation_error
from isotone.train.forward import forward
from isotone.train.progress import duration

DIVERGED = "diverged.txt"  # in the folder of a try that did
NOTHING = 0.95  # of the median's validation error


@dataclass
class Work:
    """The runs and predictions of a comparison, made where they are not there yet.

    Args:
        question: what is asked.
        folder: of the comparison.
        stream: where progress goes; None is silent.
    """

    question: Asked
    folder: Path
    stream: TextIO | None
    total: int = 0  # cells
    started: set[str] = field(default_factory=set[str])
    seconds: list[float] = field(default_factory=list[float])  # of the cells that were made here
    _data: dict[int, Dataset] = field(default_factory=dict[int, Dataset])  # of one seed, the last
    _runs: dict[Path, tuple[Run, torch.Tensor | None]] = field(
        default_factory=dict[Path, tuple[Run, torch.Tensor | None]]
    )  # one, the last, with its representations

    def data(self, seed: int) -> Dataset:
        """Return the table as split for a seed; one is held at a time."""
        if seed not in self._data:
            settings = self.question.resolved(Trained(self.question.methods[0]), seed).data
            self._data = {seed: load_table(self.question.table, settings, seed)[0]}
        return self._data[seed]

    def begin(self, grids: Mapping[Trained, Sequence[Try]], notes: Sequence[str] = ()) -> None:
        """Claim the folder and say what will be done.

        Args:
            grids: what is tried for each run.
            notes: to be said before.

        Raises:
            ConfigError: the folder holds something that is no comparison.
        """
        known = (self.folder / "compare.json").exists()
        if self.folder.is_file() or (self.folder.is_dir() and any(self.folder.iterdir()) and not known):
            raise ConfigError(f"{self.folder} holds something that is no comparison. Choose another --out.")
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {"table": str(self.question.table.resolve()), "methods": list(self.question.methods)}
        about |= {"heads": list(self.question.heads), "seeds": self.question.seeds}
        write_json(self.folder / "compare.json", about)
        self.total = sum(len(tries) + self.question.seeds - 1 for tries in grids.values())
        for note in notes:
            self._say(f"note: {note}")
        for one, tries in grids.items():
            if len(tries) > 1:
                self._say(f"{one.title}: tries {'; '.join(t.title for t in tries)} on seed 0, chosen by validation")

    def tune(self, one: Trained, tries: tuple[Try, ...]) -> Tuned:
        """Train every try on seed 0 and return their errors on the validation rows."""
        if len(tries) == 1:
            return Tuned(one.title, tries, (0.0,))
        return Tuned(one.title, tries, tuple(self._tried(one, 0, chosen)[0] for chosen in tries))

    def settle(self, one: Trained, found: Tuned) -> Tuned:
        """Train the choice on the other seeds; where it fails on one, it is lost, and the next is taken for all seeds.

        To fail is to diverge, or to end with a validation error above 0.95 of the median's: nothing was learned.
        """
        while len(found.tries) > 1 and not found.diverged and found.chosen not in found.lost:
            chosen = found.chosen
            how = next((how for seed in range(1, self.question.seeds) if (how := self._failed(one, seed, chosen))), "")
            if not how:
                break
            self._say(f"note: {one.title} with {chosen.title} {how}; the next best is taken")
            found = replace(found, lost={**found.lost, chosen: how})
            self.total += self.question.seeds - 1
        return found

    def predictions(self, arm: Arm, seed: int, tuned: dict[Trained, Tuned]) -> Kept:
        """Return the held-out rows of an arm and seed: from disk, or made and put there."""
        dataset, path = self.data(seed), self.folder / "predictions" / f"seed{seed}-{arm.name}.npz"
        if arm.trained is None:
            settings = self.question.resolved(Trained(self.question.methods[0]), seed)
            made = {"data": dataset.fingerprint, "encoder": vars(settings.net)}
            return _kept(path, made, lambda: predicted(arm, dataset, settings), dataset)
        run = self._run(arm.trained, seed, tuned[arm.trained].chosen)
        made = {"data": dataset.fingerprint, "run": _changed(run.settings)}
        if arm.head == "knn":
            made["knn"] = "one k"  # before, each target had its own: such predictions are made again
        return _kept(path, made, lambda: self._predicted(arm, run, dataset), dataset)

    def _tried(self, one: Trained, seed: int, chosen: Try) -> tuple[float, float]:
        """Return the errors on the validation rows, the run's and the median's; infinite where it diverged."""
        marker = self._place(one, seed, chosen) / DIVERGED
        self.started.add(marker.parent.name)
        if marker.exists():
            return math.inf, 1.0
        try:
            run = self._run(one, seed, chosen)
        except DivergenceError as error:
            marker.write_text(f"{error}\n", encoding="utf-8")
            self._say(f"note: {one.title} diverged with {chosen.title}")
            return math.inf, 1.0
        data = self.data(seed)
        spread = np.nanstd(data.target[data.labelled("train")], axis=0)
        spreads = dict(zip(data.target_names, spread.tolist(), strict=True))
        return validation_error(run.metrics, spreads), validation_error(run.metrics, spreads, "constant")

    def _failed(self, one: Trained, seed: int, chosen: Try) -> str:
        error, median = self._tried(one, seed, chosen)
        if math.isinf(error):
            return f"diverged on seed {seed}"
        return f"learned nothing on seed {seed}" if error > NOTHING * median else ""

    def _place(self, one: Trained, seed: int, chosen: Try) -> Path:
        return self.folder / "runs" / "-".join(part for part in (f"seed{seed}", one.name, chosen.name) if part)

    def _run(self, one: Trained, seed: int, chosen: Try) -> Run:
        """Return the finished run, made where it is not there; refuse one of other data."""
        place = self._place(one, seed, chosen)
        if place in self._runs:
            return self._runs[place][0]
        self.started.add(place.name)
        run = self._made(place, one, seed, chosen)
        kept = json.loads((place / "data.json").read_text(encoding="utf-8"))["fingerprint"]
        if kept != self.data(seed).fingerprint:
            raise ConfigError(
                f"{place} was made from other data than {self.question.table} holds now. Bring them back, or choose "
                "another --out."
            )
        self._runs = {place: (run, None)}
        return run

    def _made(self, place: Path, one: Trained, seed: int, chosen: Try) -> Run:
        there, count = (place / "metrics.json").exists(), f"cell {len(self.started)} of {self.total}"
        if not there:
            self._say(f"{count}: {one.title}, seed {seed}, {chosen.title}{self._left()}")
        began = time.monotonic()
        settings = self.question.of(one, seed, **chosen.settings)
        quiet = self.stream is None or not self.stream.isatty()
        try:
            run = cell(place, self.question.table, method=one.method, quiet=quiet, **settings)
        except StoppedError as error:
            raise StoppedError(f"stopped in {count}; all is saved. Go on with the same command.") from error
        if not there:
            self.seconds.append(time.monotonic() - began)
        return run

    def _predicted(self, arm: Arm, run: Run, dataset: Dataset) -> np.ndarray:
        """Return an arm's predictions of all rows, from the run's own head or one fitted on its features."""
        h = self._runs[run.folder][1]
        if h is None:
            h = _embedded(run, dataset, np.arange(len(dataset.split)), None)
            self._runs = {run.folder: (run, h)}
        if arm.head == "knn" and dataset.category is not None:
            return voted(dataset, h.numpy())
        if arm.head in ("", run.model.head_name):
            return run.model.answers(h.numpy())
        fit = fit_head(
            dataset,
            h,
            lambda rows, epoch: _embedded(run, dataset, rows, epoch),
            run.model.scaling,
            arm.head,
            run.settings.head,
            seed=run.settings.train.seed,
        )
        return replace(run.model, head=fit.layer, head_name=arm.head).answers(h.numpy())

    def _left(self) -> str:
        if not self.seconds:
            return ""
        cells = self.total - len(self.started) + 1
        return f", about {duration(cells * sum(self.seconds) / len(self.seconds))} left"

    def _say(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text + "\n")
            self.stream.flush()


# ----------------------------------------------------------------------------------------------------------------------


def _changed(settings: Settings) -> dict[str, Any]:
    """Return the settings that are not their defaults: one that is added to isotone later changes nothing."""
    usual = resolve(settings.name, {}).flat()
    return {name: value for name, value in settings.flat().items() if value != usual[name]}


def _kept(path: Path, made: dict[str, Any], make: Callable[[], np.ndarray], dataset: Dataset) -> Kept:
    found = read_kept(path, made)
    if found is None:
        found = held_out(dataset, make())
        write_kept(path, found, made)
    return found


def _embedded(run: Run, dataset: Dataset, rows: np.ndarray, epoch: int | None) -> torch.Tensor:
    """Return representations of rows, computed as the run itself did."""
    settings = run.settings.train
    device = engine(replace(run.settings, train=replace(settings, precision="no"))).device
    chunk = min(256, settings.micro_batch or 256)
    encoder = run.model.encoder.to(device)
    return forward(encoder, dataset, rows, run.model.views, device=device, epoch=epoch, chunk=chunk)
