"""`isotone study`: which studies there are, and what is wrong with a call, before anything is read."""

from pathlib import Path

import pytest

from isotone.cli.study import run
from isotone.errors import ConfigError


def test_it_lists_the_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "label-noise" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["label-nose"], "there is no study 'label-nose'; there are label-noise. Did you mean 'label-noise'?"),
        (["label-noise"], "isotone study label-noise needs a table. Try: isotone study label-noise --help"),
        (
            ["label-noise", "t.csv", "--noise", "half"],
            "`noise` must be numbers with commas between them, got 'half'.",
        ),
    ],
)
def test_a_wrong_call_is_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(words)
    assert str(caught.value) == message


def test_help_shows_its_own_flags_and_those_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["label-noise", "--help"])
    text = capsys.readouterr().out
    assert "--transfer" in text
    assert "--passes" in text
    assert not Path("study-label-noise").exists()
