"""What the measured rows must hold: each bar, the number found, and whether it holds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Row = dict[str, str]
RNC = ("rnc-ages", "rnc-continuous")
FITTED_FROM = 1024  # rows: below, what does not grow with N flattens the curve
EXPONENT = 2.1
ERROR = 1e-5


@dataclass(frozen=True)
class Bar:
    """A number that was measured and the limit that it is held to."""

    what: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the number is on the right side of the limit."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def __str__(self) -> str:
        side = "at least" if self.at_least else "at most"
        return f"{'holds ' if self.holds else 'MISSED'}  {self.what}: {self.found:.3g}, {side} {self.limit:g}"


def bars(rows: Iterable[Row]) -> list[Bar]:
    """Return the bars that can be judged by these rows of one device; they are for float32."""
    table = {(r["loss"], r["variant"], int(r["n"]), int(r["d"])): r for r in rows if r["dtype"] == "float32"}
    gpu = any(row["device"] != "cpu" for row in table.values())
    found = [*_against_plain(table, {8192: 1.5} if gpu else {512: 1.5, 4096: 1.0})]
    if gpu:
        found += _peaks(table, 65536, 512, 4096.0)
    else:
        found += [*_against_published(table), *_against_peers(table), *_peaks(table, 16384, 256, 600.0)]
    return [*found, *_exponents(table), *_errors(table)]


# ----------------------------------------------------------------------------------------------------------------------

Table = dict[tuple[str, str, int, int], Row]


def _number(table: Table, key: tuple[str, str, int, int], name: str) -> float | None:
    """Return a measured number; infinity where isotone was left out for want of time or memory; None without a row."""
    row = table.get(key)
    if row is None or (not row[name] and (key[1] != "isotone" or "left out" not in row["note"])):
        return None
    return float(row[name] or "inf")


def _ms(table: Table, loss: str, variant: str, n: int, d: int = 512) -> float | None:
    return _number(table, (loss, variant, n, d), "ms")


def _against_plain(table: Table, limits: dict[int, float]) -> Iterable[Bar]:
    for n, limit in limits.items():
        plain = _ms(table, "info_nce", "plain torch", n)
        for loss in RNC:
            ours = _ms(table, loss, "isotone", n)
            if ours and plain:
                yield Bar(f"time of {loss} / plain InfoNCE at N = {n}", ours / plain, limit)


def _against_published(table: Table) -> Iterable[Bar]:
    ours, theirs = [_ms(table, "rnc-ages", variant, 512) for variant in ("isotone", "published")]
    if ours and theirs:
        yield Bar("published form / rnc-ages at N = 512", theirs / ours, 200.0, at_least=True)


def _against_peers(table: Table) -> Iterable[Bar]:
    for loss in ("supcon", "info_nce"):
        for n in sorted({n for name, _, n, _ in table if name == loss}):
            peers = {v: _ms(table, loss, v, n) for name, v, rows, _ in table if (name, rows) == (loss, n)}
            ours = peers.pop("isotone", None)
            fastest = min((ms, v) for v, ms in peers.items() if ms) if any(peers.values()) else None
            if ours and fastest:
                yield Bar(f"time of {loss} / {fastest[1]}, the fastest peer, at N = {n}", ours / fastest[0], 1.0)


def _peaks(table: Table, n: int, d: int, limit: float) -> Iterable[Bar]:
    for loss in RNC:
        found = _number(table, (loss, "isotone", n, d), "peak_mb")
        if found is not None:
            yield Bar(f"peak of {loss} at N = {n}, D = {d}, MiB", found, limit)


def _exponents(table: Table) -> Iterable[Bar]:
    # triplet is not held to it: it sorts each anchor's negatives, N^2 log N
    for loss in sorted({key[0] for key in table if key[1] == "isotone"} - {"triplet"}):
        times = {n: _ms(table, loss, "isotone", n) for name, v, n, d in table if (name, v, d) == (loss, "isotone", 512)}
        points = [(math.log(n), math.log(ms)) for n, ms in times.items() if ms and ms < math.inf and n >= FITTED_FROM]
        if len(points) >= 3:
            yield Bar(f"exponent of N in the time of {loss}", _slope(points), EXPONENT)


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the straight line through the points, by least squares."""
    x, y = [sum(values) / len(points) for values in zip(*points, strict=True)]
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def _errors(table: Table) -> Iterable[Bar]:
    worst: dict[str, float] = {}
    for (loss, variant, _, _), row in table.items():
        if variant == "isotone" and row["value_error"]:
            worst[loss] = max(worst.get(loss, 0.0), float(row["value_error"]), float(row["gradient_error"]))
    for loss, error in worst.items():
        yield Bar(f"largest error of {loss}, value and gradient", error, ERROR)
