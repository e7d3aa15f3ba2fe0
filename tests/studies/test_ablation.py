"""What the ablation studies share: all values are checked before anything is trained, then judged on the same rows."""

from pathlib import Path

import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.errors import ConfigError
from isotone.studies.temperature import temperature


def test_every_value_is_checked_first(table: Path) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        temperature(table, out=table.parent / "s", temperatures=(2.0, -1.0), quiet=True, **SETTINGS)
    assert not (table.parent / "s").exists()
    with pytest.raises(ConfigError) as caught:
        temperature(table, out=table.parent / "s", method="baseline", temperatures=(2.0,), quiet=True, **SETTINGS)
    assert str(caught.value) == "there is no setting 'temperature' for method 'baseline'. Did you mean 'features'?"


@pytest.mark.slow
def test_the_last_value_is_the_reference(table: Path) -> None:
    page = temperature(table, out=table.parent / "s", temperatures=(0.5, 2.0), quiet=True, **SETTINGS)
    text = page.read_text()
    assert "The error is least at temperature" in text
    assert "less than at 2" in text
    assert pd.read_csv(table.parent / "s" / "study.csv")["arm"].tolist() == [2, 2, 0.5, 0.5]
