"""Both schemes have the same number of passes; a real study of each on rows of numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.errors import ConfigError
from isotone.studies import scheme as module


def test_the_passes_of_fine_tuning_are_taken_off_the_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, dict[str, object]] = {}
    monkeypatch.setattr(module, "ablate", lambda about, values, table, **rest: asked.update(values) or Path("p"))
    module.scheme("t.csv", out="s", target=("y",), passes=50, finetune_passes=20)
    assert asked == {
        "fine-tuned": {"scheme": "finetune", "passes": 30, "finetune_passes": 20},
        "frozen": {"scheme": "frozen", "passes": 50},
    }


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
    assert {"fine-tuned", "frozen"} <= set(found.astype(str).to_numpy().ravel())
    assert "fine-tuned" in page.read_text()
