"""All schemes have the same number of passes; joint is RnC's; a real study of each on rows of numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from isotone.errors import ConfigError
from isotone.settings import resolve
from isotone.studies import scheme as module
from isotone.studies.ablation import Ablation
from isotone.studies.sweep import Arm


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `ablate` was asked for."""
    found: dict[str, Any] = {}

    def ablate(about: Ablation, values: dict[str, Any], table: str, **rest: Any) -> Path:
        found.update(about=about, values=values, table=table, **rest)
        return Path("p")

    monkeypatch.setattr(module, "ablate", ablate)
    return found


def test_the_passes_of_fine_tuning_are_taken_off_the_encoders(asked: dict[str, Any]) -> None:
    module.scheme("t.csv", out="s", target=("y",), passes=50, finetune_passes=20)
    assert asked["values"] == {
        "fine-tuned": {"scheme": "finetune", "passes": 30, "finetune_passes": 20},
        "frozen": {"scheme": "frozen", "passes": 50},
    }
    assert asked["others"] == {"joint": "joint"}
    arm = Arm.read(asked["others"]["joint"])
    assert resolve("joint", arm.takes(asked["settings"])).train.passes == 50


def test_joint_takes_the_settings_of_the_arm_but_not_its_learning_rate(asked: dict[str, Any]) -> None:
    module.scheme(
        "t.csv",
        out="s",
        method="supcr lr=0.5 temperature=1 queue=64 batch-size=32 passes=60 momentum=0.5",
        target=("y",),
    )
    assert asked["others"] == {"joint": "joint temperature=1 batch-size=32 passes=60 momentum=0.5"}
    module.scheme("t.csv", out="s", method="rnc head=mse", joint="lr=0.1 rnc-weight=0.5", target=("y",))
    assert asked["others"] == {"joint": "joint head=mse lr=0.1 rnc-weight=0.5"}
    assert asked["about"].notes == (
        "Joint is the method `joint head=mse lr=0.1 rnc-weight=0.5`: one training with both losses, and the head it "
        "ends with.",
    )


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("simclr", "simclr"),
        ("rnc head=dex", "rnc head=dex with head dex"),
    ],
)
def test_joint_is_left_out_where_there_is_no_such_thing(asked: dict[str, Any], method: str, why: str) -> None:
    module.scheme("t.csv", out="s", method=method, target=("y",))
    assert asked["others"] == {}
    sentence = f"Joint is RnC's loss beside the error of a head l1, mse or huber, and the arm is {why}."
    assert asked["about"].notes == (f"{sentence} It is left out.",)
    with pytest.raises(ConfigError) as found:
        module.scheme("t.csv", out="s", method=method, joint="lr=0.1", target=("y",))
    assert str(found.value) == f"{sentence} Leave --joint out."


@pytest.mark.parametrize("setting", ["passes=10", "views=4", "head=mse"])
def test_joint_has_no_passes_views_or_head_of_its_own(setting: str) -> None:
    with pytest.raises(ConfigError) as found:
        module.scheme("t.csv", out="s", joint=setting, target=("y",))
    name = setting.partition("=")[0]
    assert str(found.value) == (
        f"all schemes have the same passes, views and head. Leave `{name}` out of --joint; "
        f"--method 'rnc {name}=...' sets it for all."
    )


def test_fine_tuning_that_leaves_no_passes_is_refused() -> None:
    with pytest.raises(ConfigError) as found:
        module.scheme("t.csv", out="s", target=("y",), passes=30)
    assert str(found.value) == (
        "fine-tuning takes 30 of 30 passes and leaves the encoder none of its own. Ask for more --passes, or for fewer "
        "--finetune-passes."
    )


@pytest.mark.slow
def test_the_study_writes_a_row_for_each_scheme(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 4))
    pd.DataFrame({**{f"x{i}": x[:, i] for i in range(4)}, "y": x[:, 0] + x[:, 1] ** 2}).to_csv(tmp_path / "t.csv")
    settings = {"features": tuple(f"x{i}" for i in range(4)), "target": ("y",), "passes": 8, "finetune_passes": 4}
    page = module.scheme(tmp_path / "t.csv", out=tmp_path / "s", quiet=True, batch_size=32, **settings)
    found = pd.read_csv(tmp_path / "s" / "study.csv")
    assert list(dict.fromkeys(found["arm"])) == ["frozen", "joint", "fine-tuned"]
    text = page.read_text()
    assert "scheme joint" in text
    assert "scheme fine-tuned" in text
    epochs = {
        name: {json.loads(line)["epoch"] for line in (tmp_path / "s" / name / "log.jsonl").read_text().splitlines()}
        for name in ("seed0-scheme-frozen-rnc", "seed0-scheme-joint-joint")
    }
    assert epochs == {name: {1, 2, 3, 4} for name in epochs}  # 8 passes of two views
