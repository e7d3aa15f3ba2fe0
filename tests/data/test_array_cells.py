"""What comes with arrays: labels that may be missing, classes of all kinds, sequences, times, and their faults."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from isotone.data.array_cells import positions, read_label, read_numbers, read_sequence, read_split, read_words
from isotone.data.settings import DataSettings
from isotone.errors import DataError, ShapeError

PLAIN, LOOSE = DataSettings(), DataSettings(unlabelled=True)


def label(y: object, settings: DataSettings = PLAIN, *, category: bool = True, n: int = 3) -> object:
    return read_label(y, n, None, settings, category=category)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        ([2, 0, 2], ["2", "0", "2"]),
        (np.array([2.0, 0, -1]), ["2", "0", "-1"]),
        (torch.tensor([2, 0, 2]), ["2", "0", "2"]),
        (np.array([True, False, True]), ["True", "False", "True"]),
        (pd.Series(["b", "a", "b"], dtype="category"), ["b", "a", "b"]),
        (pd.DataFrame({"kind": [" b", "a ", "b"]}), ["b", "a", "b"]),
    ],
    ids=["text", "integers", "whole floats", "torch", "bool", "pandas", "frame"],
)
def test_classes_of_every_kind_are_text(y: object, words: list[str]) -> None:
    found = read_label(y, 3, None, PLAIN, category=True)
    assert found.words is not None
    assert found.words.tolist() == words
    assert found.known.all()
    assert found.target.shape == (3, 0)


def test_the_name_of_the_classes() -> None:
    frame = pd.DataFrame({"kind": ["a", "b", "a"]})
    assert read_label(frame, 3, None, PLAIN, category=True).names == ("kind",)
    assert read_label(frame["kind"], 3, None, PLAIN, category=True).names == ("kind",)
    assert read_label(["a", "b", "a"], 3, None, PLAIN, category=True).names == ("category",)
    assert read_label(["a", "b", "a"], 3, None, DataSettings(category="sort"), category=True).names == ("sort",)
    assert read_label(["a", "b", "a"], 3, ["own"], PLAIN, category=True).names == ("own",)


@pytest.mark.parametrize(
    "y",
    [["a", "", "a"], ["a", None, "a"], [1, -1, 1], [1.0, np.nan, 1.0], pd.array(["a", None, "a"], dtype="string")],
    ids=["empty", "none", "minus one", "nan", "pandas"],
)
def test_classes_can_be_missing_where_that_is_wanted(y: object) -> None:
    assert read_label(y, 3, None, LOOSE, category=True).known.tolist() == [True, False, True]


def test_minus_one_is_a_class_unless_labels_may_be_missing() -> None:
    assert read_label([1, -1, 1], 3, None, PLAIN, category=True).known.all()


def test_targets_can_be_missing_where_that_is_wanted() -> None:
    found = read_label([[1.0, 2], [np.nan, 3], [4, 5]], 3, None, LOOSE, category=False)
    np.testing.assert_array_equal(found.target, [[1, 2], [np.nan, np.nan], [4, 5]])
    assert found.known.tolist() == [True, False, True]
    assert found.names == ("target_1", "target_2")


def test_no_labels_at_all() -> None:
    found = read_label(None, 3, None, PLAIN, category=False)
    assert (found.target.shape, found.names, found.words, found.known.all()) == ((3, 0), (), None, True)


def test_sequences_and_times() -> None:
    words, time = read_sequence([1, 1, 2], np.array([0, 5, 0]), 3)
    assert words is not None
    assert time is not None
    assert (words.tolist(), time.tolist(), time.dtype) == (["1", "1", "2"], [0.0, 5.0, 0.0], "float64")
    assert read_sequence(["a", "b", "a"], None, 3)[1].tolist() == [0.0, 0.0, 1.0]
    assert read_sequence(None, None, 3) == (None, None)
    assert positions(np.array(["b", "a", "b", "b"])).tolist() == [0.0, 0.0, 1.0, 2.0]


def test_words_and_sides() -> None:
    assert read_words([3, 4, "x"], "groups", 3).tolist() == ["3", "4", "x"]
    assert read_split(["Train", "dev", "test"], 3).tolist() == ["train", "val", "test"]
    with pytest.raises(DataError) as caught:
        read_split(["train", "hold", "test"], 3)
    assert str(caught.value) == "table: 'hold' in split is no side of a split. Write train, val or test."
    assert read_numbers(torch.tensor([1.5], dtype=torch.bfloat16), "X").tolist() == [1.5]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: label([0.0, 1.5, 2.0]),
            "y must hold classes, as text or whole numbers, but is 1.5 in row 1. Convert it, or leave category out to "
            "predict numbers.",
        ),
        (
            lambda: label(["a", "", None]),
            "y names no class in rows 1, 2. Fill it in or remove the rows; with unlabelled=True they are kept.",
        ),
        (lambda: label(["a", "b"]), "y must have one entry for each of the 3 rows of X, but has 2."),
        (
            lambda: label(np.eye(3)),
            "y must have shape (n,) to hold classes, but has (3, 3). Give one class for each row.",
        ),
        (
            lambda: label(None),
            "y is None, but `category` says that it holds classes. Give the classes, or leave it out.",
        ),
        (
            lambda: label([1.0, np.nan, 2.0], category=False),
            "y holds NaN or infinity in row 1. Correct or remove them.",
        ),
        (
            lambda: label([1.0, np.nan, np.inf], LOOSE, category=False),
            "y holds NaN or infinity in row 2. Correct or remove them.",
        ),
        (
            lambda: read_sequence(None, [1, 2, 3], 3),
            "time needs sequence, the recording or track of each row that it counts in. Give both.",
        ),
        (
            lambda: read_sequence(["a"] * 3, np.eye(3), 3),
            "time must have shape (n,), but has (3, 3). Give one number for each row of X.",
        ),
        (
            lambda: read_sequence(["a"] * 3, [1, 2], 3),
            "time must have one entry for each of the 3 rows of X, but has 2.",
        ),
        (
            lambda: read_sequence(["a"] * 3, [1, np.nan, 2], 3),
            "time holds NaN or infinity in row 1. Correct or remove them.",
        ),
        (
            lambda: read_sequence(["a", None, "b"], None, 3),
            "sequence is missing in row 1. Fill it in or remove the rows.",
        ),
    ],
)
def test_faults_are_told(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        build()
    assert str(caught.value) == message
