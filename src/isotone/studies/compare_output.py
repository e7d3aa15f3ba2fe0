"""What a comparison leaves: compare.csv, summary.csv, tuning.csv, compare.html, and the same table as text."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isotone.data.spreadsheet import neutral
from isotone.evaluate.metrics import Interval
from isotone.report import contents
from isotone.report.compare import Gap, difference_figure
from isotone.report.drawing import Picture
from isotone.report.study import Study, Table, write_study
from isotone.studies.arms import Asked, Trained, passes
from isotone.studies.compare_shots import mean_of, short, shot_tables
from isotone.studies.judging import Judged, Line, Score, titled
from isotone.studies.tuning import Tuned
from isotone.train.schedule import nominal_lr

QUESTION = (
    "Every arm has the same rows to train on and to be judged by, the same encoder, the same number of encoder passes "
    "and the same number of settings tried. Which has less error on the test rows, and by how much?"
)


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Args:
        folder: with `runs/`, `predictions/`, the tables and the page.
        rows: `compare.csv`, a line for each arm, seed and target.
        summary: `summary.csv`, a line for each arm and target, with intervals and verdicts.
        answer: in words, the headline first.
        tuning: the settings tried and taken, a line for each run.
        page: `compare.html`.
        text: the summary as a table for a terminal.
    """

    folder: Path
    rows: pd.DataFrame
    summary: pd.DataFrame
    answer: tuple[str, ...]
    tuning: tuple[str, ...]
    page: Path
    text: str


def write_outputs(
    folder: Path,
    judged: Judged,
    tuned: Mapping[Trained, Tuned],
    question: Asked,
    *,
    notes: Sequence[str] = (),
    command: str = "",
) -> Compared:
    """Write the tables and the page, each whole or not at all, and return the comparison.

    Args:
        folder: of the comparison.
        judged: what was found.
        tuned: what was tried for each run.
        question: what was asked.
        notes: what was left out.
        command: that makes it again; without one, the call in Python.
    """
    taken = {one.name: _taken(one, found, question) for one, found in tuned.items() if not found.diverged}
    rows = pd.DataFrame([_row(score, taken) for score in judged.scores]).astype({"passes": "Int64"})
    summary = pd.DataFrame([_summary(line, judged.of(line.arm.name, line.target)) for line in judged.lines])
    tuning = tuple(found.told for found in tuned.values())
    _write(folder / "compare.csv", rows)
    _write(folder / "summary.csv", summary)
    _write(folder / "tuning.csv", pd.DataFrame([line for found in tuned.values() for line in _tries(found)]))
    table = _table(judged, question)
    said = (*judged.answer, *notes, *_edges(tuned.values()))
    study = Study(
        title="Comparison",
        question=QUESTION,
        answer=said,
        columns=table[0],
        rows=table[1:],
        command=command or _again(question, folder),
        figure=_figure(judged, question),
        data=question.name,
        tables=(*shot_tables(judged), _tuning(tuned.values())),
    )
    page = write_study(folder / "compare.html", study)
    return Compared(folder, rows, summary, judged.answer, (*notes, *tuning), page, as_text(table))


def as_text(table: Sequence[Sequence[str]]) -> str:
    """Return a table as aligned lines, the first column to the left, the others to the right.

    Example:
        >>> print(as_text([("arm", "MAE"), ("L1", "2.5"), ("median", "10.0")]))
        arm      MAE
        L1       2.5
        median  10.0
    """
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in table
    )


# ----------------------------------------------------------------------------------------------------------------------


def _again(question: Asked, folder: Path) -> str:
    named = {"methods": list(question.methods), "heads": list(question.heads), "seeds": question.seeds}
    told = ", ".join(f"{name}={value!r}" for name, value in {**named, "out": str(folder), **question.settings}.items())
    return f"isotone.compare({str(question.table)!r}, {told})"


def _taken(one: Trained, found: Tuned, question: Asked) -> dict[str, Any]:
    settings = question.resolved(one)
    lr, decay = found.chosen.lr, found.chosen.weight_decay
    return {
        "lr": lr if lr is not None else nominal_lr(settings.method, settings.train),
        "weight_decay": decay if decay is not None else settings.train.weight_decay,
        "passes": passes(settings),
    }


