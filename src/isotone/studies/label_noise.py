"""ClusterFit's experiment: how much of a representation survives wrong labels, and what wins it back.

At each share of wrong labels four encoders are trained with the same settings; a linear probe with right labels, on
another task or the same one, judges each:

- `pretrained`: end to end on the noisy labels, N_pre of the paper;
- `distilled`: a fresh encoder on the soft predictions of that run;
- `clusterfit`: a fresh encoder on the k-means clusters of that run's representation;
- `twice as long`: N_pre with twice the encoder passes, the control that rules out mere compute.

The two supervised arms keep the epoch of the best (noisy) validation score, which helps them; the others keep the last.

Source: Yan, Misra, Gupta, Ghadiyaram, Mahajan, "ClusterFit: Improving Generalization of Visual Representations", CVPR
2020, arXiv 1912.03330, section 4.1 and figure 3; its label noise: wrong labels are drawn from the other classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isotone import check
from isotone.data.load import load_table
from isotone.errors import ConfigError
from isotone.evaluate.linear import logistic
from isotone.evaluate.probe import ProbeData
from isotone.methods.baseline import Baseline
from isotone.records import Dataset, Split
from isotone.report.study import Line, Study, line_figure, write_study
from isotone.run import Run
from isotone.settings import resolve, with_card
from isotone.studies.cells import cell
from isotone.studies.flags import Flag, numbers, plain, whole

NOISE = (0.0, 0.25, 0.5, 0.75)
METHODS = ("baseline",)  # whose settings the command takes
SETS = {"label_noise": "--noise", "seed": "--seeds"}
KINDS = ("pretrained", "distilled", "clusterfit", "twice as long")
FLAGS = {
    "--transfer": Flag("table of the task that judges; without it the same task, with right labels", plain),
    "--noise": Flag("shares of wrong labels (default: 0,0.25,0.5,0.75)", numbers),
    "--clusters": Flag("clusters of ClusterFit (default: the method's)", whole),
}


@dataclass(frozen=True)
class Cell:
    """One trained encoder: a seed, a share of wrong labels, what was done with them."""

    seed: int
    noise: float
    arm: str

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        return f"seed{self.seed}-noise{100 * self.noise:g}-{self.arm.replace(' ', '-')}"


def label_noise(
    table: str | Path,
    *,
    out: str | Path,
    transfer: str | Path | None = None,
    noise: Sequence[float] = NOISE,
    seeds: int = 1,
    clusters: int = 0,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train the four encoders at each share of wrong labels, probe them, write `study.csv` and `study.html`.

    Runs that are finished are not made again, one that was stopped goes on: a killed study is repeated at no loss.

    Args:
        table: with a column of classes.
        out: folder of the study: a run for each cell, the table, the page.
        transfer: table of the task that judges, with the same column of classes (which may be others); None judges on
            the first table with its right labels.
        noise: shares of wrong labels, from 0 to below 1.
        seeds: number of seeds, from 0 on.
        clusters: of ClusterFit; 0 takes its default.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`; `category` names the classes.

    Returns:
        Path of the page.

    Raises:
        ConfigError: settings out of range or without `category`; DataError: see `isotone.fit`.

    Source: arXiv 1912.03330, section 4.1.
    """
    for share in noise:
        check.between("noise", share, 0.0, 0.99)
    check.between("seeds", seeds, 1, 1000)
    settings = _checked(settings)
    folder = Path(out)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        judge = _judging_data(Path(transfer or table), settings, seed)
        for share in noise:
            for arm in KINDS:
                run = _run(Cell(seed, share, arm), table, folder, clusters, quiet, {**settings, "seed": seed})
                rows.append({"seed": seed, "noise": share, "arm": arm, **_judged(run, judge)})
                pd.DataFrame(rows).to_csv(folder / "study.csv", index=False)
    name = str(settings.get("dataset") or Path(table).name)
    return write_study(folder / "study.html", _page(pd.DataFrame(rows), name, command))


# ----------------------------------------------------------------------------------------------------------------------


