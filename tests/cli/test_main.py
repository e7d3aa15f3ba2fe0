"""The front door: help without torch, versions, unknown verbs, exit statuses."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

Cli = Callable[..., tuple[int, str, str]]


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from isotone.cli.main import main; main(['--help'])\n"
        "heavy = {'torch', 'pandas', 'numpy', 'timm', 'jsonargparse'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 5.0  # 0.2 s on an idle machine; torch alone takes 2 s
    for verb in ("check", "fit", "predict", "embed", "evaluate", "report", "resume", "study", "methods", "demo"):
        assert f"\n  {verb}" in done.stdout


def test_version(cli: Cli) -> None:
    status, out, _ = cli("--version")
    assert status == 0
    assert out == "isotone 0.1.0\n"


@pytest.mark.parametrize(("typed", "meant"), [("fti", "fit"), ("prdict", "predict"), ("metods", "methods")])
def test_an_unknown_verb_names_the_nearest(cli: Cli, typed: str, meant: str) -> None:
    status, _, said = cli(typed)
    assert status == 2
    assert said == f"isotone: there is no verb {typed!r}. Did you mean {meant!r}? `isotone --help` lists them.\n"


def test_a_fault_of_ours_is_status_1_without_a_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from isotone.cli import methods

    def broken(words: list[str]) -> int:
        raise KeyError("x")

    monkeypatch.setattr(methods, "run", broken)
    status, _, said = cli("methods")
    assert status == 1
    assert said.splitlines() == [
        "isotone: unexpected KeyError: 'x'",
        "This is a fault of isotone or of your machine, not of your input. Add --debug for the traceback.",
    ]
    with pytest.raises(KeyError):
        cli("methods", "--debug")
