"""Settings' messages; those of tensors are tested where the losses use them."""

import pytest

from isotone import check
from isotone.errors import ConfigError, IsotoneError, Problem, nearest


def test_between() -> None:
    check.between("passes", 3, 1, 5)
    with pytest.raises(ConfigError) as caught:
        check.between("passes", 0, 1, 1_000_000)
    assert str(caught.value) == "`passes` must be between 1 and 1,000,000, got 0."


def test_choice_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        check.choice("head", "huver", ["l1", "mse", "huber"])
    assert str(caught.value) == "`head` has no 'huver'; there are l1, mse, huber. Did you mean 'huber'?"


def test_errors_are_value_errors() -> None:
    assert issubclass(IsotoneError, ValueError)


def test_nearest_is_silent_where_nothing_is_close() -> None:
    assert nearest("zzz", ["age", "person"]) == ""
    assert nearest("AGE", ["age", "person"]) == " Did you mean 'age'?"


def test_a_problem_reads_as_a_sentence() -> None:
    found = Problem("missing-file", "the file does not exist", "Correct the name", row=7, column="image", file="a.jpg")
    assert str(found) == "line 7, column 'image', a.jpg: the file does not exist. Correct the name."
