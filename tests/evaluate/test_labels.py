"""Several labels a row: the line is that of the SVM probe on the matrix; a VOC folder's classes; difficult objects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluate.subjects import digits, subject
from evaluate.test_voc import write_voc

from isotone.errors import ConfigError
from isotone.evaluate.labels import svm_columns, svm_voc
from isotone.evaluate.probe import ProbeData
from isotone.evaluate.probes import ProbeSettings, evaluate_run
from isotone.evaluate.subject import Subject
from isotone.evaluate.svm import svm
from isotone.records import Dataset

NAMES = ("even", "below three", "is four", "is one")


def _labelled(rows: int = 90) -> Dataset:
    data = digits(rows, side=16)
    assert data.category is not None
    digit = np.array([5, 4, 1, 3, 2, 0])[data.category]
    y = np.stack([digit % 2 == 0, digit < 3, digit == 4, digit == 1], 1).astype(np.float64)
    return replace(data, category=None, classes=(), category_name=None, target=y, target_names=NAMES)


def test_columns_of_0_and_1_are_probed_together() -> None:
    data = _labelled()
    data.target[3] = np.nan  # a row without labels
    made = subject(data)
    (row,) = evaluate_run(("svm",), made, ProbeSettings(labels=NAMES))
    h = made.frozen.h
    sides = [np.flatnonzero((data.split == side) & (np.arange(90) != 3)) for side in ("train", "val", "test")]
    expected = svm(ProbeData(*(x[rows] for rows in sides for x in (h, data.target))), names=NAMES)
    assert row["score"] == expected.score
    assert row["by_class"] == expected.per_class
    assert list(row["by_class"]) == [*NAMES]
    assert (row["probe"], row["target"]) == ("svm", "even, below three, is four and 1 more")
    assert (row["score_name"], row["n"]) == ("mean average precision", len(sides[2]))
    assert row["score"] > 0.6


def test_other_numbers_are_refused() -> None:
    data = _labelled(30)
    data.target[4, 1] = 7
    with pytest.raises(ConfigError) as caught:
        svm_columns(subject(data))
    assert str(caught.value) == (
        "`labels` are columns of 0 and 1, but 'below three' holds 7. For numbers use --target, for classes --category."
    )


def test_other_probes_are_not_asked_of_several_labels() -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate_run(("svm", "knn"), subject(_labelled(30)), ProbeSettings(labels=NAMES))
    assert str(caught.value) == (
        "the probe 'knn' tells one answer a row, and `labels` are several. Use svm, or name a --target or a --category."
    )


def _voc(folder: Path, difficult: str = "") -> Path:
    """Big boxes and small ones, in every second and every third image."""
    big, small = ("big", (4.0, 4.0, 60.0, 60.0)), ("small", (10.0, 10.0, 16.0, 16.0))
    images = {f"{i:02d}": [*([big] * (i % 2)), *([small] * (i % 3 == 0))] for i in range(30)}
    write_voc(folder, images, difficult=difficult)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name, rows in (("trainval", range(20)), ("test", range(20, 30))):
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{i:02d}\n" for i in rows))
    return folder


def _encoder() -> Subject:
    """The share of bright pixels is linear in what it gives."""
    return subject(digits(12, answers="none", side=16), torch.nn.Flatten())


def test_the_classes_of_a_voc_folder_are_probed_without_other_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (row,) = evaluate_run(("svm",), _encoder(), ProbeSettings(voc=_voc(tmp_path / "cells")))
    assert (row["target"], row["n"], list(row["by_class"])) == ("cells", 10, ["big", "small"])
    assert row["by_class"]["big"] == 1.0


def test_a_difficult_object_is_a_negative_in_training_and_nothing_in_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = _voc(tmp_path / "cells")
    for stem in ("01", "21"):  # one of training, one of the test
        path = folder / "Annotations" / f"{stem}.xml"
        path.write_text(path.read_text().replace("<difficult>0", "<difficult>1"))
    seen: list[ProbeData] = []

    def spy(data: ProbeData, **more: object) -> object:
        seen.append(data)
        return svm(data, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("isotone.evaluate.labels.svm", spy)
    (row,) = svm_voc(_encoder(), folder)
    assert seen[0].train_y[:4].tolist() == [[0, 1], [0, 0], [0, 0], [1, 1]]
    assert np.array_equal(seen[0].test_y[:2], [[0, 0], [np.nan, np.nan]], equal_nan=True)
    assert row["by_class"]["big"] == 1.0  # the difficult one is no miss


def test_rows_of_numbers_have_no_voc_folder(tmp_path: Path) -> None:
    data = replace(digits(12, answers="none"), kind="rows", inputs=np.eye(12, dtype=np.float32))
    with pytest.raises(ConfigError) as caught:
        svm_voc(subject(data, torch.nn.Linear(12, 2)), tmp_path)
    assert str(caught.value) == (
        "The probe 'svm' reads images from --voc, and the encoder takes none. Leave out --voc."
    )
