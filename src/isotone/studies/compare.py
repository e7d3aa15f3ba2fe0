"""`isotone compare`: methods and heads beside each other on one table, fairly, with intervals and a verdict in words.

The same for every arm: the split of each seed, the encoder, the number of encoder passes, the tuning budget. A run that
is finished is not made again and one that was stopped goes on, so that a comparison that was killed is started again by
the same command and ends with the same table, bit for bit.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isotone.errors import ConfigError
from isotone.run import Data
from isotone.settings import read_config
from isotone.studies.arms import Asked, asked, config_settings, plan
from isotone.studies.compare_output import Compared, write_outputs
from isotone.studies.compare_work import Work
from isotone.studies.judging import judge_arms
from isotone.studies.kept import Kept, answers
from isotone.studies.references import references
from isotone.studies.tuning import Tune, grid


def compare(
    table: Data,
    *,
    methods: Sequence[str] = ("baseline", "rnc"),
    heads: Sequence[str] = (),
    seeds: int = 3,
    out: str | Path,
    tune: Tune = "lr",
    lrs: Sequence[float] = (),
    weight_decays: Sequence[float] = (),
    config: str | Path | None = None,
    command: str = "",
    quiet: bool = False,
    **settings: Any,
) -> Compared:
    """Train every method for every seed, fit every head, judge all on the same rows, and say what these data show.

    Args:
        table: path of a CSV, Parquet or .npz file, or the folder of the `dataset` that the settings name.
        methods: names; the first, with its first head, is the reference that the others are compared with.
        heads: names, or `all`; without any l1, or classify for classes. The baseline is trained with each of them;
            a method that trains an encoder alone is trained once a seed, and each is fitted on its frozen features.
        seeds: how many, from 0 on. Without a column of splits each draws its own, and what was tuned on seed 0 has seen
            test rows of the others (docs/compare.md).
        out: folder of the comparison: its runs, predictions, tables and page.
        tune: `lr` tries a third, one and three times each method's own learning rate on seed 0 and takes the best by
            the validation rows; `none` takes the defaults.
        lrs: learning rates to try in place of those.
        weight_decays: to try with each of them.
        config: YAML of settings; those named here win over it. One that a single method knows goes to that method.
        command: written on the page.
        quiet: no progress on standard error.
        settings: of `isotone fit`, for all methods: target="age", passes=200.

    Returns:
        Tables, verdicts and where they are.

    Raises:
        ConfigError: names, labels and settings that do not fit, before anything is trained; a folder that holds
            something else, or runs of other settings or data.
        DataError: every problem of the table. DivergenceError: a run beyond the tuning became NaN.
        StoppedError: Ctrl-C or SIGTERM; the same call goes on.

    Example: see docs/compare.md.
    """
    if not isinstance(table, str | Path):
        raise ConfigError(
            f"a comparison reads a table, so that it can go on after a stop; got {type(table).__name__}. Write the "
            "arrays as a CSV, Parquet or .npz file."
        )
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("a comparison runs in one process. Start it without a launcher.")
    lists = ("target", "features", "augment")
    named = {key: (x,) if key in lists and isinstance(x, str) else x for key, x in settings.items()}
    saved = config_settings(read_config(Path(config)), methods, str(config)) if config else {}
    question = asked(table, methods, heads, seeds, saved | named)
    work = Work(question, Path(out), None if quiet else sys.stderr)
    return _compared(work, question, tune, lrs, weight_decays, command)


# ----------------------------------------------------------------------------------------------------------------------


def _compared(
    work: Work, question: Asked, tune: Tune, lrs: Sequence[float], weight_decays: Sequence[float], command: str
) -> Compared:
    """Plan, tune, train, fit, judge and write."""
    found = plan(question, work.data(0))
    grids = {
        one: grid(question.resolved(one), tune=tune, lrs=lrs, weight_decays=weight_decays) for one in found.trained
    }
    work.begin(grids, found.notes)
    tuned = {one: work.settle(one, work.tune(one, tries)) for one, tries in grids.items()}
    reference = found.arms[0].trained
    lost = {one for one, each in tuned.items() if each.diverged and one != reference}
    left = tuple(arm for arm in found.arms if arm.trained not in lost)
    arms = (*left, *references(question.resolved(found.trained[0]), question.task))
    kept: dict[tuple[str, int], Kept] = {}
    trained: list[np.ndarray] = []
    for seed in range(question.seeds):
        kept |= {(arm.name, seed): work.predictions(arm, seed, tuned) for arm in arms}
        trained.append(answers(work.data(seed))[work.data(seed).labelled("train")])
    data = work.data(0)
    names = data.target_names or (str(data.category_name),)
    judged = judge_arms(arms, kept, trained, targets=names, task=question.task, group=data.group_name)
    return write_outputs(work.folder, judged, tuned, question, notes=found.notes, command=command)
