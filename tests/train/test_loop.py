"""The loop: it learns, repeats to the bit, resumes to the bit, and stops when something is wrong."""

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from isotone.errors import ConfigError, DivergenceError, StoppedError
from isotone.records import Batch, Facts, LossOutput
from isotone.train.checkpoint import load_checkpoint
from isotone.train.loop import Job, train

Trainer = Callable[..., dict[str, torch.Tensor]]


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("method", ["rnc", "baseline"])
def test_it_learns_and_the_same_seed_gives_the_same_bits(tmp_path: Path, trained: Trainer, method: str) -> None:
    first, second = trained(tmp_path / "a", method=method), trained(tmp_path / "b", method=method)
    other = trained(tmp_path / "c", method=method, seed=1)
    assert _same(first, second)
    assert not _same(first, other)
    log = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    keys = {"epoch", "step", "seconds", "loss", "lr", "wait_share", "micro_batch", "score", "parts", "watch"}
    assert keys == set(log[0])


class _StopAt:
    """A method that asks the process to stop at its n-th loss, as Ctrl-C would."""

    def __init__(self, method: object, calls: int, number: signal.Signals) -> None:
        self._method, self._calls, self._number = method, calls, number

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: torch.nn.Module, batch: Batch, memory: torch.nn.Module | None) -> LossOutput:
        self._calls -= 1
        if self._calls == 0:
            os.kill(os.getpid(), self._number)
        return self._method.loss(net, batch, memory)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["rnc", "baseline"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_resumes_to_the_bit(
    tmp_path: Path, job: Callable[..., Job], trained: Trainer, method: str, number: signal.Signals
) -> None:
    straight = trained(tmp_path / "straight", method=method)
    made = job(tmp_path / "stopped", method=method)
    object.__setattr__(made, "method", _StopAt(made.method, 7, number))  # in mid-epoch: an epoch has 4 steps
    with pytest.raises(StoppedError) as caught:
        train(made, Accelerator(cpu=True), stream=None)
    total = 16 if method == "rnc" else 32
    assert str(caught.value) == f"stopped at step 7 of {total}; all is saved. Go on with: go on"
    resumed = trained(tmp_path / "stopped", method=method, workers=2)
    assert _same(straight, resumed)
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k not in ("seconds", "wait_share")}
            for line in log.read_text().splitlines()
        ]
        for log in (tmp_path / "straight" / "log.jsonl", tmp_path / "stopped" / "log.jsonl")
    ]
    assert logs[0] == logs[1]


def test_a_queue_is_in_the_checkpoint_and_resumes_to_the_bit(
    tmp_path: Path, job: Callable[..., Job], trained: Trainer
) -> None:
    """90 rows are no multiple of the batch (64 rows of views), so the queue has wrapped when the run is stopped."""
    straight = trained(tmp_path / "straight", queue=90)
    assert not _same(straight, trained(tmp_path / "none"))
    made = job(tmp_path / "stopped", queue=90)
    object.__setattr__(made, "method", _StopAt(made.method, 7, signal.SIGTERM))
    with pytest.raises(StoppedError):
        train(made, Accelerator(cpu=True), stream=None)
    assert _same(straight, trained(tmp_path / "stopped", queue=90))
    ends = [load_checkpoint(tmp_path / name / "checkpoints") for name in ("straight", "stopped")]
    memories = [end.tensors["memory"] for end in ends if end is not None]
    assert int(memories[0]["seen"]) > 90
    assert _same(memories[0], memories[1])


@pytest.mark.parametrize(
    "settings", [{"optimizer": "adamw", "lr": 1e-3}, {"precision": "bf16"}, {"clip": 1.0}, {"micro_batch": 24}]
)
def test_every_optimizer_resumes_to_the_bit(
    tmp_path: Path, job: Callable[..., Job], trained: Trainer, settings: dict[str, object]
) -> None:
    straight = trained(tmp_path / "straight", **settings)
    made = job(tmp_path / "stopped", **settings)
    object.__setattr__(made, "method", _StopAt(made.method, 5, signal.SIGTERM))
    with pytest.raises(StoppedError):
        train(made, Accelerator(cpu=True), stream=None)
    assert _same(straight, trained(tmp_path / "stopped", **settings))


