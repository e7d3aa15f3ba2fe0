"""The training loop: short, resumable to the bit, and it stops when something is wrong.

Knows a method by three functions (`loss`, `after_step`, `score`). All that is random is a function of (seed, epoch,
sample, view) or of (seed, step): a checkpoint holds no generator, and a resumed run is the run that was never stopped.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from isotone.data.loader import epoch_batches, load_batches
from isotone.data.views import Views
from isotone.errors import DivergenceError, ShapeError, StoppedError
from isotone.predict.scaling import Scaling
from isotone.randomness import key
from isotone.records import Batch, Dataset, LossOutput, Method, Tags
from isotone.train.cached import Cached
from isotone.train.checkpoint import Checkpoint, load_checkpoint, preflight, save_checkpoint
from isotone.train.forward import forward
from isotone.train.halving import Halving
from isotone.train.interrupt import stop_on_signal
from isotone.train.optimizer import build_optimizer, pack, unpack
from isotone.train.processes import average_gradients, largest, share_weights
from isotone.train.progress import Progress
from isotone.train.schedule import learning_rate, nominal_lr
from isotone.train.settings import TrainSettings

CHECKPOINT_SECONDS = 10.0
SCORES = 25  # validation scores in a run whose weights are not chosen by them
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What is trained, on what, how, and where it is kept.

    Args:
        method: gives the loss and the score.
        net: what `method.build` returned.
        dataset: rows with targets and a split.
        views: makes views of raw inputs.
        scaling: standardises the targets.
        settings: of the run.
        folder: the run folder; holds `checkpoints/` and `log.jsonl`.
        go_on: the command that resumes the run, for messages.
        memory: what `method.memory` returned.
        partners: for methods that pair each row with another input: from rows of the data set (b,) and an epoch to
            views of their partners (v, b, ...).
        watch: looks at the network from time to time and returns numbers for the log; changes nothing.
    """

    method: Method
    net: nn.Module
    dataset: Dataset
    views: Views
    scaling: Scaling
    settings: TrainSettings
    folder: Path
    go_on: str
    memory: nn.Module | None = None
    partners: Callable[[np.ndarray, int], Tensor] | None = None
    watch: Callable[[nn.Module], dict[str, float]] | None = None

    @property
    def epochs(self) -> int:
        """Epochs that make the wanted number of encoder passes, or just fewer where the views do not divide it."""
        return max(1, self.settings.passes // self.method.views)

    @property
    def nominal_lr(self) -> float:
        """The learning rate that the user named, or the default."""
        return nominal_lr(self.method, self.settings)

    @property
    def lr(self) -> float:
        """The learning rate for this batch size: SGD's is named for batches of 256 and grows with the batch."""
        batch = min(self.settings.batch_size, len(training_rows(self.method, self.dataset)))
        return self.nominal_lr * (batch / 256 if self.settings.optimizer == "sgd" else 1.0)


def training_rows(method: Method, dataset: Dataset) -> np.ndarray:
    """Return the rows that a method trains on, ascending: those with a label where it needs labels, else all of train.

    Args:
        method: says what it needs.
        dataset: split.
    """
    labels = {"target", "category", "label"} & set(method.needs)
    return dataset.labelled("train") if labels else dataset.rows("train")


@dataclass
class _State:
    """What changes while training runs; all of it is in each checkpoint."""

    step: int = 0
    best_score: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    sums: dict[str, float] = field(default_factory=dict[str, float])


def train(job: Job, accelerator: Accelerator, *, stream: TextIO | None) -> nn.Module:
    """Train, or go on from the newest checkpoint, and return the network with the weights that the method selects.

    Args:
        job: what to train.
        accelerator: device, precision and processes.
        stream: where progress goes; None is silent.

    Raises:
        DivergenceError: at the first loss that is NaN or infinite; names the step, the samples and the way out.
        StoppedError: after Ctrl-C or SIGTERM, once a checkpoint is written.
        CheckpointError: before step 1 where the folder cannot be written, or when the disk refuses a checkpoint.
        ConfigError: where not even the fewest rows at a time fit in memory.
    """
    with torch.random.fork_rng(devices=[]):  # the caller's generator is not ours to move
        return _Loop(job, accelerator, stream).run()


# ----------------------------------------------------------------------------------------------------------------------


class _Loop:
    def __init__(self, job: Job, accelerator: Accelerator, stream: TextIO | None) -> None:
        self.job, self.accelerator = job, accelerator
        self.method, self.settings = job.method, job.settings
        self.net = job.net.to(accelerator.device)
        share_weights(self.net)
        self.memory = nn.Module() if job.memory is None else job.memory.to(accelerator.device)
        share_weights(self.memory)
        accelerator.prepare_model(self.net, evaluation_mode=True)  # precision; the gradients we average ourselves
        self.optimizer = accelerator.prepare_optimizer(build_optimizer(self.net, self.settings, job.lr))
        self.rows, self.val = training_rows(job.method, job.dataset), job.dataset.labelled("val")
        self.tags = _tags(job.dataset, self.rows)
        self.per_epoch = len(epoch_batches(self.rows, self.settings.batch_size, self.settings.seed, 0))
        self.steps = job.epochs * self.per_epoch
        self.state = _State()
        self.checkpoints = job.folder / "checkpoints"
        self.main = accelerator.is_main_process
        self.saved = 0, time.monotonic()
        stream = stream if self.main else None
        micro_batch = self.settings.micro_batch
        self.halving = Halving(self.net, micro_batch, device=accelerator.device, stream=stream)
        self._restore()
        self.progress = Progress(self.steps, done=self.state.step, stream=stream)

    def run(self) -> nn.Module:
        with stop_on_signal() as stop:
            while self.state.step < self.steps:
                self._epoch(self.state.step // self.per_epoch, stop)
        if self.saved[0] != self.state.step:
            self._save()
        if self.method.select == "val":
            self.net.load_state_dict(self.state.best)
        return self.net

    def _epoch(self, epoch: int, stop: object) -> None:
        self.net.train()
        batches = epoch_batches(self.rows, self.settings.batch_size, self.settings.seed, epoch)
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        local = [np.array_split(batch, ranks)[rank] for batch in batches[self.state.step % self.per_epoch :]]
        for index, inputs, target in self._timed(load_batches(self.job.dataset, local, self.settings.workers)):
            loss = self._step(epoch, index, inputs, target)
            last = self.state.step % self.per_epoch == 0
            if last:
                self._end_epoch(epoch)
            self.progress.update(self.state.step, f"loss {loss:.4g}")
            every = self.settings.checkpoint_steps
            due = (
                self.state.step % every == 0
                if every
                else last and time.monotonic() - self.saved[1] > CHECKPOINT_SECONDS
            )
            stopping = self._anyone(bool(stop))
            if due or stopping:
                self._save()
            if stopping:
                raise StoppedError(
                    f"stopped at step {self.state.step} of {self.steps}; all is saved. Go on with: {self.job.go_on}"
                )

    def _step(self, epoch: int, index: np.ndarray, inputs: Tensor, target: Tensor) -> float:
        device, step = self.accelerator.device, self.state.step
        views = self.job.views.random(inputs.to(device), index, epoch, self.method.views)
        scaled = self.job.scaling.standardise(target).to(device)
        known = self.tags.map(lambda x: x[index].to(device))
        partners = None if self.job.partners is None else self.job.partners(index, epoch).to(device)
        batch = Batch(
            views,
            replace(known, target=target.to(device), scaled=scaled, bins=self.job.scaling.bins),
            partners,
            step=step,
            epoch=epoch,
            seed=self.settings.seed,
        )
        lr = learning_rate(self.settings, base=self.job.lr, step=step, steps=self.steps, steps_per_epoch=self.per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        out = self.halving.run(
            lambda micro_batch: self._differentiate(batch, index, micro_batch),
            rows=views.shape[0] * views.shape[1],
            where=f"step {step + 1} of {self.steps}",
        )
        average_gradients(self.net)
        if self.settings.clip:
            self.accelerator.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.method.after_step(self.net, self.job.memory, out)
        self._count(out, lr)
        return float(out.total.detach())

    def _differentiate(self, batch: Batch, index: np.ndarray, micro_batch: int) -> LossOutput:
        """Add the gradient of this process's rows; each call draws the same and adds the same."""
        torch.manual_seed(key("step", self.settings.seed, self.state.step, self.accelerator.process_index))  # dropout
        cached = Cached(self.net, micro_batch=micro_batch, backward=self.accelerator.backward)
        with self.accelerator.autocast() if self.settings.precision != "no" else nullcontext():
            out = self._loss(self.halving.agreeing(cached), replace(batch, micro_batch=micro_batch), index)
        loss = float(out.total.detach())
        if not math.isfinite(loss):
            bad = self._not_finite(batch, index)
            raise self._diverged(f"the loss is {loss}", bad if len(bad) else index)
        self.halving.agree(lambda: cached.backward(out.total))
        return out

    def _loss(self, net: nn.Module, batch: Batch, index: np.ndarray) -> LossOutput:
        """Return the method's loss; a loss that refuses embeddings because the network diverged says that it did."""
        try:
            return self.method.loss(net, batch, self.job.memory)
        except ShapeError as error:
            bad = self._not_finite(batch, index)
            if not len(bad):
                raise
            raise self._diverged("the representation is not finite", bad) from error

    def _not_finite(self, batch: Batch, index: np.ndarray) -> np.ndarray:
        """Return the samples whose representation is not finite."""
        with torch.no_grad():
            h = Cached(self.net, micro_batch=self.halving.micro_batch)(batch.views.flatten(0, 1))
        return index[(~torch.isfinite(h.reshape(*batch.views.shape[:2], -1))).any(2).any(0).cpu().numpy()]

    def _count(self, out: LossOutput, lr: float) -> None:
        sums = self.state.sums
        for name, value in {"loss": out.total, **out.parts}.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        sums["lr"] = lr
        self.state.step += 1

    def _end_epoch(self, epoch: int) -> None:
        by_score = self.method.select == "val"
        due = epoch % max(1, self.job.epochs // SCORES) == 0 or epoch == self.job.epochs - 1
        score = self._score() if self.method.scored and (by_score or due) else None
        if by_score and score is not None and score < self.state.best_score:
            self.state.best_score = score
            self.state.best = {name: x.detach().clone() for name, x in self.net.state_dict().items()}
        means = {name: total / self.per_epoch for name, total in self.state.sums.items() if name != "lr"}
        line = {
            "epoch": epoch + 1,
            "step": self.state.step,
            "seconds": round(time.monotonic() - self.progress.began, 3),
            "loss": means.pop("loss"),
            "lr": self.state.sums["lr"],
            "wait_share": round(self.progress.wait_share, 4),
            "micro_batch": self.halving.micro_batch,
            "score": score,
            "parts": means,
            "watch": self.job.watch(self.net) if due and self.main and self.job.watch is not None else {},
        }
        self.state.sums = {}
        if self.main:
            with (self.job.folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _score(self) -> float:
        out = forward(
            self.net,
            self.job.dataset,
            self.val,
            self.job.views,
            device=self.accelerator.device,
            chunk=min(256, self.halving.micro_batch or 256),
        )
        target = torch.from_numpy(self.job.dataset.target[self.val])
        known = self.tags.map(lambda x: x[self.val])
        scaled, bins = self.job.scaling.standardise(target), self.job.scaling.bins
        score = self.method.score(out, replace(known, target=target, scaled=scaled, bins=bins))
        if not math.isfinite(score):
            raise self._diverged(f"the validation score is {score}", self.val)
        return score

    def _diverged(self, what: str, rows: np.ndarray) -> DivergenceError:
        labels = self.job.dataset.label[rows]
        named = ", ".join(map(str, labels[:3])) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        step = min(self.state.step + 1, self.steps)
        return DivergenceError(
            f"{what} at step {step} of {self.steps}, on samples {named}; "
            f"the checkpoint of step {self.saved[0]} is finite.\n"
            f"Try a lower --lr (it was {self.job.nominal_lr:g}), a longer --warmup or --clip 1."
        )

    def _anyone(self, flag: bool) -> bool:
        return bool(largest(int(flag), self.accelerator.device))

    def _timed(self, items: Iterator[T]) -> Iterator[T]:
        while True:
            began = time.monotonic()
            item = next(items, None)
            self.progress.waited += time.monotonic() - began
            if item is None:
                return
            yield item

    def _save(self) -> None:
        self.saved = self.state.step, time.monotonic()
        if not self.main:
            return
        state, scaler = self.state, self.accelerator.scaler
        optimizer, numbers = pack(self.optimizer.state_dict())
        tensors = {"model": dict(self.net.state_dict()), "optimizer": optimizer, "best": state.best}
        tensors["memory"] = dict(self.memory.state_dict())
        record = {
            "step": state.step,
            "best_score": state.best_score if math.isfinite(state.best_score) else None,
            "sums": dict(state.sums),
            "micro_batch": self.halving.micro_batch,
            "optimizer": numbers,
            "scaler": None if scaler is None else dict(scaler.state_dict()),
        }
        save_checkpoint(self.checkpoints, state.step, Checkpoint(tensors, record))

    def _restore(self) -> None:
        found = load_checkpoint(self.checkpoints, clean=self.main)
        log = self.job.folder / "log.jsonl"
        if found is None:
            if self.main:
                preflight(self.checkpoints, 3 * sum(p.numel() * p.element_size() for p in self.net.parameters()))
                log.unlink(missing_ok=True)
            self._save()  # the first weights too: a run killed before its next checkpoint resumes from the same ones
            return
        record = found.state
        best_score = record["best_score"]
        self.net.load_state_dict(found.tensors["model"])
        self.memory.load_state_dict(found.tensors.get("memory", {}))
        self.optimizer.load_state_dict(
            unpack(self.optimizer.state_dict(), found.tensors["optimizer"], record["optimizer"])
        )
        if self.accelerator.scaler is not None and record["scaler"]:
            self.accelerator.scaler.load_state_dict(record["scaler"])
        self.state = _State(
            step=int(record["step"]),
            best_score=math.inf if best_score is None else float(best_score),
            best=found.tensors["best"],
            sums={name: float(value) for name, value in record["sums"].items()},
        )
        self.halving.micro_batch = int(record.get("micro_batch", self.settings.micro_batch))  # one from before has none
        self.saved = self.state.step, time.monotonic()
        if self.main and log.exists():
            kept = [line for line in log.read_text(encoding="utf-8").splitlines() if _step(line) <= self.state.step]
            temporary = log.with_name(".tmp-log.jsonl")
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
            os.replace(temporary, log)


def _tags(dataset: Dataset, train: np.ndarray) -> Tags:
    """Return what is known of every row of the data set; `instance` counts the training rows, -1 for the others."""
    n = len(dataset.target)
    instance = np.full(n, -1)
    instance[train] = np.arange(len(train))
    sequence = None if dataset.sequence is None else np.unique(dataset.sequence, return_inverse=True)[1]
    known = {"instance": instance, "category": dataset.category, "sequence": sequence, "time": dataset.time}
    given = {name: None if x is None else torch.from_numpy(x) for name, x in known.items()}
    return Tags(given["instance"], given["category"], sequence=given["sequence"], time=given["time"])


def _step(line: str) -> float:
    """Return the step of a line of the log; one that a kill cut in half counts as never."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf
