"""Cells that a spreadsheet would run."""

import pytest

from isotone.data.spreadsheet import neutral


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert neutral(text) == "'" + text


def test_other_text_stays() -> None:
    assert neutral("a=b.jpg") == "a=b.jpg"
    assert neutral("") == ""
