"""The Triton kernels on a CUDA GPU, in a single call under ten minutes: are they right, how fast, how much memory.

Right: value and gradient of RnC and of the equality losses against the dense float64 `contrast` on the same GPU. Fast:
RnC and an equality loss in blocks, forward and backward, beside plain InfoNCE, which is one similarity matrix, torch's
cross entropy and autograd; variants take turns within one run, a time is the median of the repeats, by CUDA's events.

    PYTHONPATH=src python bench/gpu_check.py        prints the table, writes it to $OUT or bench/, as gpu.csv

Needs torch with CUDA, triton and isotone's `core`. Exits with 1 if an error or a bar is missed, with 2 without a GPU.
"""

import csv
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from isotone.core import contrast, negative_l2
from isotone.core.kernels import rnc_triton as rnc_kernels
from isotone.core.kernels.rnc_triton import rnc_triton
from isotone.core.kernels.softmax_triton import softmax_rows_triton
from isotone.randomness import generator

Step = Callable[[Tensor], tuple[Tensor, Tensor]]  # embeddings to value and gradient
D = 512
SIZES = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
LARGEST_PLAIN = 32768  # plain InfoNCE holds several N x N matrices: 4 GB each there
RNC_TEMPERATURE, TEMPERATURE = 2.0, 0.1
ROWS = 4096  # anchors in a block of the equality loss
ERROR, SLOWER, GIGABYTES = 1e-5, 1.5, 4.0
LAST_START = 420.0  # seconds; a size begun later might not end in time
FIELDS = "date device cuda torch triton n d variant ms peak_mb times_info_nce"


def rnc_step(targets: Tensor) -> Step:
    """Return RnC by the kernels."""

    def step(z: Tensor) -> tuple[Tensor, Tensor]:
        z = z.detach().requires_grad_()
        value = rnc_triton(z, targets, RNC_TEMPERATURE)
        return value.detach(), torch.autograd.grad(value, z)[0]

    return step


def rnc_dense(targets: Tensor) -> Step:
    """Return RnC by `contrast`, in float64."""
    others = ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    far = (targets[:, None] - targets).abs()

    def step(z: Tensor) -> tuple[Tensor, Tensor]:
        z = z.detach().double().requires_grad_()
        value = contrast(negative_l2(z, z) / RNC_TEMPERATURE, far, others, others)
        return value.detach(), torch.autograd.grad(value, z)[0]

    return step


def softmax_step(label: Tensor, form: str = "out") -> Step:
    """Return SupCon over unit rows, block by block of anchors, by the kernel; the gradient is that of the unit rows."""

    def step(z: Tensor) -> tuple[Tensor, Tensor]:
        unit, place = normalize(z), torch.arange(len(z), device=z.device)
        value, anchors, grad = z.new_zeros(()), z.new_zeros(()), torch.zeros_like(z)
        for first in range(0, len(z), ROWS):
            block = slice(first, first + ROWS)
            logits = (unit[block] / TEMPERATURE) @ unit.T
            loss, count = softmax_rows_triton(
                logits, label[block], label, place[block], "in" if form == "in" else "out"
            )
            value, anchors = value + loss.sum(), anchors + (count > 0).sum()
            grad[block].addmm_(logits, unit)
            grad.addmm_(logits.T, unit[block])
        return value / anchors, grad / (anchors * TEMPERATURE)

    return step


def softmax_dense(label: Tensor, form: str) -> Step:
    """Return SupCon over unit rows in float64: `out` by `contrast`, `in` by two log sums."""
    others = ~torch.eye(len(label), dtype=torch.bool, device=label.device)
    same = (label[:, None] == label) & others

    def step(z: Tensor) -> tuple[Tensor, Tensor]:
        unit = normalize(z).double().requires_grad_()
        logits = unit @ unit.T / TEMPERATURE
        if form == "out":
            value = contrast(logits, (~same).double(), others, same)
        else:
            rows = same.any(1)
            every = logits.masked_fill(~others, -torch.inf)[rows].logsumexp(1)
            positive = logits.masked_fill(~same, -torch.inf)[rows].logsumexp(1) - same[rows].sum(1).log()
            value = (every - positive).mean()
        return value.detach(), torch.autograd.grad(value, unit)[0]

    return step


