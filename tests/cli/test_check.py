"""`check`: a clean table, a table with notes; damaged ones are in test_malformed."""

from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]


def test_a_clean_table(table: Path, cli: Cli) -> None:
    status, out, _ = cli("check", table, "--target", "grey", "--group", "person")
    assert status == 0
    assert out.splitlines()[-1] == f"{table}: 60 rows, 60 good, 0 problems, 0 notes"


def test_a_column_that_looks_like_a_group_is_noted(table: Path, cli: Cli) -> None:
    status, out, _ = cli("check", table, "--target", "grey")
    assert status == 0
    assert "'person'" in out
    assert out.splitlines()[-1].endswith("0 problems, 1 notes")


def test_the_real_sets_are_clean(shared_data: Path, cli: Cli) -> None:
    status, out, _ = cli("check", shared_data / "bccd" / "labels.csv", "--target", "rbc", "--split-column", "split")
    assert status == 0
    assert ": 364 rows, 364 good, 0 problems" in out
