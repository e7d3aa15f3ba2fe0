"""Queue, bank and Z on 2 and 3 processes (gloo, CPU): the same on all of them, and as on one, to the bit.

Each process holds an uneven part of the batch, once nothing at all. The reference is one process with the whole batch.
"""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from isotone.candidates.bank import Bank
from isotone.candidates.gather import gather
from isotone.candidates.queue import Queue
from isotone.errors import ShapeError
from isotone.losses.nce import NCELoss, nce
from isotone.records import Tags

pytestmark = pytest.mark.slow

STEPS, SAMPLES, WIDTH, K = 6, 20, 4, 5
PARTS = {1: [11], 2: [7, 4], 3: [5, 6, 0]}  # rows of each process


class Sources(nn.Module):
    """What a method keeps beside its network."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.queue = Queue(25, WIDTH, target=2, category=True, instance=True)  # no multiple of 11
        self.bank = Bank(SAMPLES, WIDTH, seed=seed)
        self.running, self.first = NCELoss(SAMPLES, "running"), NCELoss(SAMPLES)

    def step(self, z: Tensor, tags: Tags, step: int) -> Tensor:
        """Return the loss of one step on local rows, and take the step's rows in."""
        assert tags.instance is not None
        everyone, known = gather(z), tags.map(gather)
        assert known.instance is not None
        drawn = self.bank.draw(known.instance, K, step=step)
        rows, noise = self.bank.rows(known.instance), self.bank.rows(drawn)
        loss = self.running(everyone, rows, noise) + self.first(everyone, rows, noise)
        self.queue.update(everyone, known)
        self.bank.update(known.instance, everyone)
        self.first.update(everyone, rows, noise)
        self.running.update(everyone, rows, noise)
        return loss


def _batch(step: int) -> tuple[Tensor, Tags]:
    make = torch.Generator().manual_seed(step)
    instance, category = torch.randint(0, SAMPLES, (2, 11), generator=make)  # with repeats
    target = torch.rand(11, 2, generator=make, dtype=torch.float64)
    return torch.randn(11, WIDTH, generator=make), Tags(instance=instance, category=category, target=target)


def _run(folder: Path, rank: int, processes: int, *, stop: int | None) -> None:
    """Train `STEPS` steps; where `stop` is given, save there and go on in a new object that loads what rank 0 saved."""
    folder.mkdir(exist_ok=True)
    sources, start = Sources(seed=0), sum(PARTS[processes][:rank])
    rows = slice(start, start + PARTS[processes][rank])
    for step in range(STEPS):
        if step == stop:
            if rank == 0:
                save_file(sources.state_dict(), folder / "stop.safetensors")
            if processes > 1:
                dist.barrier()
            sources = Sources(seed=0)
            with torch.no_grad():
                sources.bank.embeddings.zero_()  # all of it must come from the file
            sources.load_state_dict(load_file(folder / "stop.safetensors"))
        z, tags = _batch(step)
        local = z[rows].clone().requires_grad_()
        sources.step(local, tags.map(lambda x: x[rows]), step).backward()
        assert local.grad is not None
        save_file({"grad": local.grad / processes}, folder / f"grad-{step}-{rank}.safetensors")
    save_file(sources.state_dict(), folder / f"{rank}.safetensors")


def _work(rank: int, folder: str, processes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
    _run(Path(folder, "straight"), rank, processes, stop=None)
    _run(Path(folder, "stopped"), rank, processes, stop=3)
    dist.destroy_process_group()


@pytest.mark.parametrize("processes", [2, 3])
def test_sources_are_the_same_on_all_processes_and_as_on_one(tmp_path: Path, processes: int) -> None:
    _run(tmp_path / "one", 0, 1, stop=None)
    mp.spawn(_work, args=(str(tmp_path), processes), nprocs=processes)  # type: ignore[attr-defined]
    for run in ("straight", "stopped"):
        _compare(tmp_path / "one", tmp_path / run, processes)
    straight, stopped = (load_file(tmp_path / run / "0.safetensors") for run in ("straight", "stopped"))
    assert all(torch.equal(x, stopped[name]) for name, x in straight.items())


def _compare(one: Path, many: Path, processes: int) -> None:
    whole, first = load_file(one / "0.safetensors"), load_file(many / "0.safetensors")
    for rank in range(1, processes):
        other = load_file(many / f"{rank}.safetensors")
        assert all(torch.equal(x, other[name]) for name, x in first.items())
    for name, x in whole.items():
        if "log_level" in name:
            torch.testing.assert_close(first[name], x, rtol=0, atol=1e-6)
        else:
            assert torch.equal(first[name], x), name
    for step in range(STEPS):
        grads = [load_file(many / f"grad-{step}-{rank}.safetensors")["grad"] for rank in range(processes)]
        expected = load_file(one / f"grad-{step}-0.safetensors")["grad"]
        torch.testing.assert_close(torch.cat(grads), expected, rtol=1e-6, atol=1e-6)


def _own_rows(rank: int, folder: str) -> None:
    """Z from each process's own rows, and what happens where they are handed to a queue or a bank."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows = slice(0, 7) if rank == 0 else slice(7, 11)
    (z, tags), bank, loss = _batch(0), Bank(SAMPLES, WIDTH), NCELoss(SAMPLES)
    assert tags.instance is not None
    index = tags.instance[rows]
    loss.update(z[rows], bank.rows(index), bank.rows(bank.draw(index, K, step=0)))
    said = [repr(loss.z)]
    # rows that differ only in one value, in their number, in their order
    swapped = z.flip(0) if rank else z
    for mine in (z + torch.arange(44).reshape(11, 4).eq(17) * rank, z[rows], swapped):
        with pytest.raises(ShapeError) as caught:
            Queue(9, WIDTH).update(mine)
        said.append(str(caught.value))
    with pytest.raises(ShapeError) as caught:
        bank.update(index, z[rows])
    said.append(str(caught.value))
    Queue(9, WIDTH).update(z)  # the processes are still in step
    dist.destroy_process_group()
    Path(folder, f"{rank}.txt").write_text("\n".join(said))


def test_own_rows_are_taken_into_z_and_refused_by_queue_and_bank(tmp_path: Path) -> None:
    mp.spawn(_own_rows, args=(str(tmp_path),), nprocs=2)  # type: ignore[attr-defined]
    said = [(tmp_path / f"{rank}.txt").read_text().splitlines() for rank in range(2)]
    assert said[0] == said[1]
    (z, tags), bank = _batch(0), Bank(SAMPLES, WIDTH)
    assert tags.instance is not None
    noise = bank.rows(bank.draw(tags.instance, K, step=0))
    whole = NCELoss(SAMPLES)
    whole.update(z, bank.rows(tags.instance), noise)
    assert whole.z is not None
    assert float(said[0][0]) == pytest.approx(whole.z, rel=1e-6)
    estimated = nce(z, bank.rows(tags.instance), noise, instances=SAMPLES)
    torch.testing.assert_close(whole(z, bank.rows(tags.instance), noise), estimated, rtol=1e-6, atol=0)
    refusal = "expects the rows of the global batch, the same on every process, got different ones. "
    refusal += "Pass gather(z) and tags.map(gather)."
    assert said[0][1:] == [f"Queue.update {refusal}"] * 3 + [f"Bank.update {refusal}"]
