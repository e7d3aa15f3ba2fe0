"""Fine-tuning: encoder and linear head trained together on all labels, or on 1 % and 10 % of them.

As a probe: the encoder is a copy that starts from the run's weights; the run's own is never trained. As the last stage
of a run (`--scheme finetune`): `tune`, from the head that was fitted on the frozen encoder. The training is that of the
`baseline` method, with the run's augmentation.

Source: Chen et al. 2020 (SimCLR), arXiv 2002.05709, section 6: 1 % and 10 % of the labels, class-balanced, no
weight decay.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotone.errors import ConfigError
from isotone.evaluate.probe import Classes, ProbeResult, class_result, number_result, unseen
from isotone.evaluate.stage_two import HeadSettings
from isotone.evaluate.subject import CHUNK, Answers, Subject, answers, result_row
from isotone.methods.baseline import Baseline
from isotone.nets.network import Network
from isotone.predict import predictor
from isotone.predict.scaling import Scaling
from isotone.randomness import key, numpy_generator
from isotone.records import Dataset, Facts, Tags
from isotone.train.forward import forward
from isotone.train.loop import Job, train
from isotone.train.settings import TrainSettings

SHARES = (0.01, 0.1)
PASSES = 30
STEPS = 300  # at least: a few rows are seen more often
LR = 0.05  # of SGD for batches of 256
BATCH = 64


def finetune(
    subject: Subject, *, shares: Sequence[float] = (1.0,), passes: int = 0, lr: float = LR
) -> list[dict[str, Any]]:
    """Train a copy of the encoder with a linear head on a share of the labels, and score it on the test rows.

    Cross-entropy for classes, L1 for numbers (all targets at once); SGD with cosine, batches of 64 rows, no weight
    decay. The epoch with the best validation score is kept; all validation labels serve for that, and a note says so.

    Args:
        subject: encoder and rows with labels.
        shares: of the labelled training rows, 0 to 1; of classes the same share of each, at least one row.
        passes: how often each row goes through the encoder; 0 takes 30, or for few rows what makes 300 steps.
        lr: for batches of 256; a quarter of it is used, as for 64 rows, also where there are fewer.

    Returns:
        A line for each share and column of answers, as `result_row`; `finetune` for all labels, else `semi` with the
        share among its settings.

    Raises:
        DivergenceError: training became NaN; lower `lr`.
        ShapeError: a single class among the training rows, no row of a side of the split.

    Source: as at the top of this file.
    """
    lines: list[dict[str, Any]] = []
    for share in shares:
        rows = draw_share(subject, share)
        lines += _trained(subject, rows, _settings(len(rows), passes, lr, subject.seed), share)
    return lines


@dataclass(frozen=True, eq=False)
class Tuned:
    """A fine-tuned network, and its validation scores: mean absolute error in standard units, or cross-entropy.

    Args:
        net: the trained one, or the start where no epoch was better.
        start: score before training.
        best: score of `net`.
    """

    net: Network
    start: float
    best: float


def tune(
    job: Job, layer: nn.Linear, settings: HeadSettings, accelerator: Accelerator, *, stream: TextIO | None = None
) -> Tuned:
    """Train a run's encoder and the head that was fitted on it together, on the labels: the last stage of a run.

    Checkpoints are its own, in the folder `finetune`, so that it goes on where it was stopped.

    Args:
        job: of the run, trained.
        layer: the head, fitted on the frozen encoder; trained in place, as the encoder is.
        settings: passes and learning rate.
        accelerator: device, precision and processes.
        stream: where progress goes; None is silent.

    Returns:
        The network of the epoch with the best validation score; the start is one of them.

    Raises:
        DivergenceError, StoppedError, CheckpointError: see `isotone.train.loop.train`.
    """
    assert isinstance(job.net, Network), "every method builds a Network"
    folder, rate = job.folder / "finetune", settings.finetune_lr or job.nominal_lr / 10
    folder.mkdir(exist_ok=True)
    own = Job(
        Baseline(head=job.method.head),  # pyright: ignore[reportArgumentType]
        Network(job.net.encoder, layer),
        job.dataset,
        job.views,
        job.scaling,
        replace(job.settings, passes=settings.finetune_passes, lr=rate),
        folder,
        job.go_on,
    )
    return _best(own, accelerator, min(CHUNK, job.settings.micro_batch or CHUNK), stream)


def draw_share(subject: Subject, share: float) -> Int[np.ndarray, " n"]:
    """Return a share of the labelled training rows, ascending; of classes at least one each, of numbers at least two.

    A larger share of one seed holds the smaller one.
    """
    category = subject.dataset.category
    order = numpy_generator("share", subject.seed).permutation(subject.dataset.labelled("train"))
    label = np.zeros(len(order)) if category is None else category[order]
    least = 2 if category is None else 1
    parts = [order[label == value] for value in np.unique(label)]
    return np.sort(np.concatenate([part[: max(least, round(share * len(part)))] for part in parts]))


# ----------------------------------------------------------------------------------------------------------------------


def _settings(rows: int, passes: int, lr: float, seed: int) -> TrainSettings:
    batch = min(BATCH, rows)
    few = math.ceil(STEPS / (rows // batch))
    scaled = lr * BATCH / batch  # the loop takes batch / 256 of it
    return TrainSettings(passes=passes or max(PASSES, few), batch_size=batch, lr=scaled, weight_decay=0.0, seed=seed)


def _trained(
    subject: Subject, rows: Int[np.ndarray, " n"], settings: TrainSettings, share: float
) -> list[dict[str, Any]]:
    """Return the lines of one training on these rows."""
    data = _with_train(subject.dataset, rows)
    columns = answers(data)
    for side in ("val", "test"):
        if not len(data.labelled(side)):
            raise ConfigError(f"Fine-tuning needs {side} rows with labels, and there are none. Look at the split.")
    method = Baseline(head="l1" if data.category is None else "classify")
    scaling = Scaling.of(data.target[rows])
    encoder = copy.deepcopy(subject.encoder).requires_grad_()
    width = subject.embed(rows[:1]).shape[1]
    facts = Facts(width, data.kind, k=data.target.shape[1], classes=len(data.classes), instances=len(rows))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key("head", subject.seed))
        net = method.build(encoder, facts)
    with TemporaryDirectory() as folder:
        job = Job(method, net, data, subject.views, scaling, settings, Path(folder), "isotone evaluate, from the start")
        net = _best(job, subject.accelerator, CHUNK, None).net
    out = forward(net, data, data.labelled("test"), subject.views, device=subject.device, chunk=CHUNK)
    told = predictor(method.head).decode(out).double()
    said = {
        "labels": f"{100 * share:g} %",
        "rows": len(rows),
        "passes": settings.passes,
        "lr": round(settings.lr * settings.batch_size / BATCH, 9),
    }
    return [
        result_row(one, _result(data, one, column, told, scaling, said), seed=subject.seed)
        | {"probe": "finetune" if share == 1.0 else "semi"}
        for column, one in enumerate(columns)
    ]


def _best(job: Job, accelerator: Accelerator, chunk: int, stream: TextIO | None) -> Tuned:
    """Train a job of `baseline`; the network is that of the best epoch on validation, or the start where that is."""
    net = job.net
    assert isinstance(net, Network), "the baseline builds a Network"
    start = {name: x.detach().clone() for name, x in net.state_dict().items()}
    before = _score(job, accelerator, chunk)
    train(job, accelerator, stream=stream)
    after = _score(job, accelerator, chunk)
    if before <= after:
        net.load_state_dict(start)
    return Tuned(net, before, min(before, after))


def _score(job: Job, accelerator: Accelerator, chunk: int) -> float:
    """Return the network's score on the validation rows."""
    val, data, net = job.dataset.labelled("val"), job.dataset, job.net.to(accelerator.device)
    out = forward(net, data, val, job.views, device=accelerator.device, chunk=chunk)
    category = None if data.category is None else torch.from_numpy(data.category[val])
    scaled = job.scaling.standardise(torch.from_numpy(data.target[val]))
    return job.method.score(out, Tags(category=category, scaled=scaled, bins=job.scaling.bins))


def _with_train(dataset: Dataset, rows: Int[np.ndarray, " n"]) -> Dataset:
    """Return the data set with these training rows alone; the others are on no side."""
    split = np.where(dataset.split == "train", "none", dataset.split)
    split[rows] = "train"
    return replace(dataset, split=split)


def _result(
    data: Dataset,
    one: Answers,
    column: int,
    told: Float[Tensor, "t k"],
    scaling: Scaling,
    said: Mapping[str, int | float | str],
) -> ProbeResult:
    note = f"the epoch is picked on the labels of all {len(one.val)} validation rows"
    if data.category is None:
        result = number_result("finetune", one.y[one.test], scaling.restore(told)[:, column].numpy(), said)
        return replace(result, notes=(note,))
    train, val, test = (data.category[rows] for rows in (one.train, one.val, one.test))
    found = Classes(np.array(data.classes), train, val, test)
    return class_result("finetune", found, told[:, 0].long().numpy(), said, (note, *unseen(found, train)))
