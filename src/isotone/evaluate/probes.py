"""The probes by name, and running them on a run: `evaluate_run` is what the command line and Python call.

A probe never changes the encoder. That is checked: the weights and the statistics of batch norm are compared, bit for
bit, before and after each one.
"""

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from isotone.check import between, choice, positive
from isotone.data.settings import DataSettings
from isotone.errors import ConfigError
from isotone.evaluate.detection import detection
from isotone.evaluate.finetune import LR, SHARES, finetune
from isotone.evaluate.invariance import invariance
from isotone.evaluate.knn import knn_classes, knn_numbers
from isotone.evaluate.labels import svm_columns, svm_voc
from isotone.evaluate.layers import layers
from isotone.evaluate.linear import logistic, ridge
from isotone.evaluate.low_shot import low_shot
from isotone.evaluate.probe import ProbeData, ProbeResult
from isotone.evaluate.subject import FrozenRows, Subject, answers, result_row
from isotone.evaluate.svm import svm

Probe = Callable[[ProbeData], ProbeResult]

NUMBER_PROBES: dict[str, Probe] = {"linear": ridge, "knn": knn_numbers}
CLASS_PROBES: dict[str, Probe] = {"linear": logistic, "knn": knn_classes, "svm": svm}
BOTH = ("classes", "numbers")
# what answers a probe can tell; nothing: it needs none
TELLS: dict[str, tuple[str, ...]] = {
    "linear": BOTH,
    "knn": BOTH,
    "svm": ("classes",),
    "layers": BOTH,
    "low-shot": ("classes",),
    "semi": BOTH,
    "finetune": BOTH,
    "invariance": (),
    "detection": (),
}
COLUMNS = ("category", "target", "labels", "group", "split_column", "image_column")


@dataclass(frozen=True)
class ProbeSettings:
    """What can be set of the probes.

    Args:
        passes: of semi and finetune: how often each row goes through the encoder; 0 takes 30, more for few rows.
        lr: of semi, finetune and detection; 0 takes 0.05, 0.05 and 0.02.
        voc: of detection, and of svm where no labels are named: a folder in the layout of Pascal VOC.
        train_encoder: of detection: train the encoder's copy too.
        steps: of detection; 0 takes 500.
        labels: of svm: names of several labels a row, columns of 0 and 1.
    """

    passes: int = 0
    lr: float = 0.0
    voc: str | Path | None = None
    train_encoder: bool = False
    steps: int = 0
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        between("passes", self.passes, 0, 1_000_000)
        between("steps", self.steps, 0, 1_000_000)
        if self.lr:
            positive("lr", self.lr)


def probe_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of probes, each once.

    Args:
        names: such as ("linear", "knn"), or "linear,knn".

    Raises:
        ConfigError: an unknown name, with the nearest beside it.

    Example:
        >>> probe_names("knn, linear")
        ('knn', 'linear')
        >>> probe_names(["layer"])
        Traceback (most recent call last):
        isotone.errors.ConfigError: `probe` has no 'layer'; there are linear, knn, svm, layers, low-shot, semi, \
