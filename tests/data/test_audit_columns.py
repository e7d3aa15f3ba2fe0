"""Cells of labels, sequences and times: what is empty or no number is a problem of its row, or is kept on demand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.data.audit import audit
from isotone.data.audit_columns import Columns, read_columns
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import Problem

Build = Callable[..., DataSettings]
HEADER = "a,age,kind,track,when"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Columns]:
    def run(lines: list[str], **changed: object) -> Columns:
        (tmp_path / "t.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        settings = DataSettings(features=("a",), **changed)  # type: ignore[arg-type]
        return read_columns(read_table(tmp_path / "t.csv", settings, labels="optional"), settings)

    return run


def told(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def test_classes_are_text_as_they_stand(read: Callable[..., Columns]) -> None:
    found = read(["1,2, NA ,x,1", "1,3,001,x,2"], category="kind")
    assert found.category is not None
    assert found.category.tolist() == ["NA", "001"]
    assert found.target.shape == (2, 0)
    assert found.labelled.tolist() == [True, True]
    assert found.problems == ()


def test_an_empty_class_is_a_problem_unless_it_is_kept(read: Callable[..., Columns]) -> None:
    lines = ["1,2,cat,x,1", "1,3,,x,2"]
    assert told(read(lines, category="kind").problems) == [
        "line 3, column 'kind': is empty. Name its class or remove the row; with --unlabelled such rows are kept, "
        "to be trained on without a label."
    ]
    kept = read(lines, category="kind", unlabelled=True)
    assert kept.problems == ()
    assert kept.labelled.tolist() == [True, False]


def test_no_class_at_all_is_one_problem_of_the_table(read: Callable[..., Columns]) -> None:
    for unlabelled in (False, True):
        found = read(["1,2,,x,1", "1,3,,x,2"], category="kind", unlabelled=unlabelled)
        assert told(found.problems) == ["column 'kind': is empty in every row. Choose another category."]


def test_an_empty_target_is_kept_where_that_is_wanted(read: Callable[..., Columns]) -> None:
    lines = ["1,2,c,x,1", "1,,c,x,2", "1,NaN,c,x,3", "1,old,c,x,4", "1,inf,c,x,5"]
    kept = read(lines, target=("age",), unlabelled=True)
    assert told(kept.problems) == [
        "line 5, column 'age': 'old' is not a number. Correct it or remove the row.",
        "line 6, column 'age': is infinite (inf). Correct it or remove the row.",
    ]
    assert kept.labelled.tolist() == [True, False, False, False, True]
    assert len(read(lines, target=("age",)).problems) == 4
    assert read(lines, target=("age",)).labelled.all()


def test_of_several_targets_one_missing_takes_the_label(read: Callable[..., Columns]) -> None:
    found = read(["1,2,c,x,1", "1,3,c,x,"], target=("age", "when"), unlabelled=True)
    assert found.problems == ()
    np.testing.assert_array_equal(found.target, [[2, 1], [np.nan, np.nan]])


def test_sequences_and_times_are_checked(read: Callable[..., Columns]) -> None:
    found = read(
        ["1,2,c,01,0.5", "1,3,c,,1", "1,3,c,x,soon", "1,3,c,x,"], target=("age",), sequence="track", time="when"
    )
    assert found.sequence is not None
    assert found.sequence.tolist() == ["01", "", "x", "x"]
    np.testing.assert_array_equal(found.time, [0.5, 1, np.nan, np.nan])
    assert told(found.problems) == [
        "line 3, column 'track': is empty. Name its recording or track, or remove the row.",
        "line 4, column 'when': 'soon' is not a number. Correct it or remove the row.",
        "line 5, column 'when': is empty. Correct it or remove the row.",
    ]


def test_a_sequence_that_is_no_group_is_a_warning(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i},c,t{i // 4},{i}" for i in range(24))
    (tmp_path / "t.csv").write_text(f"{HEADER}\n{rows}\n")

    def problems(**changed: object) -> list[str]:
        settings = DataSettings(target=("age",), features=("a",), sequence="track", **changed)  # type: ignore[arg-type]
        return told(audit(read_table(tmp_path / "t.csv", settings), settings).problems)

    assert problems() == [
        "column 'track': is the sequence, whose rows can be on two sides of the split. Name it with --group too."
    ]
    assert problems(group="track") == []
