"""`resume` of runs that cannot go on; exact resume is tested in tests/train."""

from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]


def test_a_finished_run_stays_as_it_is(finished: tuple[Path, Path], cli: Cli) -> None:
    weights = (finished[1] / "model" / "model.safetensors").read_bytes()
    status, out, said = cli("resume", finished[1])
    assert status == 0, said
    assert out.endswith(f"report: {finished[1] / 'report.html'}\n")
    assert (finished[1] / "model" / "model.safetensors").read_bytes() == weights


def test_changed_data_are_refused(finished: tuple[Path, Path], cli: Cli) -> None:
    table, run = finished
    before = table.read_text()
    table.write_text(before.replace("w000", "w999").replace(before.splitlines()[1].split(",")[1], "7.5"))
    try:
        status, _, said = cli("resume", run)
    finally:
        table.write_text(before)
    assert status == 2
    assert said.splitlines()[-1] == (
        f"isotone: the data are not those that {run} was started with. Bring them back, or start a new run with --out."
    )


def test_no_run(tmp_path: Path, cli: Cli) -> None:
    status, _, said = cli("resume", tmp_path)
    assert status == 2
    assert said == f"isotone: {tmp_path} is not the folder of a run: it has no run.json.\n"
