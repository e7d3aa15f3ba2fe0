"""From settings and a data set to a judged run: build, train, fit the head on frozen features, judge, keep, report."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from isotone.data.given import Found
from isotone.data.partners import Partners, neighbour_views, second_views
from isotone.data.views import Views, feature_statistics
from isotone.errors import ConfigError
from isotone.evaluate.coverage import calibrate, check_interval, coverage
from isotone.evaluate.judge import describe, judge
from isotone.evaluate.keep import keep_features, keep_predictions, keep_views
from isotone.evaluate.online import online
from isotone.evaluate.stage_two import fit_head
from isotone.export.saved import Model, save_model
from isotone.export.teacher import load_teacher, taught
from isotone.folder import existing, provenance, write_config, write_json
from isotone.methods.needs import needs_label, suited
from isotone.nets.encoders import build_encoder, pretrained_statistics
from isotone.nets.network import Network
from isotone.nets.norms import group_norm
from isotone.predict import task_of
from isotone.predict.scaling import Scaling
from isotone.randomness import key
from isotone.records import Dataset, Facts, Kind, Method, Teacher
from isotone.report import write_report
from isotone.settings import Settings
from isotone.train.forward import forward
from isotone.train.halving import fewest_rows
from isotone.train.loop import Job, train, training_rows


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can be refused no more, before there is a folder.

    Args:
        settings: of the run, the head resolved.
        dataset: decoded and split.
        model: untrained; its head comes last.
        net: what the method built around the model's encoder.
        memory: what the method remembers between steps, or None.
        partners: views of what each row is paired with, or None.
    """

    settings: Settings
    dataset: Dataset
    model: Model
    net: Network
    memory: nn.Module | None
    partners: Partners | None


def build(settings: Settings, dataset: Dataset, custom: nn.Module | None, device: torch.device) -> Prepared:
    """Return the untrained run, so that what is wrong with settings and data shows before a folder is made.

    Args:
        settings: of the run.
        dataset: decoded and split.
        custom: the user's own encoder, or None to build the one that the settings name.
        device: where a teacher is asked, and partners are made, where the method has them.

    Raises:
        ConfigError: the method, the head, the encoder, its weights, the views, or the teacher do not fit the data.
        DataError: no row has a neighbour in time, where the method pairs neighbours.
    """
    settings = replace(settings, method=suited(_placed(settings.method), dataset))
    method, norm, seed = settings.method, settings.net.norm, settings.train.seed
    shape = _shape(settings, dataset.inputs, dataset.kind)
    name = "custom" if custom is not None else _encoder_name(settings.net.encoder, dataset.kind, shape)
    views = _views(settings, dataset.inputs, dataset.kind, dataset.rows("train"), shape, name)
    encoder, width = _encoder(settings, name, dataset.kind, shape) if custom is None else _custom(custom, shape, norm)
    fewest_rows(encoder, settings.train.micro_batch)  # refuses too few
    check_interval(dataset, settings.head.interval)
    facts = Facts(
        width=width,
        kind=dataset.kind,
        shape=shape,
        k=len(dataset.target_names),
        classes=len(dataset.classes),
        instances=len(training_rows(method, dataset)),
        seed=seed,
        second=_second(settings, dataset) if "second" in method.needs else None,
        teacher=_teacher(settings, dataset, shape, device) if "teacher" in method.needs else None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key("net", seed))
        built = method.build(encoder, facts)
        memory = method.memory(built, facts)
    assert isinstance(built, Network), "every method builds a Network"
    model = Model(
        encoder,
        None,
        views,
        _scaling(dataset),
        "none" if task_of(dataset) == "none" else method.head,
        name,
        norm,
        dataset.kind,
        shape,
        dataset.target_names,
        dataset.classes,
        dataset.category_name,
    )
    return Prepared(settings, dataset, model, built, memory, _partners(settings, dataset, views, device))


def engine(settings: Settings) -> Accelerator:
    """Return the device, precision and processes of a run; joins the other processes where there are any.

    Args:
        settings: of the run.

    Raises:
        ConfigError: the precision needs an accelerator and there is none.
    """
    precision = settings.train.precision
    cpu = settings.train.device == "cpu" or not torch.accelerator.is_available()
    if precision == "fp16" and cpu:
        raise ConfigError("`precision` fp16 needs an accelerator, and there is none. Use --precision bf16 or no.")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        # else a second run in one process could not have another precision; Accelerate has no public way
        AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]
    return Accelerator(cpu=cpu, mixed_precision=precision)


