"""The shares of positives that are tried, by name."""

from pathlib import Path

import pytest

from isotone.studies import positives as module


def test_each_share_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(module, "ablate", lambda about, values, table, **rest: asked.update(values) or Path("p"))
    module.positives("t.csv", out="s", shares=(0.25, 1.0))
    assert asked == {"25 %": {"positives": 0.25}, "100 %": {"positives": 1.0}}
