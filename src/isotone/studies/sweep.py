"""What studies share: arms (a method with its settings) trained under seeds, each run in a folder of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float

from isotone import check
from isotone.data.load import load_table
from isotone.errors import ConfigError
from isotone.records import Dataset, Split
from isotone.run import Run
from isotone.settings import Settings, parts_of, resolve, with_card
from isotone.studies.cells import cell
from isotone.studies.errors import Errors, absolute_errors, errors_of, joined

ARMS = ("baseline", "rnc")
MOST_ARMS = 4  # lines that a figure can show


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: a method, with settings that it alone has.

    Args:
        name: as the user wrote it: `rnc`, or `rnc lr=0.5 head=mse`.
        method: name.
        settings: over those of the study.

    Example:
        >>> Arm.read("rnc lr=0.5 head=mse").settings
        {'lr': 0.5, 'head': 'mse'}
    """

    name: str
    method: str
    settings: Mapping[str, Any]

    @staticmethod
    def read(text: str) -> "Arm":
        """Return the arm that the text names.

        Raises:
            ConfigError: an unknown method, or a setting without a value.
        """
        method, *rest = text.split()
        parts_of(method)
        pairs = [word.partition("=") for word in rest]
        for name, equals, _ in pairs:
            if not equals:
                raise ConfigError(f"the arm {text!r} must be a method with settings as name=value, but holds {name!r}.")
        return Arm(" ".join(text.split()), method, {name.replace("-", "_"): yaml.safe_load(v) for name, _, v in pairs})

    def takes(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the settings that the method knows, under its own."""
        mine = {f.name for part in parts_of(self.method) for f in fields(part)}
        return {name: value for name, value in settings.items() if name in mine} | dict(self.settings)


@dataclass(frozen=True)
class Sweep:
    """The runs of a study: arms and seeds on one table.

    Args:
        table: of the user, or the folder of the data set that the settings name.
        out: folder of the study.
        arms: what is compared; the first one is what the others are held against.
        seeds: number of seeds, from 0 on.
        settings: of `isotone fit`, for every arm that knows them; with the columns of the data set's card.
        quiet: no progress.
    """

    table: Path
    out: Path
    arms: tuple[Arm, ...]
    seeds: int
    settings: Mapping[str, Any]
    quiet: bool = False

    @staticmethod
    def of(
        table: str | Path,
        out: str | Path,
        arms: Sequence[str],
        seeds: int,
        settings: Mapping[str, Any],
        *,
        quiet: bool,
        sets: Mapping[str, str] | None = None,
    ) -> "Sweep":
        """Return a checked sweep.

        Args:
            table: with a target.
            out: folder.
            arms: as `Arm.read` takes them.
            seeds: number of seeds.
            settings: of `isotone fit`.
            quiet: no progress.
            sets: settings that the study varies itself, and the flag that says how.

        Raises:
            ConfigError: settings that no arm knows or that the study sets itself, no target, arms that are too many or
                the same.
        """
        check.between("seeds", seeds, 1, 1000)
        found = tuple(Arm.read(arm) for arm in arms)
        if not 1 <= len(found) <= MOST_ARMS or len({arm.name for arm in found}) < len(found):
            raise ConfigError(f"a study compares 1 to {MOST_ARMS} different arms, got {', '.join(arms) or 'none'}.")
        for name, use in ({"seed": "--seeds"} | dict(sets or {})).items():
            if name in settings or any(name in arm.settings for arm in found):
                raise ConfigError(f"the study sets `{name}` itself. Leave it out; {use} says what is studied.")
        for name, value in settings.items():
            if not any(name in arm.takes({name: value}) for arm in found):
                resolve(found[0].method, {name: value})  # words the refusal
        sweep = Sweep(Path(table), Path(out), found, seeds, with_card(settings), quiet)
        if not sweep.resolved(found[0]).data.target:
            raise ConfigError("the study compares errors of numbers. Name the column that holds them: --target.")
        return sweep

    @property
    def name(self) -> str:
        """How to call the data: the data set, or the table's file."""
        return str(self.settings.get("dataset") or self.table.name)

    def resolved(self, arm: Arm) -> Settings:
        """Return the settings of an arm."""
        return resolve(arm.method, arm.takes(self.settings))

    def data(self, seed: int) -> Dataset:
        """Return the user's rows as the runs of that seed see them."""
        return load_table(self.table, self.resolved(self.arms[0]).data, seed)[0]

    def run(self, arm: Arm, seed: int, place: str = "", table: Path | None = None, **changes: Any) -> Run:
        """Return the finished run of an arm under a seed: made, gone on with or loaded.

        Args:
            arm: of the sweep.
            seed: from 0 on.
            place: where on the study's axis, part of the folder's name.
            table: another than the user's.
            changes: settings that the study varies.
        """
        folder = self.out / "-".join(slug(word) for word in (f"seed{seed}", place, arm.name) if word)
        values: dict[str, Any] = {**arm.takes(self.settings), **changes, "seed": seed}
        return cell(folder, table or self.table, method=arm.method, quiet=self.quiet, **values)

    def data_of(self, run: Run, table: Path) -> Dataset:
        """Return the rows of a part of the table as its run saw them."""
        return load_table(table, run.settings.data, run.settings.train.seed)[0]

    def errors(self, arm: Arm, place: str = "", **changes: Any) -> Errors:
        """Return the test errors of an arm under all seeds, on the user's table."""
        parts: list[Errors] = []
        for seed in range(self.seeds):
            run, data = self.run(arm, seed, place, **changes), self.data(seed)
            rows = data.labelled("test")
            parts.append(errors_of(data, rows, run_errors(run, data), seed=seed))
        return joined(parts)


def run_errors(run: Run, data: Dataset, side: Split = "test") -> Float[np.ndarray, " t"]:
    """Return the error (t,) of each labelled row of a side under a run."""
    rows = data.labelled(side)
    return absolute_errors(data, rows, run.model.answers(run.model.embed(data.inputs[rows])))


def slug(text: str) -> str:
    """Return the text as part of a folder's name.

    Example:
        >>> slug("rnc lr=0.5"), slug("40:60%")
        ('rnc-lr0.5', '40-60')
    """
    return re.sub(r"[^\w.]+", "-", text.replace("=", "").replace("%", "")).strip("-")
