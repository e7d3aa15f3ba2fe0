"""What is compared: arms, each a method with a head, and the runs that have to be trained for them.

A method that trains the head together with its encoder (baseline) needs a run for each head. One that trains an encoder
alone (rnc, simclr) is trained once a seed, and every head is fitted on its frozen features. Which it is, is seen from
the network that the method builds: no method is known here by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch

from isotone import check
from isotone.errors import ConfigError, nearest
from isotone.methods import ALIASES, METHODS, method_class
from isotone.methods.needs import DEFAULT_HEAD, NEEDS
from isotone.predict import FROZEN, HEADS, PREDICTORS, Task
from isotone.prepare import build
from isotone.records import Dataset, Method
from isotone.settings import Settings, only_known, parts_of, resolve, with_card

SET_HERE = {  # settings of `isotone fit` that a comparison sets itself, and what sets them
    "seed": "--seeds",
    "head": "--heads",
    "method": "--methods",
    "views": "the method's default",
    "scheme": "fitting every head on the frozen encoder",
    "label_noise": "keeping the labels as they are; see `isotone study label-noise`",
}


@dataclass(frozen=True)
class Trained:
    """One thing to train for each seed: a method; with its head where the two are trained together."""

    method: str
    head: str = ""

    @property
    def name(self) -> str:
        """For folders: `rnc`, or `baseline-l1`."""
        return f"{self.method}-{self.head}" if self.head else self.method

    @property
    def title(self) -> str:
        """For people: `RnC`, or `L1` for the baseline, whose name is its head's."""
        own = method_class(self.method).__name__
        return own if not self.head else _joined(own, self.head)


@dataclass(frozen=True)
class Arm:
    """One line of the comparison.

    Args:
        name: unique, for files: `rnc-l1`.
        title: for people: `RnC + L1`.
        how: how it is made, in words.
        trained: the run behind it, or None for what needs no training of an encoder.
        head: fitted on the run's frozen features; `knn` for its neighbours (of classes the vote of 200); empty where
            the run has its own.
    """

    name: str
    title: str
    how: str
    trained: Trained | None = None
    head: str = ""


@dataclass(frozen=True)
class Asked:
    """What the user asks for.

    Args:
        table: path; or the folder of the data set that the settings name.
        methods: names; the first with its first head is the reference.
        heads: names; empty takes l1, or classify.
        seeds: how many, from 0 on.
        settings: of `isotone fit`, for all methods; one that only some methods know goes to those. With the columns of
            the data set's card.
    """

    table: Path
    methods: tuple[str, ...]
    heads: tuple[str, ...]
    seeds: int
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """How to call the data: the data set, or the table's file."""
        return str(self.settings.get("dataset") or self.table.name)

    @property
    def task(self) -> Task:
        """What is predicted, as the settings say."""
        return "classes" if self.settings.get("category") else "numbers"

    def of(self, trained: Trained, seed: int, **more: Any) -> dict[str, Any]:
        """Return the settings of one run: those that its method knows, its head and its seed."""
        known = {name for part in parts_of(trained.method) for name in part.__dataclass_fields__}
        own = {name: value for name, value in self.settings.items() if name in known}
        head = trained.head or DEFAULT_HEAD[self.task]
        return {**own, "head": head, "seed": seed, **more}

    def resolved(self, trained: Trained, seed: int = 0) -> Settings:
        """Return the settings of one run, checked."""
        return resolve(trained.method, self.of(trained, seed))


@dataclass(frozen=True)
class Plan:
    """Arms in the order shown, the first is the reference; what is trained for each seed; what is left out, and why."""

    arms: tuple[Arm, ...]
    trained: tuple[Trained, ...]
    notes: tuple[str, ...] = ()


def asked(
    table: str | Path, methods: Sequence[str], heads: Sequence[str], seeds: int, settings: Mapping[str, Any]
) -> Asked:
    """Return a question that can be answered, or refuse it before the table is read.

    Args:
        table: path.
        methods: names.
        heads: names, `all`, or none.
        seeds: how many.
        settings: of `isotone fit`.

    Raises:
        ConfigError: unknown names, each with the nearest; a method that needs labels that are not named; settings that
            a comparison sets itself.

    Example:
        >>> asked("t.csv", ["baseline", "supcr"], [], 3, {"target": ["age"]}).methods
        ('baseline', 'rnc')
    """
    check.between("seeds", seeds, 1, 1000)
    found = tuple(dict.fromkeys(ALIASES.get(name, name) for name in methods))
    if not found:
        raise ConfigError("name at least one method to compare: --methods baseline,rnc.")
    task: Task = "classes" if settings.get("category") else "numbers"
    for name in found:
        _check_needs(name, task, settings)
    every = HEADS[task] if tuple(heads) == ("all",) else tuple(dict.fromkeys(heads)) or (DEFAULT_HEAD[task],)
    for head in every:
        _check_head(head, task)
    known = {name for method in found for part in parts_of(method) for name in part.__dataclass_fields__}
    for name in settings:
        if name in SET_HERE:
            raise ConfigError(f"a comparison sets `{name}` itself, by {SET_HERE[name]}. Leave it out.")
        if name not in known:
            raise ConfigError(f"there is no setting {name!r} for {', '.join(found)}.{nearest(name, known)}")
    made = Asked(Path(table), found, every, seeds, with_card(settings))
    for name in found:
        resolve(name, {key: x for key, x in made.of(Trained(name), 0).items() if key != "head"})  # values out of range
    if not made.settings.get("target") and task == "numbers":
        raise ConfigError("what is to be predicted? Name its column: --target, or --category for classes.")
    return made


