"""Transfer: an encoder trained on one table, judged on another with a linear probe and with fine-tuning.

The linear probe is a ridge regression on the frozen encoder, its penalty picked on validation. Fine-tuning is the
`baseline` method on the second table, started from the encoder's weights; beside it stands the same from scratch. Each
start has the same learning rates, of which validation picks: one that suits a random start can lose a good one.

Source: Zha et al. 2023, arXiv 2210.01189, section 5.4 and table 4.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isotone.check import positive
from isotone.errors import ConfigError, DivergenceError
from isotone.evaluate.linear import ridge
from isotone.evaluate.probe import ProbeData
from isotone.records import Dataset
from isotone.report.study import Study, Table, line_figure, write_study
from isotone.run import Run, listed
from isotone.settings import Settings, table_or_root
from isotone.studies.derived import write_part
from isotone.studies.errors import Errors, absolute_errors, errors_of, joined
from isotone.studies.few_data import FEWEST, nested
from isotone.studies.flags import Flag, numbers, plain, whole
from isotone.studies.grid import Grid
from isotone.studies.robustness import interval_words
from isotone.studies.sweep import ARMS, Arm, Sweep, run_errors
from isotone.train.schedule import nominal_lr

SCRATCH = "from scratch"
OWN = ("target", "geometry", "group", "split_column", "image_column", "features", "dataset", "split", "hold_out")
SETS = {"weights": "--to"}
FLAGS = {
    "--to": Flag("the second table, on which all are judged; its inputs must have the form of the first's", plain),
    "--to-dataset": Flag("a published data set in place of the second table; its card names the columns", plain),
    "--to-root": Flag("its folder, as downloaded", plain),
    "--to-split": Flag("its split: drawn (default), published or dir", plain),
    "--to-hold-out": Flag("its group that is the test", plain),
    "--to-target": Flag("its target (default: called as in the first table)", plain),
    "--to-group": Flag("its column of groups (default: none)", plain),
    "--to-split-column": Flag("its column of train, val and test (default: none)", plain),
    "--to-image-column": Flag("its column of images (default: found by itself)", plain),
    "--from-rows": Flag("training rows of the first table that are used (default: all)", whole),
    "--to-rows": Flag("training rows of the second table that are used (default: all)", whole),
    "--tune-passes": Flag("passes of fine-tuning (default: --passes)", whole),
    "--tune-lrs": Flag("learning rates of fine-tuning, validation picks (default: --lr and a tenth of it)", numbers),
}
PUBLISHED = Table(
    "As published",
    ("MAE in years", "L1, linear", "RnC, linear", "L1, fine-tuned", "RnC, fine-tuned"),
    (
        ("AgeDB to IMDB-WIKI, 2k rows", "12.25", "11.12", "11.57", "11.09"),
        ("IMDB-WIKI, 32k rows, to AgeDB", "7.36", "7.06", "6.36", "6.13"),
    ),
    "arXiv 2210.01189, table 4, ResNet-18; one run each, no intervals.",
)


def transfer(
    table: str | Path,
    *,
    out: str | Path,
    to: str | Path | None = None,
    to_root: str | Path | None = None,
    from_rows: int = 0,
    to_rows: int = 0,
    tune_passes: int = 0,
    tune_lrs: Sequence[float] = (),
    arms: Sequence[str] = ARMS,
    seeds: int = 1,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train each arm on the first table, judge it on the second, write `study.csv` and `study.html`.

    Args:
        table: with a target.
        out: folder of the study; runs that are finished are not made again.
        to: the second table.
        to_root: in its place the folder of the published data set `to_dataset`, whose card names the columns.
        from_rows: training rows of the first table that are used, whole groups; 0 takes all. Each seed draws its own.
        to_rows: the same of the second table.
        tune_passes: of fine-tuning; 0 takes those of the first training.
        tune_lrs: learning rates of fine-tuning and from scratch, picked on validation; none: `lr` and a tenth of it.
        arms: as in `isotone.studies.robustness`.
        seeds: number of seeds, from 0 on.
        command: written on the page.
        quiet: no progress.
        settings: of `isotone fit`; with `to_` before them those of the second table: to_target (without it called as in
            the first), to_group, to_image_column, to_split_column; to_dataset, to_split, to_hold_out.

    Returns:
        Path of the page.

    Raises:
        ConfigError: see `Sweep.of`; no second table, or inputs of another form; DataError: see `isotone.fit`.

    Source: arXiv 2210.01189, table 4.
    """
    own = {name.removeprefix("to_"): settings.pop(name) for name in list(settings) if name.startswith("to_")}
    sweep = Sweep.of(table, out, arms, seeds, settings, quiet=quiet, sets=SETS)
    _check(tune_lrs, from_rows, to_rows)
    second = _second(settings, sweep.resolved(sweep.arms[0]), listed(own), tune_passes)
    tuned = Sweep.of(_where(to, to_root, own.get("dataset")), out, ["baseline"], seeds, second, quiet=quiet)
    scratch = tuned.resolved(tuned.arms[0])
    targets, own_lr = scratch.data.target, nominal_lr(scratch.method, scratch.train)
    if len(targets) != 1:
        raise ConfigError("the study judges errors of one target. Name one column of the second table: --to-target.")
    rates, unit = tuple(tune_lrs) or (own_lr / 10, own_lr), targets[0]
    cells = _judged(sweep, tuned, rates, from_rows, to_rows)
    names, name = [arm.name for arm in sweep.arms], f"{sweep.name} to {tuned.name}"
    grid = Grid.of(names, ["linear probe", "fine-tuned"], cells, unit)
    beside = Grid.of([SCRATCH, *names], ["fine-tuned"], cells, unit)
    grid.write(sweep.out / "study.csv", "judged by")
    beside.write(sweep.out / "scratch.csv", "judged by")
    held = _held(scratch.train.passes, rates, from_rows, to_rows)
    return write_study(sweep.out / "study.html", _page(grid, beside, name, command, seeds, held))


