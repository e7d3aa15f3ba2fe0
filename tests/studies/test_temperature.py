"""The temperatures that are tried, by name."""

from pathlib import Path

import pytest

from isotone.studies import temperature as module


def test_each_temperature_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(module, "ablate", lambda about, values, table, **rest: asked.update(values) or Path("p"))
    module.temperature("t.csv", out="s", temperatures=(0.5, 2.0))
    assert asked == {"0.5": {"temperature": 0.5}, "2": {"temperature": 2.0}}