def test_divergence_names_the_step_and_the_samples_and_leaves_finite_weights(
    tmp_path: Path, job: Callable[..., Job]
) -> None:
    made = job(tmp_path / "run", method="baseline", lr=1e30, warmup=0.0, checkpoint_steps=1)
    with pytest.raises((DivergenceError, ValueError)) as caught:
        train(made, Accelerator(cpu=True), stream=None)
    message = str(caught.value)
    assert "step" in message
    kept = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert kept is None or all(bool(torch.isfinite(x).all()) for x in kept.tensors["model"].values())


class _NanAt:
    def __init__(self, method: object, calls: int) -> None:
        self._method, self._calls = method, calls

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: torch.nn.Module, batch: Batch, memory: torch.nn.Module | None) -> LossOutput:
        self._calls -= 1
        out = self._method.loss(net, batch, memory)  # type: ignore[attr-defined]
        return LossOutput(out.total * float("nan")) if self._calls == 0 else out


def test_a_nan_loss_stops_at_once(tmp_path: Path, job: Callable[..., Job]) -> None:
    made = job(tmp_path / "run", checkpoint_steps=2)
    object.__setattr__(made, "method", _NanAt(made.method, 6))
    with pytest.raises(DivergenceError) as caught:
        train(made, Accelerator(cpu=True), stream=None)
    first, second = str(caught.value).splitlines()
    assert first.startswith("the loss is nan at step 6 of 16, on samples row ")
    assert first.endswith(" and 29 more; the checkpoint of step 4 is finite.")
    assert second == "Try a lower --lr (it was 0.4), a longer --warmup or --clip 1."