# ----------------------------------------------------------------------------------------------------------------------


def _where(to: str | Path | None, to_root: str | Path | None, dataset: str | None) -> str:
    where = {"table": to, "root": to_root, "dataset": dataset}
    if not any(where.values()):
        raise ConfigError(
            "the study needs a second table, on which the encoders are judged: --to TABLE, or --to-dataset NAME "
            "--to-root FOLDER."
        )
    return table_or_root(where, "study transfer", "to-")


def _second(settings: Mapping[str, Any], first: Settings, own: Mapping[str, Any], passes: int) -> dict[str, Any]:
    """Return the settings of the second table: those of the first that are not of its columns, and its own."""
    kept = {name: value for name, value in Arm.read("baseline").takes(settings).items() if name not in OWN}
    kept["passes"] = passes or first.train.passes
    if "dataset" in own:  # its card says the rest
        return {**kept, **own}
    alike = {"target": first.data.target, "features": first.data.features}
    return {**kept, **alike, "geometry": settings.get("geometry", "line"), **own}


def _check(tune_lrs: Sequence[float], from_rows: int, to_rows: int) -> None:
    for rate in tune_lrs:
        positive("tune_lrs", rate)
    for name, rows in (("from_rows", from_rows), ("to_rows", to_rows)):
        if rows != 0 and rows < FEWEST:
            raise ConfigError(f"`{name}` must be at least {FEWEST} training rows, or 0 for all of them, got {rows}.")


def _held(passes: int, rates: Sequence[float], from_rows: int, to_rows: int) -> tuple[str, ...]:
    drawn = {"first": from_rows, "second": to_rows}
    return (
        f"Fine-tuned and {SCRATCH}: method baseline on the second table, {passes} passes, learning rate "
        f"{' or '.join(f'{rate:g}' for rate in rates)}, by the validation error of each start and seed.",
        *(
            f"About {rows:,} training rows of the {which} table, or all where it has fewer: whole groups where there "
            "are groups, drawn by each seed."
            for which, rows in drawn.items()
            if rows
        ),
    )


def _judged(
    sweep: Sweep, tuned: Sweep, rates: Sequence[float], from_rows: int, to_rows: int
) -> dict[tuple[str, str], Errors]:
    """Return the errors by (arm, way of judging) on the second table."""
    parts: dict[tuple[str, str], list[Errors]] = {}
    for seed in range(sweep.seeds):
        first, _ = _fewer(sweep, from_rows, seed, "from")
        runs = {arm.name: first.run(arm, seed, _place("first", from_rows)) for arm in first.arms}
        one = next(iter(runs.values()))
        second, lines = _fewer(_in_form(tuned, one), to_rows, seed, "to")
        data = second.data(seed)
        rows = data.labelled("test")
        _check_form(data, one.model.shape, tuned.name)
        for arm, run in runs.items():
            error = errors_of(data, rows, _probed(run, data), seed=seed, lines=lines)
            parts.setdefault((arm, "linear probe"), []).append(error)
        for arm in (*runs, SCRATCH):
            start: dict[str, Any] = {} if arm == SCRATCH else {"weights": str(_weights(runs[arm]))}
            own = Arm(f"tuned {arm}", "baseline", second.settings)
            best = _best(second, own, seed, data, rates, place=_place("", from_rows, to_rows), **start)
            error = errors_of(data, rows, run_errors(best, data), seed=seed, lines=lines)
            parts.setdefault((arm, "fine-tuned"), []).append(error)
    return {key: joined(each) for key, each in parts.items()}


def _best(
    second: Sweep, arm: Arm, seed: int, data: Dataset, rates: Sequence[float], *, place: str, **start: Any
) -> Run:
    """Return the run with the lowest validation error over the learning rates; one that diverges is left aside.

    Raises:
        DivergenceError: all did.
    """
    runs: list[Run] = []
    failed: DivergenceError | None = None
    for rate in rates:
        try:
            runs.append(second.run(replace(arm, name=f"{arm.name} at {rate:g}"), seed, place, lr=rate, **start))
        except DivergenceError as error:
            failed = error
            if not second.quiet:
                sys.stderr.write(f"note: {arm.name} diverged at a learning rate of {rate:g}, seed {seed}\n")
    if failed is not None and not runs:
        raise failed
    return min(runs, key=lambda run: float(run_errors(run, data, "val").mean()))


def _place(name: str, *rows: int) -> str:
    """Return where a run stands among those of one folder: runs on other rows are others."""
    return " ".join([name, *(str(count) for count in rows if any(rows))])


def _fewer(sweep: Sweep, rows: int, seed: int, name: str) -> tuple[Sweep, np.ndarray | None]:
    """Return the sweep on so many of its training rows, and the line of each row left in the user's table."""
    if not rows:
        return sweep, None
    data = sweep.data(seed)
    every = len(data.rows("train"))
    if rows >= every:
        return sweep, None
    part = write_part(
        sweep.out / "tables" / f"seed{seed}-{name}{rows}",
        sweep.table, data, sweep.resolved(sweep.arms[0]).data,
        nested(data, rows / every, seed).tolist(), data.rows("val").tolist(),
    )  # fmt: skip
    return replace(sweep, table=part.path, settings={**sweep.settings, **part.settings}), part.lines


def _in_form(tuned: Sweep, run: Run) -> Sweep:
    """Return the second table's sweep with the encoder and the form of images that the first has."""
    form: dict[str, Any] = {"encoder": run.model.encoder_name, "norm": run.model.norm}
    if run.model.kind == "image":
        form |= {"channels": str(run.model.shape[0]), "image_size": run.model.shape[1]}
    return replace(tuned, settings={**tuned.settings, **form})


def _check_form(data: Dataset, shape: tuple[int, ...], to: str) -> None:
    came = data.inputs.shape[1:]
    fits = came[-1] == shape[0] if data.kind == "image" else came == shape
    if not fits:
        raise ConfigError(
            f"the encoder takes inputs of shape {shape}, and {to} holds {data.kind} of shape {came}. "
            "Give a second table of the same form."
        )


def _probed(run: Run, data: Dataset) -> np.ndarray:
    """Return the test errors (t,) of a linear probe on the frozen encoder."""
    sides = [data.labelled(side) for side in ("train", "val", "test")]
    h, y = ([x[rows] for rows in sides] for x in (run.model.embed(data.inputs), data.target[:, 0]))
    found = ridge(ProbeData(h[0], y[0], h[1], y[1], h[2], y[2]))
    return absolute_errors(data, sides[2], found.prediction[:, None])


def _weights(run: Run) -> Path:
    """Return a file of the encoder's weights alone, written once into the run's folder."""
    from safetensors.torch import save_file

    path = run.folder / "encoder.safetensors"
    if not path.exists():
        temporary = path.with_name(f".tmp-{path.name}")
        save_file({name: x.contiguous().clone() for name, x in run.model.encoder.state_dict().items()}, temporary)
        temporary.rename(path)
    return path


def _page(grid: Grid, beside: Grid, name: str, command: str, seeds: int, held: tuple[str, ...]) -> Study:
    answer = [grid.verdict(arm, place, place.capitalize()) for place in grid.places for arm in grid.arms[1:]]
    answer += [beside.verdict(arm, "fine-tuned", "Fine-tuned") for arm in beside.arms[1:]]
    return Study(
        title="Transfer",
        question="Each method trains an encoder on the first table. What is it worth on the second?",
        answer=tuple(answer),
        columns=grid.columns("judged by"),
        rows=grid.rows(),
        command=command,
        figure=line_figure(
            grid.places, grid.lines(), axis="judged by", value=f"test error ({grid.unit})", joined=False
        ),
        data=name,
        tables=(Table("Beside training from scratch", beside.columns("judged by"), beside.rows()), PUBLISHED),
        held=(
            "Linear probe: ridge regression on the frozen encoder, its penalty picked on the second's validation.",
            *held,
            interval_words(seeds),
            *beside.told(),
        ),
    )
