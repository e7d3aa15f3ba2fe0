"""One line that says where the run is, when it will be done and how long it waits for data."""

import sys
import time
from typing import TextIO


class Progress:
    """Writes the state of a run: rewritten in place on a terminal, about ten lines in a file.

    Args:
        total: steps of the whole run.
        done: steps that were done before this process.
        stream: where to; None is silent.
        name: what runs, at the line's start.
    """

    def __init__(
        self, total: int, *, done: int = 0, stream: TextIO | None = sys.stderr, name: str = "training"
    ) -> None:
        self.total, self.start, self.done, self.name = total, done, done, name
        self.stream = stream
        self.began, self.waited, self.shown = time.monotonic(), 0.0, 0.0
        self.tenth = 10 * done // max(1, total)

    @property
    def wait_share(self) -> float:
        """Share of the time so far that was spent waiting for data, 0 to 1."""
        return self.waited / max(1e-9, time.monotonic() - self.began)

    def eta_s(self) -> float:
        """Return the seconds that are left at the speed so far."""
        here = self.done - self.start
        return (time.monotonic() - self.began) / here * (self.total - self.done) if here else float("nan")

    def update(self, done: int, text: str) -> None:
        """Say that `done` steps are done, with a short text such as the loss."""
        self.done = done
        if self.stream is None:
            return
        if self.stream.isatty():
            if done < self.total and time.monotonic() - self.shown < 0.1:
                return
            self.shown = time.monotonic()
            self.stream.write(f"\r\x1b[K{self._line(text)}" + ("\n" if done >= self.total else ""))
        elif 10 * done // self.total > self.tenth:
            self.tenth = 10 * done // self.total
            self.stream.write(self._line(text) + "\n")
        self.stream.flush()

    def _line(self, text: str) -> str:
        left = duration(self.eta_s())
        return (
            f"{self.name} {100 * self.done // self.total:3d} % · step {self.done}/{self.total} · {text} · "
            f"{left} left · {100 * self.wait_share:.0f} % waiting for data"
        )


def duration(seconds: float) -> str:
    """Return a time as people say it; `?` where it is not known.

    Example:
        >>> duration(7.2), duration(200.0), duration(9000.0)
        ('7 s', '3 min', '2.5 h')
    """
    if seconds != seconds:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
