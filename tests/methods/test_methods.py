"""The list of methods; what each of them must do is in tests/contract/test_methods.py."""

import re
from pathlib import Path

import pytest

from isotone import candidates, losses, relations
from isotone.core import rows as core_rows
from isotone.errors import ConfigError
from isotone.losses import bank
from isotone.methods import ALIASES, METHODS, method_class


def test_the_first_name_of_rnc_is_found() -> None:
    assert method_class("supcr") is METHODS["rnc"]
    assert set(ALIASES.values()) <= set(METHODS)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        method_class("basline")
    listed = ", ".join(METHODS)
    assert str(caught.value) == f"there is no method 'basline'; there are {listed}. Did you mean 'baseline'?"


def test_the_table_of_the_family_names_what_there_is() -> None:
    """Each method has its row, and what the row says in code is a name of the room that it is said to be from."""
    lines = (Path(__file__).parents[2] / "docs" / "methods.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    rows = [row for row in rows if len(row) == 6]  # the table of the heads has fewer columns
    assert sorted(row[0].strip("`") for row in rows) == sorted(METHODS)
    for name, _, relation, others, loss, needs in rows:
        method = method_class(name.strip("`"))
        assert needs == (", ".join(method.needs) or "-")
        rooms = {relation: (relations,), others: (candidates,), loss: (losses, bank, core_rows)}
        for cell, places in rooms.items():
            for word in re.findall(r"`(\w+)`", cell):
                assert any(hasattr(place, word) for place in places), f"{name}: there is no {word}"
