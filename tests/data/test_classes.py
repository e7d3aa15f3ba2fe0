"""Classes: names become numbers in a fixed order, and a column that tells nothing apart is named."""

import numpy as np
import pytest

from isotone.data.classes import class_problems, encode


@pytest.mark.parametrize(
    ("names", "codes", "classes"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (["10", "9", "-1"], [2, 1, 0], ("-1", "9", "10")),  # numbers in the order of numbers
        (["10", "9", "x"], [0, 1, 2], ("10", "9", "x")),  # unless one of them is none
        (["b", "", "a"], [1, -1, 0], ("a", "b")),
        (["1", "", "0"], [1, -1, 0], ("0", "1")),
        (["", ""], [-1, -1], ()),
        (["01", "1"], [0, 1], ("01", "1")),
    ],
)
def test_codes_are_places_among_the_sorted_names(names: list[str], codes: list[int], classes: tuple[str, ...]) -> None:
    found, known = encode(np.array(names))
    assert found.dtype == np.int64
    assert found.tolist() == codes
    assert known == classes
    assert all(known[code] == name for code, name in zip(codes, names, strict=True) if code >= 0)


def test_no_rows_have_no_classes() -> None:
    codes, classes = encode(np.array([], dtype=np.str_))
    assert (codes.tolist(), classes) == ([], ())
    assert class_problems(np.array([], dtype=np.str_), "c") == []


def test_single_rows_are_a_warning() -> None:
    assert class_problems(np.array(["a", "a", "b", "b"]), "c") == []
    names = np.array(["a", "a", *"bcdefg"])
    problem = class_problems(names, "c")[0]
    assert not problem.fatal
    assert str(problem) == (
        "column 'c': has 6 of 7 classes with a single row: b, c, d, e, f, .... "
        "Such a class is trained on or judged, never both: add rows, or join classes."
    )


def test_one_class_is_fatal() -> None:
    problem = class_problems(np.array(["x"] * 3), "c")[0]
    assert problem.fatal
    assert problem.kind == "constant-category"
    assert problem.what == "is 'x' in every row, so there are no classes to tell apart"
