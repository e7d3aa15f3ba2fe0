"""The Python verbs on arrays: fit, load, predict, embed, an encoder of one's own, resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

import isotone
from isotone.errors import ConfigError

ROWS, Y = load_diabetes(return_X_y=True)
ROWS, Y = ROWS[:120].astype(np.float32), Y[:120]
FAST = {"passes": 4, "batch_size": 32, "quiet": True, "device": "cpu"}


def test_rows_of_numbers(tmp_path: Path) -> None:
    run = isotone.fit((ROWS, Y), out=tmp_path / "run", target="progression", **FAST)
    assert run.model.encoder_name == "mlp"
    assert run.predict(ROWS).shape == (120,)
    assert run.embed(ROWS).shape == (120, 256)
    again = isotone.load(tmp_path / "run")
    assert np.array_equal(again.predict(ROWS), run.predict(ROWS))
    assert {row["target"] for row in run.metrics["rows"]} == {"progression"}
    assert run.report().stat().st_size > 10_000


def test_several_targets(tmp_path: Path) -> None:
    run = isotone.fit((ROWS, np.stack([Y, -Y], 1)), out=tmp_path / "run", method="baseline", head="huber", **FAST)
    assert run.predict(ROWS).shape == (120, 2)


def test_an_encoder_of_ones_own(tmp_path: Path) -> None:
    images = (load_digits().images[:80] * 15).astype(np.uint8)

    def encoder() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU())

    y = images.mean((1, 2))
    run = isotone.fit((images, y), encoder=encoder(), out=tmp_path / "run", **FAST)
    again = isotone.load(tmp_path / "run", encoder=encoder())
    assert np.array_equal(again.predict(images), run.predict(images))
    with pytest.raises(ConfigError, match="pass it as load"):
        isotone.load(tmp_path / "run")


def test_an_encoder_that_does_not_pool_is_named(tmp_path: Path) -> None:
    images = np.zeros((40, 8, 8), np.uint8)
    with pytest.raises(ConfigError) as caught:
        isotone.fit((images, np.arange(40)), encoder=nn.Conv2d(1, 2, 3), out=tmp_path / "run", **FAST)
    assert str(caught.value) == (
        "your encoder must map (2, 1, 8, 8) to (2, width), it gave (2, 2, 6, 6). Pool and flatten at its end."
    )


def test_arrays_are_needed_again_to_resume(tmp_path: Path) -> None:
    run = isotone.fit((ROWS, Y), out=tmp_path / "run", **FAST)
    with pytest.raises(ConfigError) as caught:
        isotone.resume(run.folder)
    assert str(caught.value) == (
        f"{run.folder} was made from arrays: go on in Python with isotone.resume('{run.folder}', (X, y))."
    )
    with pytest.raises(ConfigError, match="the data are not those"):
        isotone.resume(run.folder, (ROWS + 1, Y), quiet=True)
    assert np.array_equal(isotone.resume(run.folder, (ROWS, Y), quiet=True).predict(ROWS), run.predict(ROWS))


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    groups = np.arange(120) // 5
    run = isotone.fit((ROWS, Y), groups=groups, out=tmp_path / "run", **FAST)
    import pandas as pd

    kept = pd.read_csv(run.folder / "predictions.csv")
    assert kept.groupby("group")["split"].nunique().max() == 1


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        isotone.fit((ROWS, Y), temprature=1.0, out=tmp_path / "run")
    assert str(caught.value) == "there is no setting 'temprature' for method 'rnc'. Did you mean 'temperature'?"


def test_no_socket_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*words: object, **named: object) -> None:
        raise AssertionError("a network connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    isotone.fit((ROWS, Y), out=tmp_path / "run", **FAST)


def test_image_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 80, 80), dtype=np.uint8)  # above the default image_size
    run = isotone.fit((images, images.mean((1, 2))), out=tmp_path / "run", **FAST)
    assert run.model.shape == (1, 80, 80)
    assert run.predict(images[:3]).shape == (3,)


def test_a_second_run_may_have_another_precision(tmp_path: Path) -> None:
    isotone.fit((ROWS, Y), out=tmp_path / "a", **FAST)
    isotone.fit((ROWS, Y), out=tmp_path / "b", precision="bf16", **FAST)


def test_an_encoder_of_ones_own_is_asked_for_when_a_run_goes_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = isotone.fit((ROWS, Y), encoder=nn.Linear(10, 4), out=tmp_path / "run", **FAST)
    with pytest.raises(ConfigError) as caught:
        isotone.resume(run.folder, (ROWS, Y))
    assert str(caught.value) == (
        f"{run.folder} was made with an encoder of your own: pass a fresh one, resume(run, encoder=module)."
    )


def test_the_first_name_of_rnc_is_rnc(tmp_path: Path) -> None:
    run = isotone.fit((ROWS, Y), method="supcr", out=tmp_path / "run", **FAST)
    assert run.settings.name == "rnc"
    assert run.metrics["rows"][0]["model"] == "rnc, l1 head"


def test_groups_on_both_sides_of_a_given_split_are_noted(tmp_path: Path) -> None:
    import json

    split = np.array(["train", "val", "test"] * 40)
    run = isotone.fit((ROWS, Y), groups=np.arange(120) // 6, split=split, out=tmp_path / "run", **FAST)
    noted = json.loads((run.folder / "data.json").read_text())["warnings"]
    assert noted == ["20 groups are in training and in the test: expect larger errors on new groups"]


def test_text_is_classes_and_a_stopped_run_of_them_goes_on(tmp_path: Path) -> None:
    words = np.where(np.median(Y) < Y, "high", "low")
    run = isotone.fit((ROWS, words), method="baseline", out=tmp_path / "run", **FAST)
    assert set(run.predict(ROWS[:9])) <= {"high", "low"}
    assert run.metrics["rows"][0]["target"] == "category"
    assert np.array_equal(isotone.resume(run.folder, (ROWS, words), quiet=True).predict(ROWS), run.predict(ROWS))
    with pytest.raises(ConfigError, match="the data are not those"):
        isotone.resume(run.folder, (ROWS, words[::-1]), quiet=True)


def test_whole_numbers_are_targets_unless_they_are_called_classes(tmp_path: Path) -> None:
    third = (np.arange(120) % 3).astype(np.int64)
    with pytest.raises(ConfigError) as caught:
        isotone.fit((ROWS, third), category=True, out=tmp_path / "run", **FAST)
    assert str(caught.value) == (
        "RnC needs a `target`, but data set `arrays` has classes only. Use --method supcon or baseline, or name a "
        "--target."
    )
    assert not (tmp_path / "run").exists()
    run = isotone.fit((ROWS, third), out=tmp_path / "run", **FAST)
    assert run.metrics["task"] == "numbers"


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            (ROWS, Y, Y),
            {},
            "data must be the path of a table, two arrays (X, y), or X alone where there are no labels, got tuple.",
        ),
        (
            (ROWS, Y),
            {"group": "person"},
            "`group` and `split_column` name columns of a table; for arrays pass groups= and split=.",
        ),
        (
            (ROWS, Y),
            {"sequence": "track"},
            "for arrays, `sequence` is an array of one entry for each row, not the name of a column.",
        ),
        ("labels.csv", {"category": True}, "for a table, `category` is the name of a column: category='...'."),
        (
            "labels.csv",
            {"groups": Y, "target": "age"},
            "`groups` and `split` go with arrays; for a table name the columns: group=, split_column=.",
        ),
    ],
)
def test_wrong_calls_are_named(
    data: object, settings: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("image,age\na.png,1\n")
    with pytest.raises(ConfigError) as caught:
        isotone.fit(data, out=tmp_path / "run", **settings, **FAST)  # type: ignore[arg-type]
    assert str(caught.value) == message