def _row(score: Score, taken: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    arm = score.arm
    about = {"arm": arm.name, "title": arm.title, "how": arm.how, "seed": score.seed, "target": score.target}
    nothing = {"lr": math.nan, "weight_decay": math.nan, "passes": None}
    return {**about, "n": score.n, **score.values, **(taken[arm.trained.name] if arm.trained else nothing)}


def _tries(found: Tuned) -> list[dict[str, Any]]:
    return [
        {"run": found.name, "lr": one.lr, "weight_decay": one.weight_decay, "validation_error": error,
         "taken": not found.diverged and one == found.chosen, "note": found.lost.get(one, "")}
        for one, error in zip(found.tries, found.errors, strict=True)
    ]  # fmt: skip


def _tuning(tuned: Iterable[Tuned]) -> Table:
    """Return the page's table of what was tried for each run, and taken."""
    rows = tuple((one.name, one.tried, "-" if one.diverged else one.chosen.title) for one in tuned)
    note = (
        "On seed 0, chosen by the error on the validation rows, in standard deviations or as a share of wrong classes."
    )
    return Table("Settings tried, and the error of each", ("run", "tried", "taken"), rows, note)


def _edges(tuned: Iterable[Tuned]) -> tuple[str, ...]:
    """Return what is to be said of runs that lost or won at the end of the grid."""
    every = list(tuned)
    lost = [one.told for one in every if one.diverged]
    names = [one.name for one in every if not one.diverged and one.at_edge]
    edge = f"The learning rate taken is at the edge of those tried for {', '.join(names)}: a wider grid may do better."
    return (*lost, edge) if names else tuple(lost)


def _summary(line: Line, own: Sequence[Score]) -> dict[str, Any]:
    loss, gap = line.found.loss, line.found.difference
    percent = Interval(*(100 * x for x in vars(line.found.relative).values()))
    return {
        "arm": line.arm.name,
        "title": line.arm.title,
        "how": line.arm.how,
        "target": line.target,
        "seeds": len(own),
        **{name: mean_of(own, name) for name in own[0].values},
        "loss_low": loss.low,
        "loss_high": loss.high,
        "loss_spread": _spread(own),
        **{"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high},
        **{"percent": percent.value, "percent_low": percent.low, "percent_high": percent.high},
        "p_holm": line.p,
        "verdict": "" if line.verdict is None else line.verdict.kind,
    }


def _spread(own: Sequence[Score]) -> float:
    """Return the standard deviation of the seeds' losses; NaN of one."""
    losses = [score.values["error" if "error" in score.values else "mae"] for score in own]
    return float(np.std(losses, ddof=1)) if len(losses) > 1 else math.nan


def _table(judged: Judged, question: Asked) -> tuple[tuple[str, ...], ...]:
    """Return the table of the page and the terminal, its head first."""
    targets = list(dict.fromkeys(line.target for line in judged.lines))
    reference = judged.lines[0].arm.title
    classes = question.task == "classes"
    unit = "error rate" if classes else f"MAE ({targets[0]})" if len(targets) == 1 else "MAE"
    others = ("accuracy", "balanced_accuracy") if classes else ("rmse", "r2", "spearman")
    words = {"rmse": "RMSE", "r2": "R2", "spearman": "Spearman", "balanced_accuracy": "balanced"}
    head = ("arm", unit, "95 % interval", "seeds ±", f"against {reference}", "95 % interval")
    table: list[tuple[str, ...]] = [(*head, *(words.get(name, name) for name in others))]
    for line in judged.lines:
        own = judged.of(line.arm.name, line.target)
        first = line.arm == judged.lines[0].arm
        low, high = (f"{x:+.1f}" for x in (100 * line.found.relative.low, 100 * line.found.relative.high))
        table.append(
            (
                titled(line.arm, line.target, len(targets)),
                short(line.found.loss.value),
                _span(line.found.loss),
                short(_spread(own)),
                "-" if first else f"{100 * line.found.relative.value:+.1f} %",
                "-" if first or math.isnan(line.found.relative.low) else f"{low} to {high}",
                *(short(mean_of(own, name)) for name in others),
            )
        )
    return tuple(table)


def _span(interval: Interval) -> str:
    return "-" if math.isnan(interval.low) else f"{short(interval.low)} to {short(interval.high)}"


def _figure(judged: Judged, question: Asked) -> Picture | None:
    targets = list(dict.fromkeys(line.target for line in judged.lines))
    gaps = [
        Gap(
            titled(line.arm, line.target, len(targets)),
            contents.Interval(*(100 * x for x in vars(line.found.relative).values())),
            tuple(100 * x for x in line.found.by_seed),
            line.verdict.kind,
        )
        for line in judged.lines
        if line.verdict is not None
    ]
    measure = "errors" if question.task == "classes" else "MAE"
    return difference_figure(gaps, judged.lines[0].arm.title, measure) if gaps else None


def _write(path: Path, table: pd.DataFrame) -> None:
    """Write a csv, whole or not at all; texts cannot be read as formulas by a spreadsheet."""
    safe = table.map(lambda x: neutral(x) if isinstance(x, str) else x)
    temporary = path.with_name(f".tmp-{path.name}")
    safe.to_csv(temporary, index=False)
    os.replace(temporary, path)