def test_every_row_is_drawn_once_an_epoch(job: Callable[..., Job], tmp_path: Path) -> None:
    from isotone.data.loader import epoch_batches

    rows = job(tmp_path / "x").dataset.rows("train")
    drawn = np.concatenate(epoch_batches(rows, len(rows) // 4, 0, 3))
    assert len(drawn) == len(set(drawn))


def test_the_callers_random_numbers_are_not_moved(tmp_path: Path, job: Callable[..., Job]) -> None:
    made = job(tmp_path / "run", passes=2)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train(made, Accelerator(cpu=True), stream=None)
    assert torch.equal(before, torch.random.get_rng_state())


class _Plain(torch.nn.Module):
    """Rows to rows, nothing random and nothing of a batch: chunks of any size give the same embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class _Short(torch.nn.Module):
    """A network on a machine whose memory runs out at the n-th call, going forward, or coming back from the next one
    that has a graph."""

    def __init__(self, net: torch.nn.Module, forward: tuple[int, ...] = (), backward: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.net, self.lost, self.calls = net, {"forward": sorted(forward), "backward": sorted(backward)}, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        if self._out("forward"):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        out = self.net(x)
        if out.requires_grad and self._out("backward"):
            out.register_hook(_raise_out_of_memory)
        return out

    def _out(self, where: str) -> bool:
        lost = self.lost[where]
        return self.training and bool(lost) and lost[0] <= self.calls and bool(lost.pop(0))


def _raise_out_of_memory(grad: torch.Tensor) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


class _Recorded:
    """A method that keeps the loss of each attempt."""

    def __init__(self, method: object) -> None:
        self._method, self.losses = method, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: torch.nn.Module, batch: Batch, memory: torch.nn.Module | None) -> LossOutput:
        out = self._method.loss(net, batch, memory)  # type: ignore[attr-defined]
        self.losses.append((batch.tags.instance.tolist(), float(out.total.detach())))
        return out


def _curve(made: Job, stream: TextIO | None = None) -> list[float]:
    """Return the loss of each step; of a step that was repeated, that of the last attempt."""
    recorded = _Recorded(made.method)
    object.__setattr__(made, "method", recorded)
    train(made, Accelerator(cpu=True), stream=stream)
    steps: list[tuple[list[int], float]] = []
    for rows, loss in recorded.losses:
        if steps and steps[-1][0] == rows:
            steps.pop()
        steps.append((rows, loss))
    return [loss for _, loss in steps]


def _plain(made: Job) -> Job:
    torch.manual_seed(0)
    object.__setattr__(made, "net", made.method.build(_Plain(), Facts(16, k=1)))
    return made


@pytest.mark.parametrize("method", ["rnc", "baseline"])
@pytest.mark.parametrize("seed", [0, 1])
def test_memory_that_runs_out_at_random_leaves_the_loss_curve(
    tmp_path: Path, job: Callable[..., Job], method: str, seed: int
) -> None:
    """R17 of reliability.md: within 1e-5 of the undisturbed run."""
    expected = _curve(_plain(job(tmp_path / "a", method=method, lr=0.05)))
    made, draw, said = _plain(job(tmp_path / "b", method=method, lr=0.05)), random.Random(seed), tmp_path / "said"
    lost = draw.sample(range(1, 40), 4)
    object.__setattr__(made, "net", _Short(made.net, tuple(lost[:2]), tuple(lost[2:])))
    with said.open("w") as stream:
        found = _curve(made, stream)
    notices = [line for line in said.read_text().splitlines() if line.startswith("out of memory at step ")]
    assert len(notices) == 4
    assert len(found) == len(expected) == (16 if method == "rnc" else 32)
    assert max(abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True)) < 1e-5
    log = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["micro_batch"] == {"rnc": 4, "baseline": 2}[method]  # 64 and 32 rows, halved four times


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("method", ["rnc", "baseline"])
def test_a_step_that_ran_out_of_memory_leaves_no_trace(
    tmp_path: Path, job: Callable[..., Job], method: str, where: str
) -> None:
    """With batch norm and dropout: the run is to the bit the one that had the smaller micro-batch from the start."""
    rows = 32 if method == "rnc" else 16
    start, halved = (job(tmp_path / str(i), method=method, micro_batch=m) for i, m in enumerate((rows, 0)))
    for made, lost in ((start, ()), (halved, (1,))):
        object.__setattr__(made, "net", _Short(made.net, **{where: lost}))
    first, second = (dict(train(made, Accelerator(cpu=True), stream=None).state_dict()) for made in (start, halved))
    assert _same(first, second)


def test_a_run_that_halved_resumes_to_the_bit(tmp_path: Path, job: Callable[..., Job]) -> None:
    runs = []
    for name, stop in (("straight", 0), ("stopped", 7)):
        made = job(tmp_path / name)
        object.__setattr__(made, "net", _Short(made.net, (3,)))
        object.__setattr__(made, "method", _StopAt(made.method, stop + 1 if stop else 0, signal.SIGTERM))
        if stop:
            with pytest.raises(StoppedError, match="stopped at step 7 of 16"):
                train(made, Accelerator(cpu=True), stream=None)
            made = job(tmp_path / name)
            object.__setattr__(made, "net", _Short(made.net))
        runs.append(dict(train(made, Accelerator(cpu=True), stream=None).state_dict()))
    assert _same(*runs)
    assert json.loads((tmp_path / "stopped" / "log.jsonl").read_text().splitlines()[-1])["micro_batch"] == 32


def test_no_memory_at_all_ends_with_what_to_do(tmp_path: Path, job: Callable[..., Job]) -> None:
    made = _plain(job(tmp_path / "run"))
    object.__setattr__(made, "net", _Short(made.net, tuple(range(6, 100))))
    with pytest.raises(ConfigError) as caught:
        train(made, Accelerator(cpu=True), stream=None)
    assert str(caught.value) == (
        "out of memory at step 6 of 16, with 1 row at a time through the encoder (CUDA out of memory).\n"
        "Try a smaller --batch-size, --image-size or encoder, or --precision bf16."
    )
    kept = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert kept is not None
