"""`isotone compare`: what is wrong with a call is said before anything is read; a small one works."""

from pathlib import Path

import numpy as np
import pytest

from isotone.cli.compare import run
from isotone.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which table? Say: isotone compare TABLE --target COLUMN. `isotone compare --help` says more."),
        (["t.csv", "--target", "y", "--seeds", "two"], "`seeds` must be a whole number, got 'two'."),
        (["t.csv", "--target", "y", "--seeds", "0"], "`seeds` must be between 1 and 1,000, got 0."),
        (
            ["t.csv", "--target", "y", "--lrs", "0.1,fast"],
            "`lrs` must be numbers with commas between them, got '0.1,fast'.",
        ),
        (
            ["t.csv", "--target", "y", "--seed", "3"],
            "a comparison sets `seed` itself, by --seeds. Leave it out.",
        ),
        (["t.csv", "--target", "y", "--tune", "all"], "`tune` has no 'all'; there are lr, none."),
        (
            ["t.csv", "--target", "y", "--metods", "rnc"],
            "there is no flag '--metods'. Did you mean '--methods'? `isotone compare --help` lists them.",
        ),
    ],
)
def test_a_wrong_call_is_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i % 7},{i}\n" for i in range(40)))
    with pytest.raises(ConfigError) as caught:
        run([*words, "--features", "a"] if words else [])
    assert str(caught.value) == message
    assert not list(tmp_path.glob("compare*"))


def test_help_shows_its_own_flags_and_those_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    text = capsys.readouterr().out
    assert "--methods" in text
    assert "--weight-decays" in text
    assert "--passes" in text


@pytest.mark.slow
def test_a_small_comparison_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a:.3f},{b:.3f},{a + b:.3f}" for a, b in draw]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    words = ["t.csv", "--target", "y", "--features", "a,b", "--passes", "2", "--seeds", "1", "--tune", "none"]
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("arm ")
    assert "RnC + kNN" in out
    assert "(1 seed)" in out
    assert out.endswith("report: compare-t/compare.html\n")
    assert "cell 1 of 2: L1, seed 0, defaults\n" in err
    assert "isotone compare t.csv --target y" in (tmp_path / "compare-t" / "compare.html").read_text()