def info_nce_step(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return InfoNCE of two views, rows i and i + n/2, in plain torch."""
    n = len(z)
    z = z.detach().requires_grad_()
    unit = normalize(z)
    logits = (unit @ unit.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    value = cross_entropy(logits, (torch.arange(n, device=z.device) + n // 2) % n)
    return value.detach(), torch.autograd.grad(value, z)[0]


def info_nce_tf32_step(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same with the products that torch makes when it is allowed less than float32; not judged."""
    torch.set_float32_matmul_precision("high")
    try:
        return info_nce_step(z)
    finally:
        torch.set_float32_matmul_precision("highest")


def errors(step: Step, dense: Step, z: Tensor) -> tuple[float, float]:
    """Return the relative errors of value and gradient (by norm) against a dense float64 step."""
    value, grad = step(z)
    exact, slope = dense(z)
    by_value = abs(value.double() - exact) / exact.abs().clamp_min(1e-6)
    return by_value.item(), ((grad.double() - slope).norm() / slope.norm().clamp_min(1e-30)).item()


def cases(n: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield names, rows (n, D) and targets (n,): ties of every kind, scales, duplicates, rows on a line, types."""
    draw = generator("bench", "gpu", n)
    z = torch.randn(n, D, generator=draw).cuda()
    y = torch.rand(n, generator=draw, dtype=torch.float64).cuda()
    views = torch.arange(n, device="cuda") % ((n + 1) // 2)
    far_off = torch.where(y < 0.3, y + 1e16, y)  # seen from there, all the others are equally far once rounded
    kinds = {"continuous": y, "ages": (y * 60).floor(), "two views": y[views], "far off": far_off, "all equal": y * 0}
    for kind, targets in kinds.items():
        rows = z[views] + 1e-3 * z if kind == "two views" else z
        for scale in (1.0, 30.0, 1e4):
            yield f"{kind} x{scale:g}", rows * scale, targets
    yield "on a line", y[:, None].float() + 0.05 * z, y
    yield "far from the origin", z + 1e4, y
    yield "bfloat16", z.bfloat16(), y
    yield "float16", z.half(), y


def check() -> list[str]:
    """Print the errors of both kernels; return what is over the bar."""
    missed: list[str] = []
    for n in (2, 17, 130, 1000, 3001):
        for name, z, y in cases(n):
            rounding = {torch.bfloat16: 4e-3, torch.float16: 1e-3}.get(z.dtype, 0.0)  # of the gradient handed back
            missed += _judge(f"rnc n={n} {name}", *errors(rnc_step(y), rnc_dense(y), z), rounding)
        for form in ("out", "in"):
            label = (y * max(1, n // 8)).long()
            found = errors(softmax_step(label, form), softmax_dense(label, form), z.float())
            missed += _judge(f"softmax n={n} {form}", *found, 0.0)
    return missed


def milliseconds(steps: dict[str, Step], z: Tensor) -> dict[str, float]:
    """Return the median time of each step; the steps take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(2 + max(1, min(15, 2**29 // len(z) ** 2))):
        for name, step in steps.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            step(z)
            end.record()
            torch.cuda.synchronize()
            if turn > 0:  # the first compiles
                times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(each) for name, each in times.items()}


def peak_mb(step: Step, z: Tensor) -> float:
    """Return how far a step lifts the peak over what is held before it, in MB; the gradient counts."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step(z)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def measure(n: int) -> list[dict[str, object]]:
    """Time every variant that fits at n rows."""
    draw = generator("bench", "gpu", n, D)
    z = torch.randn(n, D, generator=draw).cuda()
    ages = torch.randint(16, 80, (n,), generator=draw).double().cuda()
    continuous = torch.rand(n, generator=draw, dtype=torch.float64).cuda()
    label = (torch.arange(n) % (n // 2)).cuda()
    steps: dict[str, Step] = {"rnc ages": rnc_step(ages), "rnc continuous": rnc_step(continuous)}
    steps |= {"softmax out": softmax_step(label), "softmax in": softmax_step(label, "in")}
    if n <= LARGEST_PLAIN:
        steps |= {"info_nce": info_nce_step, "info_nce tf32": info_nce_tf32_step}
    times = milliseconds(steps, z)
    plain = times.get("info_nce", float("nan"))
    return [_row(n, name, times[name], peak_mb(step, z), times[name] / plain) for name, step in steps.items()]


def tune(n: int) -> list[dict[str, object]]:
    """Time RnC with other chunks than its own, and print where the time of its own goes."""
    draw = generator("bench", "gpu", n, D)
    z = torch.randn(n, D, generator=draw).cuda()
    step, before = rnc_step(torch.rand(n, generator=draw, dtype=torch.float64).cuda()), rnc_kernels._CHUNK
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        step(z)
        torch.cuda.synchronize()
    for event in sorted(profile.key_averages(), key=lambda e: -e.self_device_time_total)[:10]:
        print(f"  {event.self_device_time_total / 1e3:8.3f} ms {event.count:4d} x {event.key[:80]}")
    rows: list[dict[str, object]] = []
    for chunk in (256, 512, 1024, 2048):
        rnc_kernels._CHUNK = chunk
        rows.append(_row(n, f"rnc chunk {chunk}", milliseconds({"": step}, z)[""], peak_mb(step, z), float("nan")))
    rnc_kernels._CHUNK = before
    return rows


def main() -> int:
    """Check and measure everything, print and write the rows, return 1 if an error or a bar is missed."""
    if not torch.cuda.is_available():
        print("gpu_check needs a CUDA GPU, and this machine has none.")
        return 2
    start = time.perf_counter()
    missed = check()
    print(" ".join(f"{key:>{_width(key)}}" for key in FIELDS.split()[5:]))
    rows: list[dict[str, object]] = []
    for n in SIZES:
        if time.perf_counter() - start > LAST_START:
            missed.append(f"n = {n} was not begun in time")
            break
        rows += measure(n)
        _write(rows)
    rows += tune(8192)
    _write(rows)
    missed += _bars(rows)
    print(f"{time.perf_counter() - start:.0f} s; " + ("missed: " + "; ".join(missed) if missed else "every bar holds"))
    return 1 if missed else 0


# ----------------------------------------------------------------------------------------------------------------------


def _judge(case: str, by_value: float, by_gradient: float, rounding: float) -> list[str]:
    held = by_value <= ERROR and by_gradient <= ERROR + rounding  # NaN does not hold
    print(f"{'ok' if held else 'OVER':4} {case:40} value {by_value:.1e} gradient {by_gradient:.1e}", flush=True)
    return [] if held else [f"{case}: value {by_value:.1e}, gradient {by_gradient:.1e}"]


def _row(n: int, variant: str, ms: float, peak: float, ratio: float) -> dict[str, object]:
    import triton

    row: dict[str, object] = {"date": date.today().isoformat(), "device": torch.cuda.get_device_name()}
    row |= {"cuda": torch.version.cuda, "torch": torch.__version__, "triton": triton.__version__}
    row |= {"n": n, "d": D, "variant": variant, "ms": f"{ms:.4g}", "peak_mb": f"{peak:.5g}"}
    row |= {"times_info_nce": f"{ratio:.3g}"}
    print(" ".join(f"{row[key]!s:>{_width(key)}}" for key in FIELDS.split()[5:]), flush=True)
    return row


def _width(key: str) -> int:
    return max(len(key), 16 if key == "variant" else 9)


def _write(rows: list[dict[str, object]]) -> None:
    folder = Path(os.environ.get("OUT") or Path(__file__).parent)
    with (folder / "gpu.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS.split(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _bars(rows: list[dict[str, object]]) -> list[str]:
    """Name the bars that are missed, a size that was not reached among them."""
    found = {(row["n"], row["variant"]): row for row in rows}
    missed: list[str] = []
    for variant in ("rnc ages", "rnc continuous"):
        speed, memory = found.get((8192, variant)), found.get((65536, variant))
        if speed is None or not float(str(speed["times_info_nce"])) <= SLOWER:
            missed.append(f"{variant} at N = 8192 within {SLOWER:g} times plain InfoNCE")
        if memory is None or not float(str(memory["peak_mb"])) < GIGABYTES * 1e3:
            missed.append(f"{variant} at N = 65536 under {GIGABYTES:g} GB")
    return missed


if __name__ == "__main__":
    sys.exit(main())
