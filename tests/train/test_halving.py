"""Halving: what counts as out of memory, what an attempt leaves, where it ends."""

import warnings
from pathlib import Path
from typing import TextIO

import pytest
import torch
from torch import nn

from isotone.errors import ConfigError
from isotone.train.halving import Halving, out_of_memory

CPU = torch.device("cpu")


def _halving(net: nn.Module, micro_batch: int = 0, stream: TextIO | None = None) -> Halving:
    return Halving(net, micro_batch, device=CPU, stream=stream)


class _Needs:
    """An attempt that needs a micro-batch of at most so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.asked = rows, []  # type: ignore[var-annotated]

    def __call__(self, micro_batch: int) -> int:
        self.asked.append(micro_batch)
        if micro_batch == 0 or micro_batch > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return micro_batch


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: ..."), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 3 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) is expected


def test_torch_on_the_cpu_says_so_itself() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("begin", "rows", "asked"),
    [
        (0, 64, [0, 32, 16, 8]),
        (0, 13, [0, 7]),
        (100, 64, [100, 32, 16, 8]),
        (24, 64, [24, 12, 6]),
        (8, 64, [8]),
    ],
)
def test_it_halves_until_it_fits_and_stays_there(begin: int, rows: int, asked: list[int]) -> None:
    halving, attempt = _halving(nn.Linear(1, 1), begin), _Needs(8)
    assert halving.run(attempt, rows=rows, where="step 1 of 9") == asked[-1]
    assert attempt.asked == asked
    assert halving.micro_batch == asked[-1]


def test_a_failed_attempt_leaves_neither_buffers_nor_gradients() -> None:
    net, seen = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), []
    halving = _halving(net)

    def attempt(micro_batch: int) -> int:
        seen.append([net[0].weight.grad, net[1].running_mean.tolist(), int(net[1].num_batches_tracked)])
        net(torch.randn(8, 2) + 3).square().sum().backward()
        return _Needs(4)(micro_batch)

    halving.run(attempt, rows=8, where="step 1 of 9")
    assert seen == [[None, [0.0, 0.0], 0]] * 2
    assert int(net[1].num_batches_tracked) == 1


def test_the_failed_attempts_graph_is_free_before_the_next() -> None:
    import gc
    import weakref

    kept: list[weakref.ref[torch.Tensor]] = []
    halving = _halving(nn.Linear(1, 1))

    def attempt(micro_batch: int) -> int:
        assert all(ref() is None for ref in kept)
        big = torch.zeros(9, requires_grad=True) * 2
        kept.append(weakref.ref(big))
        return halving.agree(lambda: _Needs(2)(micro_batch) + int(big.sum()))

    gc.disable()
    try:
        assert halving.run(attempt, rows=16, where="step 1 of 9") == 2
    finally:
        gc.enable()
    assert len(kept) == 4


@pytest.mark.parametrize(
    ("net", "also"), [(nn.Linear(1, 1), ""), (nn.BatchNorm1d(1), ", batch norm's statistics are now of these")]
)
def test_the_notice_is_one_plain_line(tmp_path: Path, net: nn.Module, also: str) -> None:
    with (tmp_path / "said").open("w") as stream:
        _halving(net, stream=stream).run(_Needs(32), rows=64, where="step 3 of 16")
    assert (tmp_path / "said").read_text() == (
        "out of memory at step 3 of 16: again with 32 rows at a time through the encoder; "
        f"the loss stays that of the whole batch{also}\n"
    )


def test_the_end_of_the_road_says_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        _halving(nn.Linear(1, 1)).run(_Needs(0), rows=8, where="step 3 of 16")
    assert str(caught.value) == (
        "out of memory at step 3 of 16, with 1 row at a time through the encoder "
        "(CUDA out of memory. Tried to allocate 20.00 MiB).\n"
        "Try a smaller --batch-size, --image-size or encoder, or --precision bf16."
    )
    with pytest.raises(ConfigError) as caught:
        _halving(nn.BatchNorm1d(2)).run(_Needs(2), rows=8, where="step 3 of 16")
    assert "with 3 rows at a time" in str(caught.value)


@pytest.mark.parametrize("rows", [1, 2])
def test_too_few_rows_for_batch_norm_are_refused(rows: int) -> None:
    _halving(nn.Linear(1, 1), rows)
    with pytest.raises(ConfigError) as caught:
        _halving(nn.Sequential(nn.BatchNorm2d(1)), rows)
    assert str(caught.value) == (
        f"`micro_batch` {rows} is too few for batch norm, which normalises by the rows that it is shown at a time. "
        "Use --micro-batch 16 or more, or --norm group."
    )


def test_other_errors_pass() -> None:
    def attempt(micro_batch: int) -> int:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match=r"^shapes differ$"):
        _halving(nn.Linear(1, 1)).run(attempt, rows=8, where="step 1 of 9")


def test_one_process_of_several_that_runs_out_alone_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotone.train.halving.several", lambda: True)
    with pytest.raises(ConfigError) as caught:
        _halving(nn.Linear(1, 1)).run(_Needs(1), rows=8, where="step 3 of 16")
    assert str(caught.value) == (
        "out of memory at step 3 of 16, in the loss of the whole batch on one process of several "
        "(CUDA out of memory. Tried to allocate 20.00 MiB).\n"
        "Try --micro-batch, which leaves it more room, or a smaller --batch-size."
    )
    halving = _halving(nn.Linear(1, 1))
    attempt = _Needs(4)
    assert halving.run(lambda rows: halving.agree(lambda: attempt(rows)), rows=8, where="step 3 of 16") == 4


def test_nothing_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _halving(nn.Linear(1, 1)).run(_Needs(2), rows=8, where="step 1 of 9")
