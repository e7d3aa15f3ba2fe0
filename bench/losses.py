"""The losses of isotone against those of others: time, peak memory and error of one forward and backward pass.

Variants (`bench/variants.py`) take turns within one run, in another order each turn, so that a busy moment meets all of
them and none always follows the same one; a time is the median of the repeats, and stands beside that of three
N x N x D matrix products of the same turns. A peak is measured in a process of its own. A variant whose step takes too
long (on a CPU 20 s) or needs too much memory (12 GiB) is left out at more rows, and its row says so.
The bars (`bench/bars.py`) are printed; the process exits with 1 if one is missed.

    python bench/losses.py                     every size on the CPU; writes its rows to bench/losses.csv
    python bench/losses.py --device cuda       the same on a GPU, with more rows; the CPU's rows stay
    python bench/losses.py --sizes 256 512     prints, and writes only where --out says; other sizes' rows stay there
"""

import argparse
import csv
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from bars import RNC, Row, bars
from measure import TooMuchError, clock, errors, inputs, peak, step
from variants import VARIANTS, embeddings, products

from isotone.randomness import generator

OUT = Path(__file__).parent / "losses.csv"
Cell = tuple[str, str]  # loss and variant
PRODUCTS: Cell = ("three products", "plain torch")
SIZES = {"cpu": [2**k for k in range(8, 15)], "cuda": [2**k for k in range(8, 18)]}
WIDTH = 512
NARROW = (16384, 256)  # (N, D) of the bar for memory
LONGEST_STEP_S = {"cpu": 20.0, "cuda": 3.0}
BUDGET_S = {"cpu": 6.0, "cuda": 1.0}  # of a variant at one size; on a GPU all sizes fit in ten minutes
FEWEST, MOST = 3, 200  # repeats
EXACT_UP_TO = 512  # rows; autograd through the loop over positives in float64 keeps 16 N^3 bytes
SHOWN = {"n": 6, "d": 4, "loss": 14, "variant": 23, "ms": 9, "times_products": 14, "repeats": 7, "peak_mb": 9}
SHOWN |= {"value_error": 11, "gradient_error": 14, "note": 0}
FIELDS = ["date", "torch", "threads", "machine", "device", "dtype", "version", *SHOWN]


class Bench:
    """The measurements on one device in one type; `given_up` says why a variant is no longer run."""

    def __init__(self, cells: list[Cell], device: str, dtype: torch.dtype) -> None:
        self.cells, self.device, self.dtype = cells, device, dtype
        self.given_up: dict[Cell, str] = {}

    def size(self, n: int) -> list[Row]:
        """Return a row for each variant, and one for the products, at n rows."""
        peaks = {cell: self._peak(cell, n, WIDTH) for cell in self.cells if cell not in self.given_up}
        times = self._turns(n, {cell: found[1] for cell, found in peaks.items() if found})
        per_turn = statistics.median(times[PRODUCTS])
        rows = []
        for cell in [PRODUCTS, *self.cells]:
            found: dict[str, object] = {"n": n, "d": WIDTH, "note": self.given_up.get(cell, "")}
            if cell in times:
                median = statistics.median(times[cell])
                found |= {"ms": median * 1e3, "times_products": median / per_turn, "repeats": len(times[cell])}
                if median > (longest := LONGEST_STEP_S[self.device]):
                    self.given_up[cell] = f"left out: over {longest:.0f} s a step at N = {n}"
            if cell in times and cell != PRODUCTS:
                found["peak_mb"] = peaks[cell][0]
                if n <= EXACT_UP_TO:
                    pair = errors(*cell, n, WIDTH, self.device, self.dtype)
                    found |= dict(zip(("value_error", "gradient_error"), pair, strict=True))
            rows.append(self._row(cell, found))
        return rows

    def memory(self, cell: Cell, n: int, d: int) -> Row:
        """Return a row with the peak alone."""
        peak_mb, _ = peak(*cell, n, d, self.device, self.dtype)
        return self._row(cell, {"n": n, "d": d, "peak_mb": peak_mb, "note": "memory alone"})

    def _peak(self, cell: Cell, n: int, d: int) -> tuple[float, float] | None:
        """Return MiB and seconds of a step, or None where it takes too much of either."""
        try:
            return peak(*cell, n, d, self.device, self.dtype)
        except TooMuchError as error:
            self.given_up[cell] = f"left out: {error} at N = {n}"
            return None

    def _turns(self, n: int, seconds: dict[Cell, float]) -> dict[Cell, list[float]]:
        """Return the times of every variant; `seconds` says roughly what a step takes."""
        given = {cell: (VARIANTS[cell], *inputs(cell[0], n, WIDTH, self.device, self.dtype)) for cell in seconds}
        z = embeddings(n, WIDTH).to(self.device, self.dtype)
        times: dict[Cell, list[float]] = {cell: [] for cell in [PRODUCTS, *seconds]}
        most = {cell: min(MOST, max(FEWEST, int(BUDGET_S[self.device] / s))) for cell, s in seconds.items()}
        for turn in range(-1, max(most.values(), default=FEWEST)):  # turn -1 loads what a first call loads
            times[PRODUCTS].append(clock(products, z))
            for cell in _order(list(given), n, turn):
                loss, *data = given[cell]
                if turn < most[cell] and (turn >= 0 or seconds[cell] < 1.0):
                    times[cell].append(step(loss, *data)[2])
            if turn == -1:
                times = {cell: [] for cell in times}
        return times

    def _row(self, cell: Cell, found: dict[str, object]) -> Row:
        """Return the row as text, and print it."""
        gpu = self.device != "cpu"
        name = torch.cuda.get_device_name(self.device) if gpu else f"{platform.machine()}, {os.cpu_count()} cores"
        about = {"date": date.today().isoformat(), "torch": torch.__version__, "threads": torch.get_num_threads()}
        about |= {"machine": name, "device": self.device, "dtype": str(self.dtype).removeprefix("torch.")}
        about |= {"version": _version(cell[1]), "loss": cell[0], "variant": cell[1], **found}
        row = {key: f"{x:.4g}" if isinstance(x := about.get(key, ""), float) else str(x) for key in FIELDS}
        print(" ".join(f"{row[key]:>{width}}" for key, width in SHOWN.items()), flush=True)
        return row


