"""The similarities that are tried, each with its temperature."""

from pathlib import Path

import pytest

from isotone.errors import ConfigError
from isotone.studies import similarity as module


def test_each_similarity_has_its_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(module, "ablate", lambda about, values, table, **rest: asked.update(values) or Path("p"))
    module.similarity("t.csv", out="s", similarities=("cosine 0.1", "l2"))
    assert asked == {"cosine 0.1": {"similarity": "cosine", "temperature": 0.1}, "l2": {"similarity": "l2"}}


def test_a_temperature_that_is_none() -> None:
    with pytest.raises(ConfigError) as caught:
        module.similarity("t.csv", out="s", similarities=("cosine hot",))
    assert str(caught.value) == "`similarities (cosine hot)` must be numbers with commas between them, got 'hot'."
