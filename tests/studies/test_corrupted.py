"""Errors on corrupted images: the same pixels for every run, kept in the run's folder, done once."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isotone.data.corrupt import CORRUPTIONS
from isotone.errors import ConfigError
from isotone.folder import write_json
from isotone.records import Dataset
from isotone.studies.corrupted import KEPT, corrupted_errors, corruption_table, run_data

pytest.importorskip("imagecorruptions", reason="the extra `corruptions` is not installed")
NAMES = ("contrast", "gaussian_noise")


class _Brightness:
    """Predicts the mean of an image's pixels, which is its target."""

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        return images.reshape(len(images), -1).mean(axis=1, keepdims=True)

    def answers(self, h: np.ndarray) -> np.ndarray:
        return h


def _data(n: int = 12, kind: str = "image") -> Dataset:
    images = np.random.default_rng(0).integers(0, 120, (n, 32, 32, 1), dtype=np.uint8)
    target = images.reshape(n, -1).mean(axis=1, keepdims=True)
    split = np.where(np.arange(n) < 4, "train", "test")
    group = np.array([f"g{i // 2}" for i in range(n)])
    return Dataset("t", kind, images, target, ("y",), split, group, np.arange(n), group, "g", fingerprint="f")  # type: ignore[arg-type]


def _run(folder: Path, fingerprint: str = "f") -> Any:
    folder.mkdir()
    write_json(folder / "data.json", {"fingerprint": fingerprint})
    return SimpleNamespace(folder=folder, model=_Brightness())


def test_the_errors_are_kept_and_not_computed_again(tmp_path: Path) -> None:
    data, runs = _data(), [_run(tmp_path / "a"), _run(tmp_path / "b")]
    a, b = corrupted_errors(runs, data, NAMES, stream=None)
    assert np.array_equal(a.error, b.error, equal_nan=True)  # the same pixels
    assert a.clean == pytest.approx(np.zeros(8))
    assert (a.error[CORRUPTIONS.index("gaussian_noise"), 4] > 1).all()  # cut at 0, noise makes dark images brighter
    assert np.isnan(a.error[CORRUPTIONS.index("fog")]).all()
    asked = runs[0].model.asked
    again = corrupted_errors(runs, data, NAMES, stream=None)[0]
    assert np.array_equal(again.error, a.error, equal_nan=True)
    assert runs[0].model.asked == asked
    kept = dict(np.load(tmp_path / "a" / KEPT))
    assert kept.pop("reference") == 224
    np.savez(tmp_path / "a" / KEPT, **{**kept, "error": kept["error"] + 1})  # of a version that corrupted stored pixels
    assert np.array_equal(corrupted_errors(runs, data, NAMES, stream=None)[0].error, a.error, equal_nan=True)
    (tmp_path / "a" / KEPT).write_bytes(b"damaged")
    assert np.array_equal(corrupted_errors(runs, data, NAMES, stream=None)[0].error, a.error, equal_nan=True)


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    said = io.StringIO()
    corrupted_errors([_run(tmp_path / "a")], _data(), NAMES, stream=said)
    first, second = said.getvalue().splitlines()
    assert first == "corrupting: contrast, 1 of 2"
    assert re.fullmatch(r"corrupting: gaussian_noise, 2 of 2, about \d+ s left", second)


def test_the_table_has_clean_each_and_all(tmp_path: Path) -> None:
    data = _data()
    found = corrupted_errors([_run(tmp_path / "a")], data, NAMES, stream=None)[0]
    frame = corruption_table(found, data, seed=0)
    assert frame["corruption"].tolist() == ["all"] * 6 + ["gaussian_noise"] * 5 + ["contrast"] * 5
    assert frame["severity"].tolist() == [*range(6), *range(1, 6), *range(1, 6)]
    assert (frame["low"] <= frame["error"]).all()
    assert frame["error"][3] == pytest.approx((frame["error"][8] + frame["error"][13]) / 2)


@pytest.mark.parametrize(
    ("data", "fingerprint", "message"),
    [
        (_data(kind="rows"), "f", "corruptions are of images, and t holds rows."),
        (_data(n=4), "f", "corruptions are judged on test rows with labels, and t has none."),
        (_data(), "other", "the data are not those that {folder} was started with. Bring them back."),
    ],
)
def test_what_is_refused(tmp_path: Path, data: Dataset, fingerprint: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        corrupted_errors([_run(tmp_path / "a", fingerprint)], data, NAMES, stream=None)
    assert str(caught.value) == message.format(folder=tmp_path / "a")


def test_a_run_of_arrays_has_no_table(tmp_path: Path) -> None:
    run = _run(tmp_path / "a")
    write_json(tmp_path / "a" / "run.json", {"source": None})
    with pytest.raises(ConfigError) as caught:
        run_data(run)
    assert str(caught.value) == (
        f"{tmp_path / 'a'} was made from arrays. Corruptions are tried on the images of a table."
    )
