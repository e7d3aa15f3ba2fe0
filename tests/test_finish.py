"""From data set to judged run: what is fitted on what."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import isotone
from isotone.errors import ConfigError

IMAGES = (load_digits().images[:150] * 15).astype(np.uint8)
Y = IMAGES.mean((1, 2))
FAST = {"passes": 6, "batch_size": 32, "quiet": True, "device": "cpu", "image_size": 8}


def _roles(run: isotone.Run) -> list[str]:
    return [row["role"] for row in run.metrics["rows"] if row["split"] == "test"]


def test_the_baseline_shows_its_head_and_the_head_fitted_again(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), method="baseline", out=tmp_path / "b", **FAST)
    assert _roles(run) == ["model", "refit", "constant", "constant"]


def test_rnc_shows_the_head_on_the_frozen_encoder(tmp_path: Path) -> None:
    run = isotone.fit((IMAGES, Y), method="rnc", out=tmp_path / "r", head_epochs=7, **FAST)
    assert _roles(run) == ["model", "constant", "constant"]
    assert len(run.metrics["head"]["val_scores"]) >= 7


@pytest.mark.parametrize("views", [0, 3])
def test_stage_two_leaves_the_encoder_alone(tmp_path: Path, views: int) -> None:
    from safetensors.torch import load_file

    run = isotone.fit((IMAGES, Y), out=tmp_path / "r", head_views=views, **FAST)
    newest = sorted((run.folder / "checkpoints").iterdir())[-1]
    trained = load_file(newest / "model.safetensors")
    saved = load_file(run.folder / "model" / "model.safetensors")
    assert trained.keys() == {name for name in saved if name.startswith("encoder.")}
    assert all(bool((trained[name] == saved[name]).all()) for name in trained)


def test_both_methods_see_each_row_equally_often(tmp_path: Path) -> None:
    steps = {}
    for method in ("rnc", "baseline"):
        run = isotone.fit((IMAGES, Y), method=method, out=tmp_path / method, **FAST)
        log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
        steps[method] = log[-1]["step"] * run.settings.method.views
    assert steps["rnc"] == steps["baseline"]


def test_a_run_that_diverges_exports_nothing(tmp_path: Path) -> None:
    from isotone.errors import DivergenceError

    with pytest.raises(DivergenceError):
        isotone.fit((IMAGES, Y), method="baseline", out=tmp_path / "b", lr=1e30, warmup=0.0, **FAST)
    assert not (tmp_path / "b" / "model").exists()
    assert json.loads((tmp_path / "b" / "run.json").read_text())["status"] == "running"


def test_too_small_a_micro_batch_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few for batch norm"):
        isotone.fit((IMAGES, Y), out=tmp_path / "r", micro_batch=2, norm="batch", **FAST)
    assert not (tmp_path / "r").exists()
