"""Reading a run folder: everything that is there, nothing that is not, and plain words where it is no finished run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.errors import ConfigError
from isotone.report.collect import collect

Copy = Callable[..., Path]


def test_reads_every_part(finished: dict[str, Path]) -> None:
    run = collect(finished["rnc"])
    assert (run.method, run.seed, run.commit) == ("rnc", "0", None)
    assert run.command == "isotone fit digits.csv --target angle --method rnc --out runs/rnc --seed 0"
    assert run.data.counts == {"train": 120, "val": 40, "test": 40}  # 200 rows: 3, 1 and 1 of each 5
    assert run.data.shared_groups == 10  # all ten digits are on every side
    assert run.config["head"] == "l1"
    assert [score.role for score in run.scores] == ["model", "refit", "constant", "constant"]
    assert len(run.log) == 30
    assert len(run.bins) == 6
    assert len(run.groups) == 10
    assert run.order is not None
    assert run.order.n == 40
    assert run.points.h.shape == (200, 64)
    assert run.points.thumb is not None
    assert run.points.thumb.shape == (200, 8, 8, 1)
    assert run.views is not None
    assert run.views.image.shape == (8, 2, 8, 8, 1)


def test_null_scores_become_nan(finished: dict[str, Path]) -> None:
    constant = collect(finished["rnc"]).scores[2]
    assert constant.model == "median predictor"
    assert np.isnan(constant.pearson.value)  # a constant has no correlation


def test_missing_parts_are_none_or_empty(finished: dict[str, Path]) -> None:
    run = collect(finished["bare"])
    assert run.log == ()
    assert run.groups == ()
    assert run.views is None
    assert run.points.thumb is None
    assert run.points.group is None
    assert run.points.target.shape == (60, 2)
    assert {score.target for score in run.scores} == {"angle", "ink"}


def test_texts_are_made_printable(copied: Copy) -> None:
    run = copied("bare")
    data = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(data | {"name": "a\x00b\nc", "warnings": ["\ud800", "x" * 3000]}))
    found = collect(run).data
    assert found.name == "a\ufffdb c"
    assert found.warnings == ("?", "x" * 1999 + "…")


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        collect(tmp_path / "none")
    assert str(error.value) == (
        f"There is no folder {tmp_path / 'none'}. Give the folder that `isotone fit` wrote (its `--out`)."
    )


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        collect(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} is not a run folder: it holds none of config.yaml, run.json, data.json, metrics.json, "
        "features.npz. Give the folder that `isotone fit` wrote (its `--out`)."
    )


def test_unfinished_run(copied: Copy) -> None:
    run = copied("bare", drop=["metrics.json", "features.npz"])
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"The run in {run} is not finished: metrics.json, features.npz is missing. "
        f"Finish it with `isotone resume {run}`."
    )


def test_run_that_says_it_is_not_done(copied: Copy) -> None:
    run = copied("bare")
    (run / "run.json").write_text('{"status": "running"}')
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"The run in {run} is not finished (status 'running'), so there is nothing to report yet. "
        f"Finish it with `isotone resume {run}`."
    )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("metrics.json", "{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("metrics.json", "[]", "it holds a list where a mapping is expected"),
        ("metrics.json", "{}", "the entry 'rows' is missing"),
        ("data.json", "{}", "the entry 'name' is missing"),
        ("config.yaml", "a: [", "not YAML (while parsing a flow node)"),
        ("log.jsonl", '{"epoch": "one"}', "invalid literal for int() with base 10: 'one'"),
    ],
)
def test_damaged_text(copied: Copy, name: str, content: str, why: str) -> None:
    run = copied("bare")
    (run / name).write_text(content)
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"{run / name} cannot be read as part of a run: {why}. Run `isotone fit` again to write it anew."
    )


def test_arrays_that_do_not_fit(copied: Copy) -> None:
    run = copied("bare")
    with np.load(run / "features.npz") as arrays:
        changed = dict(arrays) | {"h": arrays["h"][:-1]}
    np.savez(run / "features.npz", **changed)
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"{run / 'features.npz'} cannot be read as part of a run: its arrays do not have one entry for each of the "
        "60 rows. Run `isotone fit` again to write it anew."
    )


def test_pickled_arrays_are_refused(copied: Copy) -> None:
    run = copied("bare")
    with np.load(run / "features.npz") as arrays:
        changed = dict(arrays) | {"label": np.array([{}] * 60, dtype=object)}
    np.savez(run / "features.npz", **changed)
    with pytest.raises(ConfigError) as error:
        collect(run)
    assert str(error.value) == (
        f"{run / 'features.npz'} cannot be read as part of a run: Object arrays cannot be loaded when "
        "allow_pickle=False. Run `isotone fit` again to write it anew."
    )
