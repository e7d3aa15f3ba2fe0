"""From an untrained run to a judged one: train, fit the head on frozen features, judge, keep, report."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from isotone.data.given import Found
from isotone.errors import ConfigError
from isotone.evaluate.coverage import calibrate, coverage, quantile_band
from isotone.evaluate.finetune import Tuned, tune
from isotone.evaluate.judge import describe, judge
from isotone.evaluate.keep import keep_features, keep_predictions, keep_views
from isotone.evaluate.online import online
from isotone.evaluate.stage_two import FittedHead, fit_head
from isotone.export.saved import Model, save_model
from isotone.folder import provenance, write_config, write_json
from isotone.methods.needs import needs_label
from isotone.predict.conformal import Ends
from isotone.prepare import Prepared
from isotone.records import Dataset
from isotone.report import write_report
from isotone.settings import Settings
from isotone.train.forward import forward
from isotone.train.loop import Job, train


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
    tuned = None
    if settings.head.scheme == "finetune":
        fit = _fitted(run, accelerator.device)[1]
        assert fit is not None, "`check_scheme` has refused data without labels"
        assert isinstance(fit.layer, nn.Linear), "`check_scheme` has refused a head that nothing is trained of"
        tuned = tune(job, fit.layer, settings.head, accelerator, stream=stream)
    if accelerator.is_main_process:
        _judge(folder, run, accelerator.device, tuned)
        _done(folder, time.monotonic() - began)
        write_report(folder)
    accelerator.wait_for_everyone()


# ----------------------------------------------------------------------------------------------------------------------


def _watch(
    run: Prepared, device: torch.device, stream: TextIO | None
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Return the online signal of a method that has no score of its own."""
    if run.settings.method.scored:
        return None
    seed, ordered = run.settings.train.seed, needs_label(run.settings.method)
    return online(run.dataset, run.model.views, device=device, seed=seed, ordered=ordered, stream=stream)


def _fitted(run: Prepared, device: torch.device) -> tuple[Tensor, FittedHead | None]:
    """Return the representations (n, d) of all rows, and the head fitted on them where there are labels."""
    model, settings, dataset = run.model, run.settings, run.dataset
    chunk = min(256, settings.train.micro_batch or 256)

    def embed(rows: np.ndarray, epoch: int | None = None) -> Tensor:
        return forward(run.net.encoder, dataset, rows, model.views, device=device, epoch=epoch, chunk=chunk)

    h = embed(np.arange(len(dataset.target)))
    if model.head_name == "none":
        return h, None
    seed = settings.train.seed
    return h, fit_head(dataset, h, embed, model.scaling, model.head_name, settings.head, seed=seed)


def _judge(folder: Path, run: Prepared, device: torch.device, tuned: Tuned | None) -> None:
    settings, dataset, net = run.settings, run.dataset, run.net if tuned is None else tuned.net
    seed = settings.train.seed
    h, fit = _fitted(replace(run, net=net), device)
    model = replace(run.model, encoder=net.encoder)
    predictions: dict[str, tuple[str, np.ndarray]] = {}
    record: dict[str, Any] = {}
    ends: Ends | None = None
    if fit is not None:
        chosen = f" (k = {fit.record['k']})" if "k" in fit.record else ""
        name = f"{settings.name}{'' if tuned is None else ' fine-tuned'}, {settings.method.head} head{chosen}"
        model = replace(model, head=fit.layer if net.head is None else net.head)
        predictions[name] = ("model", model.answers(h.numpy()))
        if net.head is not None:
            refit = replace(model, head=fit.layer)
            predictions[f"{name} fitted again on frozen features"] = ("refit", refit.answers(h.numpy()))
        record = {"head": fit.record}
        if not model.classes:
            model = replace(model, calibration=calibrate(dataset, predictions[name][1]))
            model, ends, found = _with_intervals(model, dataset, h.numpy(), settings)
            record |= found
    if tuned is not None:
        record["finetune"] = {"val_score_before": tuned.start, "val_score": tuned.best}
    metrics = judge(dataset, predictions, h.numpy(), seed=seed) | record
    _keep(folder, run, model, predictions, h.numpy(), metrics, ends)


def _with_intervals(
    model: Model, dataset: Dataset, h: np.ndarray, settings: Settings
) -> tuple[Model, Ends | None, dict[str, Any]]:
    """Return the model with the quantile heads that it is to have, its intervals, and how they do on the test rows."""
    level, form, calibration = settings.head.interval, settings.head.interval_form, model.calibration
    assert calibration is not None, "a run of numbers is calibrated"
    if not level:
        return model, None, {}
    if form == "quantile":
        band = quantile_band(dataset, h, calibration, level)
        model, calibration = replace(model, band=band), band.calibration
    ends = model.interval(level)(h)
    return model, ends, coverage(dataset, ends, calibration, level, form=form, seed=settings.train.seed)


def _keep(
    folder: Path,
    run: Prepared,
    model: Model,
    predictions: dict[str, tuple[str, np.ndarray]],
    h: np.ndarray,
    metrics: dict[str, Any],
    ends: Ends | None,
) -> None:
    dataset, seed = run.dataset, run.settings.train.seed
    nothing = "none", np.zeros((len(h), 0))
    prediction = next(iter(predictions.values()), nothing)[1]
    save_model(folder / "model", model)
    keep_predictions(
        folder / "predictions.csv",
        dataset,
        prediction,
        model.probabilities(h) if model.classes else None,
        ends=ends,
    )
    keep_features(folder / "features.npz", dataset, h, prediction, seed=seed)
    keep_views(folder / "views.npz", dataset, model.views, seed=seed)
    write_json(folder / "metrics.json", metrics)


def _done(folder: Path, seconds: float) -> None:
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    about["seconds"] = round(about["seconds"] + seconds, 1)
    write_json(folder / "run.json", {**about, "status": "done"})
