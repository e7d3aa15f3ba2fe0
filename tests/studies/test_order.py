"""Order: who tells the nuisance, and the study."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.errors import ConfigError
from isotone.studies.order import neighbours, order, order_by_row, split_names


def test_rows_of_frequent_names_are_split_in_three() -> None:
    name = np.array(["a"] * 12 + ["b"] * 8 + ["c"] * 7)
    found = split_names(name, seed=0)
    assert found is not None
    assert set(found.name) == {"a", "b"}  # c has fewer than 8 rows
    assert (name[found.rows] == found.name).all()
    assert [int((found.part[found.name == "a"] == part).sum()) for part in range(3)] == [6, 3, 3]
    assert split_names(name[:12], seed=0) is None


def test_clumps_tell_the_name_and_a_line_does_not() -> None:
    name = np.repeat(["a", "b"], 40)
    found = split_names(name, seed=0)
    assert found is not None
    noise = np.random.default_rng(0).normal(size=(80, 1))
    assert neighbours(np.where(name == "a", 10.0, -10.0)[:, None] + noise, found) == 1.0
    assert neighbours(noise, found) < 0.8


def test_the_order_of_a_row_is_its_rank_correlation() -> None:
    from scipy.stats import spearmanr

    draw = np.random.default_rng(0)
    h, y = draw.normal(size=(9, 3)), draw.normal(size=(9, 1))
    found = order_by_row(h, y)
    other = np.arange(9) != 4
    wanted = spearmanr(np.linalg.norm(h - h[4], axis=1)[other], np.abs(y - y[4])[other, 0])[0]
    assert found[4] == pytest.approx(wanted)
    assert order_by_row(np.ones((5, 2)), y[:5]).tolist() == [0.0] * 5


def test_a_nuisance_must_be_a_column(table: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        order(table, out=table.parent / "s", nuisance="camera", quiet=True, **SETTINGS)
    assert str(caught.value) == "t.csv has no column 'camera' (--nuisance)."


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", ["kind", None])
def test_the_study_maps_and_measures(table: Path, nuisance: str | None) -> None:
    page = order(table, out=table.parent / "s", nuisance=nuisance, quiet=True, **{**SETTINGS, "test_fraction": 0.3})
    found = pd.read_csv(table.parent / "s" / "study.csv")
    text = page.read_text()
    assert "Spearman" in text
    assert "<svg" in text
    if nuisance is None:  # three rows a group: nothing to probe
        assert found["arm"].tolist() == ["baseline", "rnc"]
        assert "No nuisance was probed" in text
    else:
        assert found["arm"].tolist() == ["baseline", "rnc", "target alone", "most frequent"]
        assert found["neighbours"].between(0, 1).all()
        assert "Neighbours in the representation tell kind" in text
