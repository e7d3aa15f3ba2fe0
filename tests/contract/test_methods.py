"""What every method must do, by discovery: a method that is in the list is tested here."""

import os
import signal
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from contract.jobs import CASES, END_TO_END, NAMES, build_job, digits, state
from jaxtyping import Float
from torch import Tensor, nn

from isotone.errors import StoppedError
from isotone.methods import METHODS
from isotone.nets.network import Network
from isotone.records import Batch, Facts, Kind, LossOutput, Method, Need, Tags
from isotone.train.cached import Cached
from isotone.train.loop import Job, train

METHOD_LINES = 200


def _batch(job: Job, rows: int = 12) -> Batch:
    """Return one fixed batch of a job, as its loop makes them."""
    made: list[Batch] = []
    stop = _Stop(job.method, made, rows)
    with pytest.raises(_Stop.Enough):
        train(replace(job, method=stop), Accelerator(cpu=True), stream=None)  # type: ignore[arg-type]
    return made[0]


class _Stop:
    """A method that keeps its first batch and ends the run."""

    class Enough(Exception):  # noqa: N818
        pass

    def __init__(self, method: Method, found: list[Batch], rows: int) -> None:
        self._method, self._found, self._rows = method, found, rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        n = self._rows
        partners = None if batch.partners is None else batch.partners[:, :n]
        self._found.append(
            replace(batch, views=batch.views[:, :n], tags=batch.tags.map(lambda x: x[:n]), partners=partners)
        )
        raise _Stop.Enough


def _trained(job: Job) -> dict[str, Tensor]:
    train(job, Accelerator(cpu=True), stream=None)
    return state(job)


def _wide(batch: Batch) -> Batch:
    """Return the batch in float64, where another order of the sums is no difference."""
    partners = None if batch.partners is None else batch.partners.double()
    return replace(batch, views=batch.views.double(), partners=partners)


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_method_whose_settings_have_help(name: str) -> None:
    method = METHODS[name]
    assert is_dataclass(method)
    assert method.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert method.select in ("last", "val")
    assert method.scored or method.select == "last"
    for setting in fields(method):
        assert f"        {setting.name}: " in (method.__doc__ or ""), f"{name}: `{setting.name}` has no help"


@pytest.mark.parametrize("name", NAMES)
def test_its_file_is_short(name: str) -> None:
    module = METHODS[name].__module__.rpartition(".")[2]
    path = Path(__file__).parents[2] / "src" / "isotone" / "methods" / f"{module}.py"
    assert len(path.read_text().splitlines()) <= METHOD_LINES


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_lower_the_loss(tmp_path: Path, name: str) -> None:
    """On one batch, so that 20 steps are enough for the slowest; the memory follows."""
    job = build_job(tmp_path / "run", name)
    batch = _batch(job)
    lr = 0.005 if name.split()[0] in END_TO_END else 0.02  # 0.02 overshoots there even without the method's term
    optimizer = torch.optim.SGD(job.net.parameters(), lr=lr, momentum=0.9)
    losses = []
    for step in range(20):
        out = job.method.loss(job.net, replace(batch, step=step), job.memory)
        optimizer.zero_grad()
        out.total.backward()
        optimizer.step()
        job.method.after_step(job.net, job.memory, out)
        losses.append(float(out.total.detach()))
        assert all(not part.requires_grad for part in (*out.parts.values(), *out.carry.values()))
    assert np.mean(losses[-3:]) < losses[1], losses


@pytest.mark.parametrize("name", CASES)
def test_the_loss_changes_nothing(tmp_path: Path, name: str) -> None:
    job = build_job(tmp_path / "run", name)
    batch, before = _batch(job), state(job)
    first = job.method.loss(job.net, batch, job.memory).total
    second = job.method.loss(job.net, batch, job.memory).total
    assert torch.equal(first, second)
    assert _same(before, state(job))


