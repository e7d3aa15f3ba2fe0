"""`report` writes the page again."""

from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]


def test_the_page_is_written_again(finished: tuple[Path, Path], cli: Cli) -> None:
    page = finished[1] / "report.html"
    page.unlink()
    status, out, _ = cli("report", finished[1])
    assert status == 0
    assert out == f"report: {page}\n"
    assert page.stat().st_size > 100_000


def test_an_unknown_flag_names_the_nearest(finished: tuple[Path, Path], cli: Cli) -> None:
    status, _, said = cli("report", finished[1], "--againts", "x")
    assert status == 2
    assert (
        said == "isotone: there is no flag '--againts'. Did you mean '--against'? `isotone report --help` lists them.\n"
    )
