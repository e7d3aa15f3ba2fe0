"""What studies read from their flags."""

import pytest

from isotone.errors import ConfigError
from isotone.studies.flags import numbers, plain, whole, words


def test_texts_become_values() -> None:
    assert numbers("shares", "0.25, 1,") == (0.25, 1.0)
    assert words("arms", "baseline,rnc lr=1") == ("baseline", "rnc lr=1")
    assert whole("seeds", "3") == 3
    assert plain("same", "steps") == "steps"


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        numbers("shares", "a,b")
    assert str(caught.value) == "`shares` must be numbers with commas between them, got 'a,b'."
    with pytest.raises(ConfigError) as caught:
        whole("seeds", "2.5")
    assert str(caught.value) == "`seeds` must be a whole number, got '2.5'."
