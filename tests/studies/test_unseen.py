"""Unseen targets: ranges, what is left out of which side, and the study."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies.conftest import SETTINGS

from isotone.errors import ConfigError
from isotone.studies.unseen import Range, unseen


def test_ranges_in_percent_and_in_the_targets_unit() -> None:
    train, target = np.arange(101.0), np.array([-5.0, 10.0, 50.0, 95.0, 140.0])
    assert Range.read("40:60%").inside(target, train).tolist() == [False, False, True, False, False]
    assert Range.read("80:100%").inside(target, train).tolist() == [False, False, False, True, True]  # to the end
    assert Range.read("0:10%+40:60%").inside(target, train).tolist() == [True, True, True, False, False]
    assert Range.read("90:100").inside(target, train).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("text", ["40-60", "60:40%", "40:60%+1:2", "a:b", "1:2:3", ""])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Range.read(text)
    assert str(caught.value) == (
        f"`remove` must be ranges such as 40:60% or 20:35, several at once with +, got {text!r}."
    )


def test_a_range_that_leaves_nothing_is_refused(table: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        unseen(table, out=table.parent / "s", remove=("100:200",), quiet=True, **SETTINGS)
    assert str(caught.value) == (
        "without 100:200 there are 84 training and 18 validation rows, and 0 test rows inside and 18 outside; 8, 8, 2 "
        "and 2 are needed. Choose another range: --remove."
    )


@pytest.mark.slow
def test_nothing_inside_is_trained_on(table: Path) -> None:
    out = table.parent / "s"
    page = unseen(table, out=out, remove=("40:60%",), quiet=True, **SETTINGS)
    part = pd.read_csv(next((out / "tables").glob("*.csv")))
    kept = {side: part["y"][part["isotone_split"] == side] for side in ("train", "val", "test")}
    low, high = kept["train"][kept["train"] < 0].max(), kept["train"][kept["train"] > 0].min()
    assert not ((kept["val"] > low) & (kept["val"] < high)).any()
    inside = ((kept["test"] > low) & (kept["test"] < high)).sum()
    found = pd.read_csv(out / "study.csv")
    assert set(found["n"]) == {inside}
    assert set(pd.read_csv(out / "outside.csv")["n"]) == {len(kept["test"]) - inside}
    text = page.read_text()
    assert "Never shown 40:60%: rnc" in text
    beside = pd.read_csv(out / "constants.csv").query("seed == '0'").set_index("arm")["error"]
    truth = kept["test"][(kept["test"] > low) & (kept["test"] < high)]
    for name, value in (("median", kept["train"].median()), ("mean", kept["train"].mean())):
        assert beside[name] == pytest.approx((truth - value).abs().mean(), rel=1e-5)
    assert beside["rnc"] == pytest.approx(found.query("seed == '0' and arm == 'rnc'")["error"].item())
    best = beside[["median", "mean"]].idxmin()
    below = [arm for arm in ("baseline", "rnc") if beside[arm] < beside[best]]
    assert f"Answering 40:60% with the {best} of the targets shown has an error of" in text
    assert (f"below that in the mean: {', '.join(below)}" if below else "no arm is below that in the mean") in text
