"""Robustness: every arm on the same corrupted images, the growth of the gap in words; and `evaluate --corruptions`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from isotone.cli.evaluate import run as evaluate
from isotone.errors import ConfigError
from isotone.studies.robustness import interval_words, robustness, unit_of

SETTINGS = {"target": ["light"], "passes": 2, "image_size": 32, "encoder": "small-cnn", "head_epochs": 3}


def _table(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    light = draw.integers(40, 200, 60)
    for i, level in enumerate(light):
        Image.fromarray(np.clip(draw.normal(level, 20, (32, 32)), 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    pd.DataFrame({"image": [f"{i}.png" for i in range(60)], "light": light}).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def test_words() -> None:
    assert unit_of(("mm",)) == "mm"
    assert unit_of(("x", "y")) == "standard deviations"
    assert interval_words(1).endswith("of one seed alone.")
    assert interval_words(3).endswith("and the 3 seeds.")


@pytest.mark.slow
def test_the_study_and_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagecorruptions", reason="the extra `corruptions` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "s"
    page = robustness(_table(tmp_path), out=out, corruptions=("contrast", "fog"), quiet=True, **SETTINGS)
    text, found = page.read_text(), pd.read_csv(out / "study.csv")
    assert sorted(set(found["severity"])) == [0, 1, 2, 3, 4, 5]
    assert len(found) == 6 * 2 * 2
    assert pd.read_csv(out / "corruptions.csv")["corruption"].unique().tolist() == ["contrast", "fog"]
    for part in ("From clean images to severity 5, ", "Clean images: rnc ", "figure 4", "<svg", "By corruption"):
        assert part in text
    capsys.readouterr()
    assert evaluate([str(out / "seed0-rnc"), "--corruptions"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("test error, MAE (light), by severity; clean images: ")
    assert "glass_blur" in said
    assert len(pd.read_csv(out / "seed0-rnc" / "corruptions.csv")) == 6 + 19 * 5


def test_what_cannot_be_judged_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table, rows = _table(tmp_path), tmp_path / "rows.csv"
    pd.DataFrame({"a": np.arange(60.0), "light": np.arange(60.0)}).to_csv(rows, index=False)
    with pytest.raises(ConfigError, match=r"there is no corruption 'fogg'; .* Did you mean 'fog'\?$"):
        robustness(table, out=tmp_path / "s", corruptions=("fogg",), quiet=True, **SETTINGS)
    with pytest.raises(ConfigError, match=r"^corruptions are of images, and rows.csv holds rows\.$"):
        robustness(rows, out=tmp_path / "s", quiet=True, target=["light"], features=["a"], passes=2)
    assert not (tmp_path / "s").exists()


def test_corruptions_alone_take_no_other_labels() -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate(["runs/a", "--corruptions", "--target", "y"])
    assert str(caught.value) == (
        "--corruptions judges the run on its own test images and takes no --target. Leave it out."
    )
