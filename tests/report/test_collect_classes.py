"""Reading what class runs were judged by."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.errors import ConfigError
from isotone.report.collect import collect
from isotone.report.collect_classes import read_classes, read_confidence

Copy = Callable[..., Path]


def test_reads_every_part(finished: dict[str, Path]) -> None:
    run = collect(finished["supcon"])
    assert run.task == "classes"
    assert run.scores == ()
    assert run.order is None
    found = run.classes
    assert found is not None
    assert (found.question, found.names[:2]) == ("digit", ("zero", "one"))
    assert [(s.model, s.role, s.split, s.n) for s in found.scores] == [
        ("supcon, classify head", "model", "test", 60),
        ("most frequent class of the training rows", "constant", "test", 60),
        ("supcon, classify head", "model", "val", 60),
        ("most frequent class of the training rows", "constant", "val", 60),
    ]
    assert found.confusion is not None
    assert found.confusion.sum() == 60
    right = found.confusion.trace() / 60
    assert found.scores[0].accuracy.value == pytest.approx(right)
    assert [row.n for row in found.rows] == found.confusion.sum(1).tolist()
    assert len(found.groups) == 8
    assert run.data.classes["zero"]["train"] == found.rows[0].n_train
    assert run.data.labelled == {"train": 180, "val": 60, "test": 60}
    assert run.log[0].watch["knn"] > 0
    assert run.log[1].watch == {}


def test_points_and_views_know_their_classes(finished: dict[str, Path]) -> None:
    run = collect(finished["supcon"])
    points = run.points
    assert points.target.shape == (300, 0)
    assert points.prediction.shape == (300, 1)
    assert points.category is not None
    assert points.classes[int(points.category[3])] == "three"
    assert points.confidence is not None
    assert points.confidence.shape == (300,)
    assert 0.1 <= points.confidence.min() <= points.confidence.max() <= 1
    assert run.views is not None
    assert run.views.category is not None
    assert run.views.category.tolist() == list(range(8))


def test_a_run_without_labels_has_no_prediction(finished: dict[str, Path]) -> None:
    run = collect(finished["simclr"])
    assert (run.task, run.classes, run.scores, run.probes) == ("none", None, (), ())
    assert run.points.prediction.shape == (120, 0)
    assert run.points.category is None


def test_a_file_that_names_no_task_is_of_numbers(finished: dict[str, Path], copied: Copy) -> None:
    assert "task" not in json.loads((finished["rnc"] / "metrics.json").read_text())
    assert collect(finished["rnc"]).task == "numbers"
    run = copied("bare")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"task": "numbers"}))
    found = collect(run)
    assert (found.task, found.classes) == ("numbers", None)
    assert repr(found.scores) == repr(collect(finished["bare"]).scores)  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"task": "words"}, "its task is 'words', not one of numbers, classes, none"),
        ({"confusion": [[1]]}, "its confusion is (1, 1), not a count for each pair of the 10 classes"),
        ({"by_class": [{}]}, "the entry 'class' is missing"),
    ],
)
def test_damaged_metrics(copied: Copy, change: dict[str, object], why: str) -> None:
    run = copied("plain")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | change))
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"{run / 'metrics.json'} cannot be read as part of a run: {why}. Run `isotone fit` again to write it anew."
    )


def test_codes_beyond_the_classes(copied: Copy) -> None:
    run = copied("plain")
    with np.load(run / "features.npz", allow_pickle=False) as raw:
        changed = dict(raw) | {"category": raw["category"] + 1}
    np.savez(run / "features.npz", **changed)
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"{run / 'features.npz'} cannot be read as part of a run: its codes of classes are not -1 to 9. "
        "Run `isotone fit` again to write it anew."
    )


def test_confidence_is_the_largest_of_the_last_columns(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("row,probability_of_rain,predicted_x,probability_a,probability_b\n2,5,a,0.75,0.25\n3,5,b,0.1,0.9\n")
    found = read_confidence(path, [1, 0], 2)
    assert found is not None
    assert found.tolist() == [0.9, 0.75]


def test_no_confidence_without_probabilities_or_with_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    assert read_confidence(path, [0], 1) is None
    path.write_text("row,predicted_x\n2,a\n")
    assert read_confidence(path, [0], 1) is None
    path.write_text("row,probability_a\n2,1\n")
    assert read_confidence(path, [0], 2) is None


def test_nothing_tested() -> None:
    found = read_classes({"rows": [], "classes": ["a"], "confusion": []})
    assert (found.confusion, found.rows, found.scores) == (None, (), ())