def start(
    folder: Path, settings: Settings, found: Found, source: Path | None, command: str | None, custom: bool
) -> None:
    """Write what a run is started with; `run.json` last, since it makes the folder a run.

    Args:
        folder: empty.
        settings: of the run, resolved.
        found: the data and what was noted about them.
        source: the table, or None for arrays.
        command: that repeats the run, or None to name one.
        custom: whether the encoder is the user's own.
    """
    write_config(folder / "config.yaml", settings.flat())
    if found.bad is not None:
        found.bad.to_csv(folder / "bad_rows.csv", index=False)
    bad = 0 if found.bad is None else len(found.bad)
    write_json(folder / "data.json", describe(found.dataset, found.warnings, bad))
    config = f"{folder}/config.yaml"
    again = f"isotone.fit((X, y), groups=groups, split=split, config={config!r})"
    again = command or (again if source is None else f"isotone fit {source} --config {config} --out NEW")
    about = provenance(again, settings.name, settings.train.seed, str(source.resolve()) if source else None)
    write_json(folder / "run.json", {**about, "custom_encoder": custom})


def execute(folder: Path, run: Prepared, accelerator: Accelerator, *, stream: TextIO | None) -> None:
    """Train, or go on with, the run in `folder` until its report is written.

    Args:
        folder: of the run, with `run.json` and `config.yaml`.
        run: from `build`.
        accelerator: from `engine`.
        stream: where progress goes; None is silent.

    Raises:
        DivergenceError, StoppedError, CheckpointError: see `isotone.train.loop.train`.
    """
    began = time.monotonic()
    settings, model = run.settings, run.model
    from_table = json.loads((folder / "run.json").read_text(encoding="utf-8"))["source"] is not None
    go_on = f"isotone resume {folder}" if from_table else f"isotone.resume({str(folder)!r}, (X, y)) in Python"
    job = Job(
        settings.method,
        run.net,
        run.dataset,
        model.views,
        model.scaling,
        settings.train,
        folder,
        go_on,
        run.memory,
        partners=run.partners,
        watch=_watch(run, accelerator.device, stream),
    )
    train(job, accelerator, stream=stream)
    if accelerator.is_main_process:
        _judge(folder, run, accelerator.device)
        _done(folder, time.monotonic() - began)
        write_report(folder)
    accelerator.wait_for_everyone()


# ----------------------------------------------------------------------------------------------------------------------


def _shape(settings: Settings, inputs: np.ndarray, kind: Kind) -> tuple[int, ...]:
    """Return the shape of one view: the square that the encoder sees of an image, else the whole sample."""
    if kind != "image":
        return tuple(inputs.shape[1:])
    h, w, c = inputs.shape[1:]
    if h != w:
        raise ConfigError(f"image arrays must be square, got {h} x {w} pixels. Pad or crop them to one side.")
    size = min(settings.data.image_size, h)  # tables are stored at least as large
    return c, size, size


def _encoder_name(name: str, kind: Kind, shape: tuple[int, ...]) -> str:
    if name != "auto":
        return name
    if kind != "image":
        return "mlp" if kind == "rows" else "cnn-1d"
    return "small-cnn" if shape[1] <= 96 else "resnet18"


