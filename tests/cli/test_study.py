"""`isotone study`: which studies there are, and what is wrong with a call, before anything is read."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from isotone.cli.study import STUDIES, _quoted, _read, _without, run
from isotone.errors import ConfigError


def test_it_lists_the_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "label-noise" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["label-nose"],
            f"there is no study 'label-nose'; there are {', '.join(STUDIES)}. Did you mean 'label-noise'?",
        ),
        (
            ["label-noise"],
            "which table? Say: isotone study label-noise TABLE --target COLUMN. `isotone study label-noise --help` "
            "says more.",
        ),
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


def test_a_small_study_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a:.3f},{b:.3f},{'big' if a + b > 0 else 'small'}" for a, b in draw]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,size", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    words = ["label-noise", "t.csv", "--category", "size", "--features", "[a,b]", "--passes", "1", "--noise", "0.5"]
    assert run([*words, "--clusters", "4", "--out", "s"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n0,0.5,") == 4
    assert out.endswith("report: s/study.html\n")
    assert "isotone study label-noise t.csv" in (tmp_path / "s" / "study.html").read_text()


def test_every_study_has_its_module_with_a_function_and_flags() -> None:
    for name in STUDIES:
        module = import_module(f"isotone.studies.{name.replace('-', '_')}")
        assert callable(getattr(module, name.replace("-", "_")))
        assert all(flag.startswith("--") for flag in module.FLAGS)
        assert hasattr(module, "ARMS") != hasattr(module, "METHODS")  # what reads the settings of `isotone fit`


def test_each_method_reads_the_flags_that_it_knows() -> None:
    from isotone.studies import few_data

    words = ["t.csv", "--target", "y", "--temperature", "1.5", "--arms", "baseline,rnc lr=0.5", "--passes=3"]
    given, settings = _read("few-data", [*words, "--shares", "0.5,1", "--seeds", "2"], few_data)
    assert given == {"table": "t.csv", "arms": ("baseline", "rnc lr=0.5"), "shares": (0.5, 1.0), "seeds": 2}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()} == {
        "target": ("y",), "temperature": 1.5, "passes": 3,
    }  # fmt: skip


def test_a_flag_that_no_arm_knows_is_named() -> None:
    from isotone.studies import order

    with pytest.raises(ConfigError) as caught:
        _read("order", ["t.csv", "--pases", "1"], order)
    assert str(caught.value) == (
        "there is no flag '--pases'. Did you mean '--passes'? `isotone study order --help` lists them."
    )


def test_foreign_flags_leave_with_their_values() -> None:
    words = ["t.csv", "--temperature", "2", "--queue=4", "--target", "y"]
    assert _without(words, {"temperature", "queue"}) == ["t.csv", "--target", "y"]


def test_the_command_can_be_typed_again() -> None:
    assert _quoted(["order", "t.csv", "--arms", "rnc lr=1"]) == "order t.csv --arms 'rnc lr=1'"
