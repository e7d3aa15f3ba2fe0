"""Time, memory and error of one forward and backward pass.

python bench/measure.py LOSS VARIANT N D     prints the peak in MiB and the seconds of one step, in a process of its own
"""

import ctypes
import gc
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from variants import EXACT, VARIANTS, Loss, embeddings, labels

GIB = 2**30
MOST_BYTES = 12 * GIB  # a step that needs more, over the inputs, is not timed on a CPU
MOST_SECONDS = 120.0  # nor one that takes longer than this
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class TooMuchError(Exception):
    """A step needs more memory or time than it is given; the text says so in the table."""


def step(loss: Loss, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return value, gradient and seconds of one forward and backward pass."""
    z = z.detach().clone().requires_grad_()
    _wait(z)
    start = time.perf_counter()
    value = loss(z, y)
    (gradient,) = torch.autograd.grad(value, z)
    _wait(z)
    return value.detach(), gradient, time.perf_counter() - start


def clock(work: Callable[[Tensor], Tensor], z: Tensor) -> float:
    """Return the seconds of a piece of work without a backward pass."""
    _wait(z)
    start = time.perf_counter()
    work(z)
    _wait(z)
    return time.perf_counter() - start


def inputs(loss: str, n: int, d: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return embeddings (n, d) and the labels (n,) of a loss."""
    return embeddings(n, d).to(device, dtype), labels(loss, n).to(device)


def peak(loss: str, variant: str, n: int, d: int, device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Return by how many MiB a step lifts the peak over the inputs, and its seconds; the gradient (n, d) counts.

    On a CPU in a fresh process, which is held to MOST_BYTES and MOST_SECONDS; on a GPU by torch's own count.

    Raises:
        TooMuchError: the step needs more than is given.
    """
    if device != "cpu":
        return _gpu_peak(loss, variant, *inputs(loss, n, d, device, dtype))
    command = [sys.executable, __file__, loss, variant, str(n), str(d), str(dtype).removeprefix("torch.")]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise TooMuchError(f"over {MOST_SECONDS:.0f} s a step") from None
    except subprocess.CalledProcessError as error:
        if "alloc" in error.stderr:
            raise TooMuchError(f"over {MOST_BYTES // GIB} GiB") from None
        raise RuntimeError(f"{loss} by {variant} at N = {n}:\n{error.stderr}") from None
    mebibytes, seconds = found.stdout.split()
    return float(mebibytes), float(seconds)


def errors(loss: str, variant: str, n: int, d: int, device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Return the relative errors of value and gradient (by norm, or by largest entry) against float64."""
    z, y = inputs(loss, n, d, device, dtype)
    value, gradient, _ = step(VARIANTS[loss, variant], z, y)
    exact, slope, _ = step(EXACT[loss], z.double(), y)
    off = gradient.double() - slope
    by_norm, by_entry = off.norm() / slope.norm(), off.abs().max() / slope.abs().max()
    return ((value.double() - exact).abs() / exact.abs()).item(), max(by_norm.item(), by_entry.item())


# ----------------------------------------------------------------------------------------------------------------------


def _wait(z: Tensor) -> None:
    if z.is_cuda:
        torch.cuda.synchronize(z.device)


def _gpu_peak(loss: str, variant: str, z: Tensor, y: Tensor) -> tuple[float, float]:
    run = VARIANTS[loss, variant]
    step(run, z[:64], y[:64])  # loads what the first call loads
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    try:
        seconds = step(run, z, y)[2]
    except torch.OutOfMemoryError:
        raise TooMuchError(f"over the GPU's {torch.cuda.mem_get_info()[1] / GIB:.0f} GiB") from None
    except RuntimeError as error:
        if variant == "isotone":
            raise
        raise TooMuchError(f"fails: {str(error).splitlines()[0][:60]}") from None  # others index with 32 bits
    copied = z.numel() * z.element_size()  # by `step`
    return (torch.cuda.max_memory_allocated() - before - copied) / 2**20, seconds


def _print_peak(loss: str, variant: str, n: int, d: int, dtype: torch.dtype) -> None:
    run, (z, y) = VARIANTS[loss, variant], inputs(loss, n, d, "cpu", dtype)
    for small in (64, 128):  # loads and compiles what the first calls load and compile
        step(run, *inputs(loss, small, d, "cpu", dtype))
    copied = z.numel() * z.element_size()
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what was freed and is still held would hide what the step takes
    before = _bytes("VmRSS")
    if platform.system() == "Linux":
        RESET.write_text("5")  # the peak starts again from what is held now
        resource.setrlimit(resource.RLIMIT_DATA, (_bytes("VmData") + MOST_BYTES, resource.RLIM_INFINITY))
    seconds = step(run, z, y)[2]
    print((_bytes("VmHWM") - before - copied) / 2**20, seconds)


def _bytes(entry: str) -> int:
    """Return what Linux says of this process; elsewhere its peak so far, which hides what an earlier peak covers."""
    if platform.system() == "Linux":  # not getrusage: its peak counts the parent's at the fork
        return 1024 * int(STATUS.read_text().split(f"{entry}:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _print_peak(*sys.argv[1:3], *map(int, sys.argv[3:5]), getattr(torch, sys.argv[5]))