def _encoder(settings: Settings, name: str, kind: Kind, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    net, seed = settings.net, settings.train.seed
    return build_encoder(
        name, kind=kind, shape=shape, norm=net.norm, pretrained=net.pretrained, weights=net.weights, seed=seed
    )


def _custom(encoder: nn.Module, shape: tuple[int, ...], norm: str) -> tuple[nn.Module, int]:
    encoder = group_norm(encoder) if norm == "group" else encoder
    training = encoder.training
    with torch.no_grad():
        h = encoder.eval()(torch.zeros(2, *shape))
    encoder.train(training)
    if h.dim() != 2 or h.shape[0] != 2:
        raise ConfigError(
            f"your encoder must map (2, {', '.join(map(str, shape))}) to (2, width), it gave {tuple(h.shape)}. "
            "Pool and flatten at its end."
        )
    return encoder, h.shape[1]


def _views(
    settings: Settings, inputs: np.ndarray, kind: Kind, train: np.ndarray, shape: tuple[int, ...], encoder: str
) -> Views:
    seed, augment = settings.train.seed, settings.net.augment
    if kind != "image":
        mean, std = feature_statistics(inputs[train])
        return Views(kind, 0, augment, seed, mean, std)
    mean, std = (0.5,) * shape[0], (0.5,) * shape[0]  # as published for RnC
    if settings.net.pretrained and shape[0] == 3:
        mean, std = pretrained_statistics(encoder)
    return Views("image", shape[1], augment, seed, mean, std)


def _scaling(dataset: Dataset) -> Scaling:
    rows = dataset.labelled("train") if dataset.target_names else dataset.rows("train")
    return Scaling.of(dataset.target[rows])


def _second(settings: Settings, dataset: Dataset) -> tuple[nn.Module, int]:
    """Return the encoder of the second input and its width: the one that `auto` takes for inputs of that kind."""
    second, kind = _second_inputs(dataset)
    shape = _shape(settings, second, kind)
    name, seed = _encoder_name("auto", kind, shape), key("second", settings.train.seed)
    return build_encoder(name, kind=kind, shape=shape, norm=settings.net.norm, seed=seed)


def _placed(method: Method) -> Method:
    """Write down where the teacher is, so that the run goes on from any folder."""
    named = str(getattr(method, "teacher", ""))
    place = {"teacher": str(Path(named).resolve())} if named else {}
    return replace(method, **place)  # pyright: ignore[reportArgumentType]


def _teacher(settings: Settings, dataset: Dataset, shape: tuple[int, ...], device: torch.device) -> Teacher:
    """Return what the run that the method names as its teacher says of the training rows."""
    named = str(getattr(settings.method, "teacher", ""))
    if not named:
        owner = type(settings.method).__name__
        raise ConfigError(f"{owner} needs a `teacher`, the folder of a finished run. Name it: --teacher RUN.")
    try:
        folder = existing(named)
    except ConfigError as error:
        raise ConfigError(f"the teacher {error}") from error
    model = load_teacher(folder, dataset.kind, shape)
    return taught(model, dataset, training_rows(settings.method, dataset), device)


def _partners(settings: Settings, dataset: Dataset, views: Views, device: torch.device) -> Partners | None:
    """Return what pairs each row with its neighbour in time or its second input, where the method needs one."""
    seed = settings.train.seed
    if "sequence" in settings.method.needs:
        return neighbour_views(dataset, views, settings.data.lag, seed, device)
    if "second" not in settings.method.needs:
        return None
    second, kind = _second_inputs(dataset)
    other = settings
    if kind != dataset.kind or settings.net.pretrained:  # what was named is for the first input
        augment = settings.net.augment if kind == dataset.kind else ("mild",)
        other = replace(settings, net=replace(settings.net, augment=augment, pretrained=False))
    own = _views(other, second, kind, dataset.rows("train"), _shape(settings, second, kind), "")
    return second_views(dataset, own, device, count=settings.method.views)


def _second_inputs(dataset: Dataset) -> tuple[np.ndarray, Kind]:
    assert dataset.second is not None, "`suited` has refused data without a second input"
    assert dataset.second_kind is not None, "a second input has a kind"
    return dataset.second, dataset.second_kind


def _watch(
    run: Prepared, device: torch.device, stream: TextIO | None
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Return the online signal of a method that has no score of its own."""
    if run.settings.method.scored:
        return None
    seed, ordered = run.settings.train.seed, needs_label(run.settings.method)
    return online(run.dataset, run.model.views, device=device, seed=seed, ordered=ordered, stream=stream)


def _judge(folder: Path, run: Prepared, device: torch.device) -> None:
    settings, dataset, encoder = run.settings, run.dataset, run.net.encoder
    chunk, seed = min(256, settings.train.micro_batch or 256), settings.train.seed

    def embed(rows: np.ndarray, epoch: int | None = None) -> Tensor:
        return forward(encoder, dataset, rows, run.model.views, device=device, epoch=epoch, chunk=chunk)

    h = embed(np.arange(len(dataset.target)))
    model = replace(run.model, encoder=encoder)
    predictions: dict[str, tuple[str, np.ndarray]] = {}
    record: dict[str, Any] = {}
    if model.head_name != "none":
        name, own = f"{settings.name}, {settings.method.head} head", run.net.head
        fit = fit_head(dataset, h, embed, model.scaling, model.head_name, settings.head, seed=seed)
        model = replace(model, head=fit.layer if own is None else own)
        predictions[name] = ("model", model.answers(h.numpy()))
        if own is not None:
            refit = replace(model, head=fit.layer)
            predictions[f"{name} fitted again on frozen features"] = ("refit", refit.answers(h.numpy()))
        record = {"head": fit.record}
        if not model.classes:
            own_errors = calibrate(dataset, predictions[name][1])
            model = replace(model, calibration=own_errors)
            record |= coverage(dataset, predictions[name][1], own_errors, settings.head.interval, seed=seed)
    metrics = judge(dataset, predictions, h.numpy(), seed=seed) | record
    _keep(folder, run, model, predictions, h.numpy(), metrics)


def _keep(
    folder: Path,
    run: Prepared,
    model: Model,
    predictions: dict[str, tuple[str, np.ndarray]],
    h: np.ndarray,
    metrics: dict[str, Any],
) -> None:
    dataset, seed = run.dataset, run.settings.train.seed
    nothing = "none", np.zeros((len(h), 0))
    prediction = next(iter(predictions.values()), nothing)[1]
    save_model(folder / "model", model)
    level = run.settings.head.interval
    keep_predictions(
        folder / "predictions.csv",
        dataset,
        prediction,
        model.probabilities(h) if model.classes else None,
        half_width=model.half_width(level) if level else None,
    )
    keep_features(folder / "features.npz", dataset, h, prediction, seed=seed)
    keep_views(folder / "views.npz", dataset, model.views, seed=seed)
    write_json(folder / "metrics.json", metrics)


def _done(folder: Path, seconds: float) -> None:
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    about["seconds"] = round(about["seconds"] + seconds, 1)
    write_json(folder / "run.json", {**about, "status": "done"})