@pytest.mark.parametrize("micro_batch", [1, 5])
@pytest.mark.parametrize("name", CASES)
def test_chunks_give_the_gradient_of_the_whole_batch(tmp_path: Path, name: str, micro_batch: int) -> None:
    job = build_job(tmp_path / "run", name)
    batch = _wide(_batch(job))
    job.net.double()
    if job.memory is not None:
        job.memory.double()
    job.method.loss(job.net, batch, job.memory).total.backward()
    whole = {key: p.grad.clone() for key, p in job.net.named_parameters() if p.grad is not None}
    job.net.zero_grad()
    cached = Cached(job.net, micro_batch=micro_batch)
    cached.backward(job.method.loss(cached, replace(batch, micro_batch=micro_batch), job.memory).total)
    found = {key: p.grad for key, p in job.net.named_parameters() if p.grad is not None}
    assert whole.keys() == found.keys()
    size = max(float(x.abs().max()) for x in whole.values())
    assert max(float((whole[key] - found[key]).abs().max()) for key in whole) <= 1e-12 * size


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_same_bits_and_a_stopped_run_resumes_to_them(tmp_path: Path, name: str) -> None:
    straight = _trained(build_job(tmp_path / "straight", name))
    made = build_job(tmp_path / "stopped", name)
    with pytest.raises(StoppedError):
        train(replace(made, method=_Kill(made.method, 4)), Accelerator(cpu=True), stream=None)  # type: ignore[arg-type]
    assert not _same(straight, state(made))
    assert _same(straight, _trained(build_job(tmp_path / "stopped", name, workers=2)))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_first_weights(tmp_path: Path, name: str) -> None:
    a, b, other = (build_job(tmp_path / str(i), name, seed=seed) for i, seed in enumerate((0, 0, 1)))
    torch.rand(3)  # the global generator has no say
    assert _same(state(a), state(b))
    assert not _same(state(a), state(other))


class _Kill:
    """A method that asks the process to stop at its n-th loss, as a batch system would."""

    def __init__(self, method: Method, calls: int) -> None:
        self._method, self._calls = method, calls

    def __getattr__(self, name: str) -> object:
        return getattr(self._method, name)

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        self._calls -= 1
        if self._calls == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return self._method.loss(net, batch, memory)


@dataclass(frozen=True)
class Toy:
    """Pulls the representation to length one: a method in one class.

    Args:
        views: augmented copies of each sample in a batch.
        head: predictor on the frozen encoder.
    """

    views: int = 1
    head: Literal["auto", "l1", "classify"] = "auto"

    select: ClassVar[Literal["last", "val"]] = "last"
    scored: ClassVar[bool] = False
    default_lr: ClassVar[float] = 0.1
    needs: ClassVar[tuple[Need, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ("image",)

    def build(self, encoder: nn.Module, facts: Facts) -> Network:
        del facts
        return Network(encoder)

    def memory(self, net: nn.Module, facts: Facts) -> None:
        del net, facts

    def loss(self, net: nn.Module, batch: Batch, memory: nn.Module | None = None) -> LossOutput:
        del memory
        return LossOutput((net(batch.views.flatten(0, 1)).norm(dim=1) - 1).square().mean())

    def after_step(self, net: nn.Module, memory: nn.Module | None, out: LossOutput) -> None:
        del net, memory, out

    def score(self, out: Float[Tensor, "n d"], tags: Tags) -> float:
        del out, tags
        return float("nan")


def test_a_method_is_one_class_and_one_line_in_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding one needs nothing else: the toy passes what every method does, and fits on a table by its name."""
    from isotone.cli.main import main

    monkeypatch.setitem(METHODS, "toy", Toy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    test_it_is_a_method_whose_settings_have_help("toy")
    test_twenty_steps_lower_the_loss(tmp_path / "a", "toy")
    test_the_same_seed_gives_the_same_bits_and_a_stopped_run_resumes_to_them(tmp_path / "b", "toy")
    from PIL import Image

    for i, image in enumerate(digits().inputs[:40]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i}.png")
    (tmp_path / "t.csv").write_text("image\n" + "\n".join(f"{i}.png" for i in range(40)) + "\n")
    words = ["fit", str(tmp_path / "t.csv"), "--method", "toy", "--passes", "2", "--image-size", "32"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
