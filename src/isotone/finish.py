"""From settings and a data set to a judged run: build, train, fit the head on frozen features, judge, keep, report."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from isotone.data.views import Views, feature_statistics
from isotone.errors import ConfigError
from isotone.evaluate.judge import judge
from isotone.evaluate.keep import keep_features, keep_predictions, keep_views
from isotone.export.saved import Model, save_model
from isotone.folder import write_json
from isotone.nets.encoders import build_encoder, pretrained_statistics
from isotone.nets.network import Network
from isotone.nets.norms import group_norm
from isotone.predict import predictor
from isotone.predict.linear import fit_linear
from isotone.predict.scaling import Scaling
from isotone.randomness import key
from isotone.records import Dataset
from isotone.report import write_report
from isotone.settings import Settings
from isotone.train.forward import forward
from isotone.train.halving import fewest_rows
from isotone.train.loop import Job, train


def build(settings: Settings, dataset: Dataset, custom: nn.Module | None) -> Model:
    """Return the untrained model, so that what is wrong with settings and data shows before a folder is made.

    Args:
        settings: of the run.
        dataset: decoded and split.
        custom: the user's own encoder, or None to build the one that the settings name.

    Raises:
        ConfigError: the encoder, its weights, the views or the device do not fit.
    """
    net, image = settings.net, dataset.kind == "image"
    size = _size(settings, dataset) if image else 0
    shape = (dataset.inputs.shape[-1], size, size) if image else (dataset.inputs.shape[1],)
    name = "custom" if custom is not None else _encoder_name(net.encoder, dataset)
    views = _views(settings, dataset, size, name)
    if custom is not None:
        encoder, width = _custom(custom, shape, net.norm)
    else:
        encoder, width = build_encoder(
            name,
            kind=dataset.kind,
            shape=shape,
            norm=net.norm,
            pretrained=net.pretrained,
            weights=net.weights,
            seed=settings.train.seed,
        )
    fewest_rows(encoder, settings.train.micro_batch)  # refuses too few
    outputs = predictor(settings.method.head).outputs(dataset.target.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key("head", settings.train.seed))
        head = nn.Linear(width, outputs)
    scaling = Scaling.of(dataset.target[dataset.rows("train")])
    names = dataset.target_names
    return Model(encoder, head, views, scaling, settings.method.head, name, net.norm, dataset.kind, shape, names)


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


def execute(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    model: Model,
    accelerator: Accelerator,
    *,
    stream: TextIO | None,
) -> None:
    """Train, or go on with, the run in `folder` until its report is written.

    Args:
        folder: of the run, with `run.json` and `config.yaml`.
        settings: of the run.
        dataset: decoded and split.
        model: from `build`.
        accelerator: from `engine`.
        stream: where progress goes; None is silent.

    Raises:
        DivergenceError, StoppedError, CheckpointError: see `isotone.train.loop.train`.
    """
    began = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key("net", settings.train.seed))
        width, k = model.head.in_features, dataset.target.shape[1]
        net, memory = settings.method.build(model.encoder, width, k), settings.method.memory(width, k)
    from_table = json.loads((folder / "run.json").read_text(encoding="utf-8"))["source"] is not None
    go_on = f"isotone resume {folder}" if from_table else f"isotone.resume({str(folder)!r}, (X, y)) in Python"
    job = Job(settings.method, net, dataset, model.views, model.scaling, settings.train, folder, go_on, memory)
    train(job, accelerator, stream=stream)
    assert isinstance(net, Network), "every method builds a Network"
    if accelerator.is_main_process:
        _judge(folder, settings, dataset, model, net, accelerator.device)
        _done(folder, time.monotonic() - began)
        write_report(folder)
    accelerator.wait_for_everyone()


# ----------------------------------------------------------------------------------------------------------------------


def _size(settings: Settings, dataset: Dataset) -> int:
    """Return the side of the square the encoder sees; arrays come as they are, tables are stored at least as large."""
    h, w = dataset.inputs.shape[1:3]
    if h != w:
        raise ConfigError(f"image arrays must be square, got {h} x {w} pixels. Pad or crop them to one side.")
    return min(settings.data.image_size, h)


def _encoder_name(name: str, dataset: Dataset) -> str:
    if name != "auto":
        return name
    if dataset.kind == "rows":
        return "mlp"
    return "small-cnn" if dataset.inputs.shape[1] <= 96 else "resnet18"


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


def _views(settings: Settings, dataset: Dataset, size: int, encoder: str) -> Views:
    seed, augment = settings.train.seed, settings.net.augment
    if dataset.kind == "rows":
        mean, std = feature_statistics(dataset.inputs[dataset.rows("train")])
        return Views("rows", 0, tuple("jitter" if name == "mild" else name for name in augment), seed, mean, std)
    channels = dataset.inputs.shape[-1]
    mean, std = (0.5,) * channels, (0.5,) * channels  # as published for RnC
    if settings.net.pretrained and channels == 3:
        mean, std = pretrained_statistics(encoder)
    return Views("image", size, augment, seed, mean, std)


def _judge(
    folder: Path, settings: Settings, dataset: Dataset, model: Model, net: Network, device: torch.device
) -> None:
    encoder = net.encoder
    everything = np.arange(len(dataset.target))
    chunk = min(256, settings.train.micro_batch or 256)
    h = forward(encoder, dataset, everything, model.views, device=device, chunk=chunk)
    target = torch.from_numpy(model.scaling.standardise(dataset.target)).float()
    rows, val = dataset.rows("train"), dataset.rows("val")
    head = settings.head

    def features(epoch: int) -> torch.Tensor:
        if not head.head_views:
            return h[rows]
        augmented = epoch % head.head_views
        return forward(encoder, dataset, rows, model.views, device=device, epoch=augmented, chunk=chunk)

    fit = fit_linear(
        features if head.head_views else h[rows],
        target[rows],
        h[val],
        target[val],
        predictor=predictor(settings.method.head),
        epochs=head.head_epochs,
        lr=head.head_lr,
        batch_size=head.head_batch,
        seed=settings.train.seed,
    )
    refit = nn.Linear(fit.weight.shape[1], fit.weight.shape[0])
    refit.load_state_dict({"weight": fit.weight, "bias": fit.bias})
    own = net.head
    name = f"{settings.name}, {settings.method.head} head"
    final = replace(model, encoder=encoder, head=refit if own is None else own)
    predictions = {name: ("model", final.predict(h.numpy()))}
    if own is not None:
        other = replace(final, head=refit)
        predictions[f"{name} fitted again on frozen features"] = ("refit", other.predict(h.numpy()))
    metrics = judge(dataset, predictions, h.numpy(), seed=settings.train.seed)
    metrics["head"] = {"best_epoch": fit.best_epoch, "val_scores": list(fit.val_scores)}
    _keep(folder, settings, dataset, final, predictions[name][1], h.numpy(), metrics)


def _keep(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    model: Model,
    prediction: np.ndarray,
    h: np.ndarray,
    metrics: dict[str, Any],
) -> None:
    seed = settings.train.seed
    save_model(folder / "model", model)
    keep_predictions(folder / "predictions.csv", dataset, prediction)
    keep_features(folder / "features.npz", dataset, h, prediction, seed=seed)
    keep_views(folder / "views.npz", dataset, model.views, seed=seed)
    write_json(folder / "metrics.json", metrics)


def _done(folder: Path, seconds: float) -> None:
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    about["seconds"] = round(about["seconds"] + seconds, 1)
    write_json(folder / "run.json", {**about, "status": "done"})
