"""Plain values: what is missing is not defined, what cannot be printed is replaced."""

import math

import pytest

from isotone.report.contents import Interval
from isotone.report.values import count, interval, number, rows, shortened, squeezed, text


def test_texts_are_printable_and_not_too_long() -> None:
    assert text("a\x00b\nc\ud800") == "a\ufffdb c?"
    assert text("x" * 200) == "x" * 159 + "…"
    assert text("x" * 200, 200) == "x" * 200
    assert [shortened("abc", longest) for longest in (3, 2)] == ["abc", "a…"]
    assert [squeezed("class 42", longest) for longest in (8, 7, 6)] == ["class 42", "cla… 42", "cla…42"]


def test_what_is_missing_is_not_defined() -> None:
    assert math.isnan(number(None))
    assert (count(None), count(3.0)) == (0, 3)
    assert rows(None) == []
    assert interval({"value": 1, "low": 0, "high": 2}) == Interval(1.0, 0.0, 2.0)
    assert math.isnan(interval(None).value)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^could not convert string to float: 'many'$"):
        number("many")