def _run(chosen: Cell, table: str | Path, out: Path, clusters: int, quiet: bool, settings: dict[str, Any]) -> Run:
    folder = out / chosen.folder
    teacher = str(out / Cell(chosen.seed, chosen.noise, "pretrained").folder)
    name, own = "baseline", dict[str, Any]()
    if chosen.arm == "twice as long":
        own = {"passes": 2 * resolve("baseline", settings).train.passes}
    elif chosen.arm == "distilled":
        name, own = "distill", {"teacher": teacher}
    elif chosen.arm == "clusterfit":
        name, own = "clusterfit", {"teacher": teacher, **({"clusters": clusters} if clusters else {})}
    values: dict[str, Any] = {**settings, **own, "label_noise": chosen.noise}
    return cell(folder, table, method=name, quiet=quiet, **values)


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that all arms share, with one learning rate for all; refuse those that the study sets."""
    for name, use in SETS.items():
        if settings.get(name):
            raise ConfigError(f"the study sets `{name}` itself. Leave it out; {use} says what is studied.")
    rest = with_card({name: value for name, value in settings.items() if name not in SETS})
    found = resolve("baseline", rest)
    if found.data.category is None:
        raise ConfigError("the study replaces classes. Name the column that holds them: --category.")
    sgd = found.train.optimizer == "sgd" and not found.train.lr
    return {**rest, **({"lr": Baseline().default_lr} if sgd else {})}


def _judging_data(table: Path, settings: dict[str, Any], seed: int) -> Dataset:
    """Return the judging task with its right labels; the same split as the runs of that seed have."""
    return load_table(table, resolve("baseline", settings).data, seed)[0]


def _judged(run: Run, data: Dataset) -> dict[str, float]:
    """Return the test accuracy of a linear probe that is fitted with right labels."""
    sides: tuple[Split, ...] = ("train", "val", "test")
    rows = [data.labelled(side) for side in sides]
    assert data.category is not None, "a table of classes was read"
    h = [run.model.embed(data.inputs[index]) for index in rows]
    y = [data.category[index] for index in rows]
    found = logistic(ProbeData(h[0], y[0], h[1], y[1], h[2], y[2]))
    error = float(np.sqrt(found.score * (1 - found.score) / len(y[2])))
    return {"accuracy": found.score, "standard_error": error}


def _page(table: pd.DataFrame, name: str, command: str) -> Study:
    shares = sorted(set(table["noise"]))
    words = [f"{100 * share:g} %" for share in shares]
    found = {(arm, share): _values(table, arm, share) for arm in KINDS for share in shares}
    lines = [Line(arm, tuple(found[arm, share] for share in shares)) for arm in KINDS]
    return Study(
        title="Label noise",
        question=(
            "An encoder is trained on partly wrong labels, then frozen; a linear probe with right labels says how much "
            "it holds. Does clustering its representation and training a fresh encoder on the clusters win back what "
            "the wrong labels took?"
        ),
        answer=tuple(_answer(found, shares)),
        columns=("transfer accuracy", *words),
        rows=tuple((arm, *(_told(found[arm, share]) for share in shares)) for arm in KINDS),
        command=command,
        figure=line_figure(words, lines, axis="wrong labels", value="transfer accuracy"),
        data=name,
    )


def _answer(found: dict[tuple[str, float], tuple[float, ...]], shares: Sequence[float]) -> list[str]:
    """Say for each share above 0 whether ClusterFit transfers better and, beside 0 %, whether it lost less."""
    noisy = [share for share in shares if share > 0]
    better = [share for share in noisy if _mean(found["clusterfit", share]) > _mean(found["pretrained", share])]
    if not noisy:
        return ["No share of wrong labels was studied."]
    named = " and ".join(f"{100 * share:g} %" for share in better)
    lead = (
        f"ClusterFit transfers better than plain pretraining at {named} wrong labels."
        if better
        else ("ClusterFit transfers no better than plain pretraining at any share of wrong labels.")
    )
    lines = [lead]
    for share in noisy:
        gains = [a - b for a, b in zip(found["clusterfit", share], found["pretrained", share], strict=True)]
        control = _mean(found["twice as long", share]) - _mean(found["pretrained", share])
        told = (
            f"{100 * share:g} % wrong: ClusterFit {100 * _mean(gains):+.1f} points "
            f"({sum(g > 0 for g in gains)} of {len(gains)} seeds), twice as long {100 * control:+.1f} points."
        )
        if 0.0 in shares:
            lost = [_mean(found[arm, 0.0]) - _mean(found[arm, share]) for arm in ("clusterfit", "pretrained")]
            told += f" Against 0 % wrong ClusterFit lost {100 * lost[0]:.1f} points, pretraining {100 * lost[1]:.1f}."
        lines.append(told)
    return lines


def _values(table: pd.DataFrame, arm: str, share: float) -> tuple[float, ...]:
    chosen = table["accuracy"][(table["arm"] == arm) & (table["noise"] == share)]  # seeds in their order
    return tuple(float(x) for x in chosen)


def _told(values: Sequence[float]) -> str:
    spread = f" ± {100 * float(np.std(values, ddof=1)):.1f}" if len(values) > 1 else ""
    return f"{100 * _mean(values):.1f}{spread}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
