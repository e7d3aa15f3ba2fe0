"""The label-noise study: four encoders a share of noise, judged with right labels; finished runs are not made again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from isotone import finish
from isotone.api import fit
from isotone.errors import ConfigError
from isotone.studies.label_noise import KINDS, Cell, _answer, _judging_data, label_noise

SETTINGS = {"category": "digit", "passes": 2, "batch_size": 32, "image_size": 16, "encoder": "small-cnn"}


def _table(folder: Path, rows: int = 150) -> Path:
    found = load_digits()
    for i in range(rows):
        Image.fromarray((np.kron(found.images[i], np.ones((2, 2))) * (255 / 16)).astype(np.uint8)).save(
            folder / f"{i}.png"
        )
    lines = [f"{i}.png,d{found.target[i]}" for i in range(rows)]
    (folder / "t.csv").write_text("\n".join(["image,digit", *lines]) + "\n")
    return folder / "t.csv"


def test_every_cell_is_trained_judged_and_shown_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(finish, "write_report", lambda folder: None)  # of each run: it costs more than all the rest
    table, out = _table(tmp_path), tmp_path / "study"
    page = label_noise(table, out=out, noise=(0.0, 0.5), clusters=12, quiet=True, command="isotone study", **SETTINGS)
    found = pd.read_csv(out / "study.csv")
    assert list(found["arm"]) == [*KINDS, *KINDS]
    assert found["accuracy"].between(0, 1).all()
    assert found["accuracy"].mean() > 0.2  # ten digits: 0.1 by chance
    text = page.read_text()
    assert "Label noise" in text
    assert "<svg" in text
    assert all(arm in text for arm in KINDS)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/metrics.json")}
    assert len(before) == 8
    label_noise(table, out=out, noise=(0.0, 0.5), clusters=12, quiet=True, command="isotone study", **SETTINGS)
    with pytest.raises(ConfigError) as caught:
        label_noise(table, out=out, noise=(0.0,), clusters=12, quiet=True, **{**SETTINGS, "passes": 3})
    assert str(caught.value) == (
        f"{out / 'seed0-noise0-pretrained'} was made with passes 2, not 3. Choose another --out, or repeat the study "
        "with the settings it has."
    )
    rates = {(p.parent / "config.yaml").read_text().split("\nlr: ")[1].split("\n")[0] for p in before}
    assert rates == {"0.2"}
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/metrics.json")} == before
    assert page.read_text() == text


def test_a_share_of_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        label_noise(tmp_path / "t.csv", out=tmp_path / "s", noise=(1.0,), category="digit")
    assert str(caught.value) == "`noise` must be between 0 and 0.99, got 1."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"category": "digit", "label_noise": 0.2},
            "the study sets `label_noise` itself. Leave it out; --noise says what is studied.",
        ),
        ({"category": "digit", "seed": 7}, "the study sets `seed` itself. Leave it out; --seeds says what is studied."),
        ({"target": ["digit"]}, "the study replaces classes. Name the column that holds them: --category."),
    ],
)
def test_what_the_study_sets_itself_is_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        label_noise(tmp_path / "t.csv", out=tmp_path / "s", **settings)
    assert str(caught.value) == message


def test_each_seed_is_judged_on_the_rows_that_its_runs_kept_for_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = _table(tmp_path, 60)
    for seed in (0, 1):
        judge = _judging_data(table, SETTINGS, seed)
        run = fit(
            table, method="baseline", out=tmp_path / f"r{seed}", seed=seed, quiet=True, label_noise=0.5, **SETTINGS
        )
        kept = pd.read_csv(run.folder / "predictions.csv")
        assert kept["split"].tolist() == judge.split.tolist()


def test_a_cell_has_a_folder_of_its_own() -> None:
    assert Cell(2, 0.25, "twice as long").folder == "seed2-noise25-twice-as-long"


def test_the_answer_counts_seeds_and_shows_the_control() -> None:
    found = {
        ("pretrained", 0.5): (0.40, 0.50),
        ("clusterfit", 0.5): (0.46, 0.48),
        ("twice as long", 0.5): (0.41, 0.50),
    }
    lead, line = _answer(found, (0.5,))
    assert lead == "ClusterFit transfers better than plain pretraining at 50 % wrong labels."
    assert line == "50 % wrong: ClusterFit +2.0 points (1 of 2 seeds), twice as long +0.5 points."
    clean = {(arm, 0.0): (0.6, 0.6) for arm in KINDS}
    assert _answer({**found, **clean}, (0.0, 0.5))[1] == (
        f"{line} Against 0 % wrong ClusterFit lost 13.0 points, pretraining 15.0."
    )
    worse = {**found, ("clusterfit", 0.5): (0.3, 0.3)}
    assert _answer(worse, (0.5,))[0] == (
        "ClusterFit transfers no better than plain pretraining at any share of wrong labels."
    )
