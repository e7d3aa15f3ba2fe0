"""Exit statuses, and data errors that carry all problems."""

from isotone.errors import CheckpointError, ConfigError, DataError, DivergenceError, Problem, ShapeError, StoppedError


def test_exit_statuses_tell_the_users_fault_from_ours() -> None:
    assert {ConfigError.exit_code, DataError.exit_code, ShapeError.exit_code} == {2}
    assert {CheckpointError.exit_code, DivergenceError.exit_code, StoppedError.exit_code} == {1}


def test_a_data_error_carries_all_problems() -> None:
    problems = [Problem("a", "it is wrong", "Mend it", row=row) for row in (2, 5)]
    error = DataError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "line 2: it is wrong. Mend it.\nline 5: it is wrong. Mend it."
    assert DataError("the table is empty").problems == ()
