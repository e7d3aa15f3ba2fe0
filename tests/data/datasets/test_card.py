"""Every card is complete and says how its set is split."""

import pytest

from isotone.data.datasets import DATASETS, reader


@pytest.mark.parametrize("name", DATASETS)
def test_cards_are_complete(name: str) -> None:
    card = reader(name).CARD
    assert card.name == name
    for field in ("title", "inputs", "target", "group", "source", "licence", "obtain", "counts", "layout", "traps"):
        assert getattr(card, field), field
    text = str(card)
    assert f"use       isotone fit --dataset {name} --root FOLDER" in text
    assert ("--split dir" in text) == (name in ("agedb", "imdb-wiki"))
    assert "--split drawn     by " in text


def test_a_checksum_is_shown_where_one_is_known() -> None:
    assert "  checksum  agedb.csv" in str(reader("agedb").CARD)
    assert "  checksum" not in str(reader("skyfinder").CARD)