def _order(cells: list[Cell], n: int, turn: int) -> list[Cell]:
    """Return the cells in another order each turn: the one before leaves its caches and its heap to the next."""
    return [cells[i] for i in torch.randperm(len(cells), generator=generator("bench", "order", n, turn + 1)).tolist()]


def write(path: Path, rows: list[Row]) -> None:
    """Write the rows; those of other devices, types, sizes and variants stay in the file, each with its date."""
    kept: list[Row] = []
    if path.exists():
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames == FIELDS:  # else of an older form, which nothing reads
                kept = [row for row in reader if _place(row) not in {_place(new) for new in rows}]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *rows], key=lambda row: (row["device"], row["dtype"], int(row["n"]))))


def main() -> int:
    """Measure, print and write; return 1 if a bar is missed."""
    given = _arguments()
    cells = [c for c in VARIANTS if _wanted(c[0], given.losses) and _wanted(c[1], given.variants)]
    bench = Bench(cells, given.device, getattr(torch, given.dtype))
    sizes = given.sizes or SIZES[given.device]
    print(" ".join(f"{name:>{width}}" for name, width in SHOWN.items()))
    out = given.out or (None if given.sizes or given.losses or given.variants else OUT)
    rows: list[Row] = []
    if given.device == "cpu" and NARROW[0] in sizes:
        rows += [bench.memory((loss, "isotone"), *NARROW) for loss in RNC if (loss, "isotone") in cells]
    for n in sizes:
        rows += bench.size(n)
        if out:
            write(out, rows)  # after each size: a run that is cut short has its rows
    found = bars(rows)
    print(*found, sep="\n")
    return 0 if all(bar.holds for bar in found) else 1


# ----------------------------------------------------------------------------------------------------------------------


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=SIZES)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--sizes", type=int, nargs="+", help="N, multiples of 8; default: all")
    parser.add_argument("--losses", nargs="+", choices=sorted({loss for loss, _ in VARIANTS}), help="default: all")
    parser.add_argument("--variants", nargs="+", choices=sorted({name for _, name in VARIANTS}), help="default: all")
    parser.add_argument("--out", type=Path, help="default: bench/losses.csv where all is measured, else nowhere")
    return parser.parse_args()


def _wanted(name: str, names: Iterable[str] | None) -> bool:
    return not names or name in names


def _version(variant: str) -> str:
    try:
        return version(variant)
    except PackageNotFoundError:  # no package, or isotone from its source
        return ""


def _place(row: Row) -> tuple[str, ...]:
    return tuple(row[key] for key in ("device", "dtype", "n", "d", "loss", "variant"))


if __name__ == "__main__":
    sys.exit(main())
