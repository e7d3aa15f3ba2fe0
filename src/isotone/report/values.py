"""Plain values from a run's files: printable texts, numbers that may be undefined, counts and intervals."""

import unicodedata
from collections.abc import Mapping
from typing import cast

from isotone.report.contents import Interval

LONGEST_TEXT = 160  # one file name or label; a command or a setting may be longer
LONGEST_VALUE = 2000


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    r"""Make any user text printable: no control characters (an SVG may hold none), no half characters, not too long.

    Example:
        >>> text("a\tb\x00"), text("abcdef", 3)
        ('a b�', 'ab…')
    """
    whole = str(value).encode("utf-8", "replace").decode("utf-8")
    whole = "".join(" " if c in "\t\r\n" else "\ufffd" if unicodedata.category(c) == "Cc" else c for c in whole)
    return whole if len(whole) <= longest else whole[: longest - 1] + "…"


def number(value: object) -> float:
    """Return a float; null and missing stand for a number that is not defined.

    Example:
        >>> number(2), number(None)
        (2.0, nan)
    """
    return float("nan") if value is None else float(cast(float, value))


def count(value: object) -> int:
    """Return a whole number; null and missing are 0.

    Example:
        >>> count(2.0), count(None)
        (2, 0)
    """
    return int(number(value or 0))


def interval(raw: object) -> Interval:
    """Return a score with its bounds; null, missing and half an interval leave NaN.

    Example:
        >>> interval({"value": 0.5, "low": None})
        Interval(value=0.5, low=nan, high=nan)
    """
    given = cast(Mapping[str, object], raw or {})
    return Interval(number(given.get("value")), number(given.get("low")), number(given.get("high")))


def rows(raw: object) -> list[Mapping[str, object]]:
    """Return a list of named values; null and missing are an empty one.

    Example:
        >>> rows(None)
        []
    """
    return cast(list[Mapping[str, object]], raw or [])


def shortened(whole: str, longest: int) -> str:
    """Return a text for a narrow place, its end cut off where it is too long.

    Example:
        >>> shortened("brightness", 7)
        'bright…'
    """
    return whole if len(whole) <= longest else whole[: longest - 1] + "…"


def squeezed(whole: str, longest: int) -> str:
    """Return a text for a narrow place, its middle cut out where it is too long: names often differ at their end.

    Example:
        >>> squeezed("sensor on mast 12", 11)
        'senso…st 12'
    """
    if len(whole) <= longest:
        return whole
    return whole[: longest // 2] + "…" + whole[len(whole) - (longest - 1 - longest // 2) :]
