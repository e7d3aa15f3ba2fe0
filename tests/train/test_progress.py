"""Progress on a terminal and in a file."""

import io

from isotone.train.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_about_ten_lines() -> None:
    stream = io.StringIO()
    progress = Progress(200, stream=stream)
    for step in range(1, 201):
        progress.update(step, "loss 1.5")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("training 100 % · step 200/200 · loss 1.5 · 0 s left · 0 % waiting for data")


def test_a_terminal_is_rewritten_in_place() -> None:
    stream = _Terminal()
    progress = Progress(3, stream=stream)
    for step in (1, 2, 3):
        progress.update(step, "loss 1")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("\r")


def test_the_time_left_counts_from_where_this_process_began() -> None:
    progress = Progress(100, done=50, stream=None)
    progress.began -= 10.0
    progress.update(60, "")
    assert 39.0 < progress.eta_s() < 41.0
    progress.waited = 5.0
    assert 0.45 < progress.wait_share < 0.55
