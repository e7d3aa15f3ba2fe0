"""RnC against its published N^3 form: time, peak memory and error of one forward and backward pass on the CPU.

The published form is written here from the formula (arXiv 2210.01189, equations 1-3) as its loop over positives: one
N x N mask for each positive, autograd through all of them. `lean` is the same loop with the distances by `torch.cdist`
instead of an N x N x D difference, to show what the loop alone costs. Variants take turns within one run; a time is the
median of the repeats; a peak is measured in a process of its own. The bars hold at N = D = 512 against the published
form; the process exits with 1 if one is missed.

    python bench/losses.py        prints the table and writes bench/losses.csv
"""

import csv
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psutil
import torch
from torch import Tensor

from isotone.losses import rnc
from isotone.randomness import generator

Loss = Callable[[Tensor, Tensor], Tensor]
TEMPERATURE = 2.0
SIZES = ((128, 512), (256, 512), (512, 512), (2048, 512))  # (N, D)
LARGEST_LOOP = 512  # the loop's masks take 4 N^3 bytes and as much again for the products: 69 GB at 2048
JUDGED = (512, 512)
FASTER, LESS_MEMORY, ERROR = 100.0, 10.0, 1e-5
FIELDS = "date torch threads machine n d variant ms peak_mb value_error gradient_error times_faster times_less_memory"


def published(embeddings: Tensor, targets: Tensor, lean: bool = False) -> Tensor:
    """Return RnC by the loop over positives: `mean_ij LSE_{k: d_ik >= d_ij} s_ik - s_ij`, one N x N mask for each j."""
    n = len(embeddings)
    far = (targets[:, None] - targets[None, :]).abs()  # (n, n)
    if lean:
        logits = -torch.cdist(embeddings, embeddings) / TEMPERATURE
    else:
        logits = -(embeddings[:, None] - embeddings[None, :]).norm(dim=-1) / TEMPERATURE
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    others = ~torch.eye(n, dtype=torch.bool)
    far, logits = far[others].view(n, n - 1), logits[others].view(n, n - 1)
    exponential = logits.exp()
    total = logits.new_zeros(())
    for j in range(n - 1):
        mask = (far >= far[:, j : j + 1]).to(logits.dtype)  # (n, n - 1)
        total = total - (logits[:, j] - (mask * exponential).sum(dim=1).log()).sum()
    return total / (n * (n - 1))


VARIANTS: dict[str, Loss] = {
    "isotone": lambda z, y: rnc(z, y, temperature=TEMPERATURE),
    "published": published,
    "lean": lambda z, y: published(z, y, lean=True),
}


def inputs(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Return embeddings (n, d) float32 and integer ages (n,), so that ties are frequent."""
    draw = generator("bench", "losses", n, d)
    return torch.randn(n, d, generator=draw), torch.randint(16, 80, (n,), generator=draw)


def step(loss: Loss, embeddings: Tensor, targets: Tensor) -> tuple[float, Tensor, float]:
    """Return value, gradient and seconds of one forward and backward pass."""
    z = embeddings.clone().requires_grad_()
    start = time.perf_counter()
    value = loss(z, targets)
    (gradient,) = torch.autograd.grad(value, z)
    return value.item(), gradient, time.perf_counter() - start


def seconds(names: list[str], n: int, d: int) -> dict[str, float]:
    """Return the median time of each variant; the variants take turns."""
    z, y = inputs(n, d)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        step(VARIANTS[name], *inputs(64, d))  # loads what the first call loads
    step(VARIANTS["isotone"], z, y)
    for _ in range(3):
        for name in names:
            for _ in range(7 if name == "isotone" else 1):  # a short one needs more repeats
                times[name].append(step(VARIANTS[name], z, y)[2])
    return {name: statistics.median(values) for name, values in times.items()}


def peak_mb(name: str, n: int, d: int) -> float:
    """Return how far a step lifts the peak of a fresh process over what it held before, in MiB.

    Call it while this process is small: Linux counts the parent's size at the fork into the child's peak.
    """
    command = [sys.executable, __file__, "--peak", name, str(n), str(d)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def errors(name: str, n: int, d: int) -> tuple[float, float]:
    """Return the relative errors of value and gradient (norm, and largest entry) against the lean loop in float64."""
    z, y = inputs(n, d)
    value, gradient, _ = step(VARIANTS[name], z, y)
    exact, slope, _ = step(VARIANTS["lean"], z.double(), y)
    off = gradient.double() - slope
    by_norm, by_entry = off.norm() / slope.norm(), off.abs().max() / slope.abs().max()
    return abs(value - exact) / abs(exact), max(by_norm.item(), by_entry.item())


# ----------------------------------------------------------------------------------------------------------------------


def _print_peak(name: str, n: int, d: int) -> None:
    small = inputs(16, d)
    step(VARIANTS[name], *small)  # loads what the first call loads
    z, y = inputs(n, d)
    before = psutil.Process().memory_info().rss
    step(VARIANTS[name], z, y)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print((peak - before) / 2**20)  # never below the truth: an earlier peak counts too


def _names(n: int) -> list[str]:
    return list(VARIANTS) if n <= LARGEST_LOOP else ["isotone"]


def _rows(n: int, d: int, peaks: dict[str, float]) -> list[dict[str, object]]:
    names = _names(n)
    times = seconds(names, n, d)
    rows: list[dict[str, object]] = []
    for name in names:
        value, gradient = errors(name, n, d) if n <= LARGEST_LOOP else (float("nan"), float("nan"))
        row: dict[str, object] = {"date": date.today().isoformat(), "torch": torch.__version__}
        row |= {"threads": torch.get_num_threads(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
        row |= {"n": n, "d": d, "variant": name, "ms": times[name] * 1e3, "peak_mb": peaks[name]}
        row |= {"value_error": value, "gradient_error": gradient}
        row |= {"times_faster": times[name] / times["isotone"], "times_less_memory": peaks[name] / peaks["isotone"]}
        rows.append({key: f"{x:.4g}" if isinstance(x, float) else x for key, x in row.items()})
        print(" ".join(f"{rows[-1][key]!s:>{max(len(key), 9)}}" for key in FIELDS.split()[4:]), flush=True)
    return rows


def _missed(rows: list[dict[str, object]]) -> list[str]:
    """Name the bars that the judged size misses."""
    judged = {row["variant"]: row for row in rows if (row["n"], row["d"]) == JUDGED}
    ours, theirs = judged["isotone"], judged["published"]
    number = {
        f"at least {FASTER:g} times faster": float(str(theirs["times_faster"])) >= FASTER,
        f"at least {LESS_MEMORY:g} times less memory": float(str(theirs["times_less_memory"])) >= LESS_MEMORY,
        f"value within {ERROR:g}": float(str(ours["value_error"])) <= ERROR,
        f"gradient within {ERROR:g}": float(str(ours["gradient_error"])) <= ERROR,
    }
    return [bar for bar, held in number.items() if not held]


def main() -> int:
    """Measure every size, print and write the rows, return 1 if a bar is missed."""
    print(" ".join(f"{key:>{max(len(key), 9)}}" for key in FIELDS.split()[4:]))
    peaks = {size: {name: peak_mb(name, *size) for name in _names(size[0])} for size in SIZES}
    rows = [row for size in SIZES for row in _rows(*size, peaks[size])]
    with (Path(__file__).parent / "losses.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS.split(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = _missed(rows)
    print(f"N = {JUDGED[0]}, D = {JUDGED[1]}: {'missed: ' + ', '.join(missed) if missed else 'every bar holds'}")
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        _print_peak(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main())
