"""The loop: it learns, repeats to the bit, resumes to the bit, and stops when something is wrong."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from isotone.errors import DivergenceError, StoppedError
from isotone.records import Batch, LossOutput
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
    assert {"epoch", "step", "seconds", "loss", "lr", "wait_share", "score", "parts"} == set(log[0])


class _StopAt:
    """A method that asks the process to stop at its n-th loss, as Ctrl-C would."""

    def __init__(self, method: object, calls: int, number: signal.Signals) -> None:
        self._method, self._calls, self._number = method, calls, number

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: torch.nn.Module, batch: Batch) -> LossOutput:
        self._calls -= 1
        if self._calls == 0:
            os.kill(os.getpid(), self._number)
        return self._method.loss(net, batch)  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("settings", [{"optimizer": "adamw", "lr": 1e-3}, {"precision": "bf16"}, {"clip": 1.0}])
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

    def loss(self, net: torch.nn.Module, batch: Batch) -> LossOutput:
        self._calls -= 1
        out = self._method.loss(net, batch)  # type: ignore[attr-defined]
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