finetune, invariance, detection. Did you mean 'layers'?
    """
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for name in listed:
        choice("probe", name, TELLS)
    return tuple(dict.fromkeys(listed))


def evaluate_run(
    names: Sequence[str],
    subject: Subject,
    settings: ProbeSettings | None = None,
    *,
    data: object = None,
    stream: TextIO | None = None,
) -> list[dict[str, Any]]:
    """Run probes on a run's encoder and return their lines for `probes.jsonl`.

    Args:
        names: of `TELLS`.
        subject: encoder and data. The encoder is moved to the device for the time of the probes.
        settings: of the probes that train.
        data: path of another table than the run's own; its name is written into each line.
        stream: where to say which probe runs; None is silent.

    Returns:
        One dictionary a line: `probe`, `target`, `split`, `n`, `score`, `score_name`, `higher_is_better`, `settings`,
        `notes`, and what the probe adds; plain values, NaN as None.

    Raises:
        ConfigError: a probe cannot tell such answers, there are no labels, a setting that it needs is missing; or the
            encoder came out of a probe other than it went in, which only an encoder of the user's own can do.
    """
    _check(names, subject, settings or ProbeSettings())
    probes = _probes(settings or ProbeSettings())
    place = next((p.device for p in subject.encoder.parameters()), subject.device)
    subject.encoder.to(subject.device).eval()
    lines: list[dict[str, Any]] = []
    try:
        for name in names:
            if stream is not None:
                stream.write(f"probe: {name}\n")
            with unchanged(subject.encoder, name):
                lines += probes[name](subject)
    finally:
        subject.encoder.to(place)
    return [line | ({"data": Path(data).name} if isinstance(data, str | Path) else {}) for line in lines]


def probe_rows(frozen: FrozenRows, names: Sequence[str], *, seed: int) -> list[dict[str, Any]]:
    """Fit each probe of frozen features on each column of answers and score it on the test rows.

    Args:
        frozen: features and answers of all rows.
        names: linear, knn, or for classes svm.
        seed: of the bootstrap of the intervals. Groups are drawn whole where there are groups.

    Returns:
        A line a probe and column, as `isotone.evaluate.subject.result_row`.

    Raises:
        ShapeError: features that are not finite; a side of the split that the probe needs has no rows.
    """
    return [
        result_row(
            one,
            (NUMBER_PROBES if one.told == "numbers" else CLASS_PROBES)[name](one.data(frozen.h[one.rows])),
            seed=seed,
        )
        for one in answers(frozen)
        for name in names
    ]


def probe_settings(own: DataSettings, values: Mapping[str, Any]) -> tuple[DataSettings, ProbeSettings]:
    """Return where labels, groups and split are, and the settings of the probes that train, from one list of both.

    Args:
        own: data settings of the run.
        values: fields of `ProbeSettings`, and `category`, `target`, `labels`, `group`, `split_column` and
            `image_column` of the data. Where none of these is given the run's own stay, as they are; else those not
            given are none, but for the image column, and rows with an empty label are left out.

    Raises:
        ConfigError: another name, with the nearest; a value out of range.

    Example:
        >>> own = DataSettings(target=("age",), group="person")
        >>> other, probing = probe_settings(own, {"category": "sex", "passes": 5})
        >>> other.target, other.category, other.group, probing.passes
        ((), 'sex', None, 5)
    """
    mine = [field.name for field in fields(ProbeSettings) if field.name not in COLUMNS]
    for name in values:
        choice("setting of evaluate", name, (*COLUMNS, *mine))
    given = {name: value for name, value in values.items() if name in COLUMNS and value}
    labels = _names(given.pop("labels", ()))
    probing = ProbeSettings(**{name: value for name, value in values.items() if name in mine}, labels=labels)
    if not given and not labels:
        return own, probing
    target = _names(given.pop("target", ())) or labels
    if labels and (target != labels or "category" in given):
        raise ConfigError("`labels` names what is probed, as target and category do. Name one of the three.")
    if given.get("category") is True:  # as for arrays in `fit`: y holds classes
        given["category"] = "category"
    rest = {"category": None, "group": None, "split_column": None, "sequence": None, "time": None, "second": None}
    return replace(own, target=target, unlabelled=True, label_noise=0.0, **(rest | given)), probing


@contextmanager
def unchanged(encoder: nn.Module, probe: str) -> Generator[None]:
    """Raise ConfigError where the block changes a weight or a buffer of the encoder, by a single bit.

    Args:
        encoder: any module.
        probe: name, for the message.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> with unchanged(layer, "knn"), torch.no_grad():
        ...     _ = layer.bias.add_(1)
        Traceback (most recent call last):
        isotone.errors.ConfigError: the probe 'knn' changed `bias` of the encoder, and its scores are not kept. An \
