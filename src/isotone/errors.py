"""One family of errors; a user's mistake raises one that says what was expected, what came and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class IsotoneError(ValueError):
    """Base of every error that isotone raises on purpose; also a `ValueError`, so that generic handlers catch it."""

    exit_code = 2  # the command line's status: 2 = the user's input is at fault


class ConfigError(IsotoneError):
    """A setting, a name or a combination of them is wrong; the message names the nearest valid one."""


class ShapeError(IsotoneError):
    """A tensor or array has the wrong shape, type or content."""


class CheckpointError(IsotoneError):
    """A checkpoint or a run folder cannot be written, or cannot be read back as it was written."""

    exit_code = 1


class DivergenceError(IsotoneError):
    """Training produced NaN or infinity; the message names the step, the samples and the last finite checkpoint."""

    exit_code = 1


class StoppedError(IsotoneError):
    """The run was asked to stop (Ctrl-C, SIGTERM) and saved itself; the message is the command that goes on."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One fault of the user's data, with its place and its repair.

    Args:
        kind: short stable name, such as `missing-file` or `target-text`.
        what: what is wrong, with the value that came.
        fix: what the user can do about it.
        row: line of the table as an editor shows it (header = 1), or None where the whole table is meant.
        column: name of the column, or None.
        file: the file that is meant, or None.
        fatal: False for a warning, which never stops a run.
    """

    kind: str
    what: str
    fix: str
    row: int | None = None
    column: str | None = None
    file: str | None = None
    fatal: bool = True

    def __str__(self) -> str:
        place = [f"line {self.row}" if self.row is not None else "", f"column {self.column!r}" if self.column else ""]
        place += [self.file or ""]
        return f"{', '.join(part for part in place if part) or 'table'}: {self.what}. {self.fix}."


class DataError(IsotoneError):
    """The user's data cannot be used; carries every problem found in the one pass, not only the first."""

    def __init__(self, problems: str | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, problems)))


def nearest(name: str, options: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the option closest to `name`, or an empty text where nothing is close."""
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