def plan(question: Asked, dataset: Dataset) -> Plan:
    """Return the arms and the runs behind them, or refuse what cannot be trained or not be compared.

    Args:
        question: from `asked`.
        dataset: of seed 0: every method is built on it once, so that what is wrong shows before anything is trained.

    Raises:
        ConfigError: a method or head does not fit the data; the methods would not have the same encoder passes.
    """
    arms: list[Arm] = []
    runs: dict[Trained, None] = {}
    notes: list[str] = []
    for name in question.methods:
        takes = _heads_of(name)
        heads = [head for head in question.heads if head in takes] or [DEFAULT_HEAD[question.task]]
        if _end_to_end(question, Trained(name, heads[0]), dataset):
            left = [head for head in question.heads if head not in takes]
            notes += [f"{name} is trained with {' or '.join(heads)}, not with {' or '.join(left)}."] if left else []
            for head in heads:
                one = Trained(name, head)
                _end_to_end(question, one, dataset)  # refuses a head that does not fit
                runs[one] = None
                arms.append(Arm(one.name, one.title, "end to end", one))
        else:
            one = Trained(name)
            runs[one] = None
            arms += [_on_frozen(one, head) for head in question.heads if head != "knn"]  # which stands below anyway
            arms.append(
                Arm(f"{name}-knn", f"{one.title} + kNN", "neighbours in the frozen encoder's space", one, "knn")
            )
    _check_passes(question, tuple(runs))
    return Plan(tuple(arms), tuple(runs), tuple(notes))


def passes(settings: Settings) -> int:
    """Return how often each training row goes through the encoder: whole epochs of all views."""
    views = settings.method.views
    return max(1, settings.train.passes // views) * views


def config_settings(config: Mapping[str, Any], methods: Sequence[str], source: str) -> dict[str, Any]:
    """Return the settings of a YAML file that any of the methods knows, without those that a comparison sets itself.

    Args:
        config: of the file.
        methods: names.
        source: the file's name, for the message.

    Raises:
        ConfigError: a name that no method knows.
    """
    parts = [part for name in methods for part in parts_of(ALIASES.get(name, name))]
    found = only_known(config, parts, source)
    return {name: value for name, value in found.items() if name not in SET_HERE}


# ----------------------------------------------------------------------------------------------------------------------


def _check_needs(name: str, task: Task, settings: Mapping[str, Any]) -> None:
    has = {
        "label": True,
        "target": task == "numbers",
        "category": task == "classes",
        "sequence": bool(settings.get("sequence")),
        "second": bool(settings.get("second")),
        "teacher": False,
    }
    for need in method_class(name).needs:
        if has[need]:
            continue
        if need == "teacher":
            raise ConfigError(
                f"{name} needs {NEEDS[need]}, but a comparison trains every arm anew for each seed. Leave it out of "
                f"--methods, and compare its run by: isotone report RUN --against OTHER."
            )
        flag = f"--{need}"
        others = ", ".join(other for other, made in METHODS.items() if need not in made.needs)
        raise ConfigError(
            f"{name} needs {NEEDS[need]}, and none is named. Name its column ({flag}), or choose among: {others}."
        )


def _check_head(head: str, task: Task) -> None:
    if head in FROZEN[task]:
        return
    what = "numbers (--target)" if task == "numbers" else "classes (--category)"
    close = nearest(head, FROZEN[task])
    raise ConfigError(f"there is no head {head!r} for {what}; there are {', '.join(FROZEN[task])}.{close}")


def _heads_of(name: str) -> tuple[str, ...]:
    """Return the heads that a method may be trained with, as its setting says."""
    return get_args(get_type_hints(method_class(name))["head"])


def _end_to_end(question: Asked, trained: Trained, dataset: Dataset) -> bool:
    """Tell whether a method trains its head with the encoder; refuses what does not fit the data."""
    settings = question.resolved(trained)
    if settings.net.pretrained or settings.net.weights:  # they are of no account here, and large
        settings = replace(settings, net=replace(settings.net, pretrained=False, weights=None))
    made = build(settings, dataset, None, torch.device("cpu"))
    return made.net.head is not None


def _on_frozen(trained: Trained, head: str) -> Arm:
    title = f"{trained.title} + {PREDICTORS[head].__name__}"
    return Arm(f"{trained.method}-{head}", title, "head on the frozen encoder", trained, head)


def _joined(own: str, head: str) -> str:
    name = PREDICTORS[head].__name__
    return name if own == "Baseline" else f"{own} + {name}"


def _check_passes(question: Asked, runs: Sequence[Trained]) -> None:
    found = {one.method: question.resolved(one) for one in runs}
    made = {name: passes(settings) for name, settings in found.items()}
    if len(set(made.values())) > 1:
        wanted = next(iter(found.values())).train.passes
        views = math.lcm(*(_views(settings.method) for settings in found.values()))
        near = max(1, round(wanted / views)) * views
        told = ", ".join(f"{name} {count}" for name, count in made.items())
        raise ConfigError(
            f"with --passes {wanted} the methods would not have the same encoder passes ({told}), since a step takes "
            f"all views of a row. Choose a multiple of {views}, such as --passes {near}."
        )


def _views(method: Method) -> int:
    return method.views
