"""The demo's command line; its training is tested in tests/test_demo.py."""

from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]


def test_a_folder_in_use_is_refused_before_training(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "mine.txt").write_text("x")
    status, _, said = cli("demo", "--out", tmp_path)
    assert status == 2
    assert said.startswith(f"isotone: {tmp_path} is not empty, and nothing is overwritten.")