encoder of your own must not write to its weights or buffers in eval mode.
    """
    before = _prints(encoder)
    yield
    after = _prints(encoder)
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if changed:
        raise ConfigError(
            f"the probe {probe!r} changed `{changed[0]}` of the encoder, and its scores are not kept. An encoder of "
            "your own must not write to its weights or buffers in eval mode."
        )


def kept_rows(folder: Path) -> FrozenRows | None:
    """Return the features that a run kept in its folder, or None where they are not those of all its rows.

    Args:
        folder: of a finished run; it keeps the features of at most 2,000 rows.
    """
    try:
        about = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        with (folder / "features.npz").open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            kept = {name: file[name] for name in ("index", "h", "target", "split", "group")}
            category = file["category"] if "category" in file.files else None
            classes = tuple(file["classes"].tolist()) if category is not None else ()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # damaged: they can be computed again
    if not np.array_equal(kept["index"], np.arange(about["rows"])):
        return None
    group = kept["group"] if kept["group"].size else None
    names, name = tuple(about["target_names"]), about.get("category_name")
    return FrozenRows(kept["h"], kept["target"], names, kept["split"], group, category, classes, name)


def append_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows to a file of one JSON object a line, each with the time; what is there stays."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    text = "".join(json.dumps({"time": now, **row}, allow_nan=False) + "\n" for row in rows)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


# ----------------------------------------------------------------------------------------------------------------------


def _probes(settings: ProbeSettings) -> dict[str, Callable[[Subject], list[dict[str, Any]]]]:
    """Return every probe as a function of the subject alone."""
    several = {"svm": svm_columns} if settings.labels else {}
    if settings.voc is not None and not settings.labels:
        several = {"svm": partial(svm_voc, folder=Path(settings.voc))}

    def frozen(name: str) -> Callable[[Subject], list[dict[str, Any]]]:
        return lambda subject: probe_rows(subject.frozen, [name], seed=subject.seed)

    rate = {"lr": settings.lr} if settings.lr else {}
    steps = {"steps": settings.steps} if settings.steps else {}
    tuned = {"passes": settings.passes, "lr": settings.lr or LR}
    box = {"folder": Path(settings.voc or "."), "trained": settings.train_encoder}
    return {name: frozen(name) for name in CLASS_PROBES} | {
        **several,
        "layers": layers,
        "low-shot": low_shot,
        "semi": partial(finetune, shares=SHARES, **tuned),
        "finetune": partial(finetune, **tuned),
        "invariance": invariance,
        "detection": partial(detection, **box, **rate, **steps),
    }


def _check(names: Sequence[str], subject: Subject, settings: ProbeSettings) -> None:
    if "detection" in names and settings.voc is None:
        raise ConfigError(
            "the probe 'detection' needs a folder of images with boxes in the layout of Pascal VOC: --voc FOLDER."
        )
    several = bool(settings.labels) or settings.voc is not None
    asking = [name for name in names if TELLS[name] and not (name == "svm" and several)]
    if settings.labels and asking:
        raise ConfigError(
            f"the probe {asking[0]!r} tells one answer a row, and `labels` are several. Use svm, or name a --target or "
            "a --category."
        )
    found = subject.answers if asking else []
    for name in asking:
        if not found:
            raise ConfigError(
                f"the probe {name!r} needs labels, and these data have none. Name the column that holds them, "
                "--category or --target, of this table or with --data of another; invariance and detection need none."
            )
        if found[0].told not in TELLS[name]:
            raise ConfigError(
                f"the probe {name!r} tells classes apart, and the target is a number. Use linear, knn or layers."
            )


def _names(listed: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(listed.split(",")) if isinstance(listed, str) else tuple(listed)


def _prints(encoder: nn.Module) -> dict[str, bytes]:
    """Return a digest of each weight and buffer."""
    return {
        name: hashlib.blake2b(x.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()).digest()
        for name, x in encoder.state_dict().items()
    }
