"""The handle of a run: new data in the units of the old; others are refused where its own are meant."""

from pathlib import Path

import numpy as np
import pytest

import isotone
from isotone.data.given import Beside
from isotone.errors import ConfigError
from isotone.run import read_data, same_data

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = X[:, 0] * 10 + 100
FAST = {"passes": 2, "batch_size": 16, "quiet": True, "device": "cpu"}


def test_new_rows_are_named_embedded_and_predicted(tmp_path: Path) -> None:
    run = isotone.fit((X, Y), method="baseline", out=tmp_path / "r", **FAST)
    inputs, names = run.inputs(X[:4])
    assert names.tolist() == ["row 0", "row 1", "row 2", "row 3"]
    np.testing.assert_array_equal(inputs, X[:4])
    assert len(run.embed(X[:4])) == 4
    assert run.predict(X[:4]).shape == (4,)
    assert run.metrics["rows"][0]["target"] == "target"
    own = same_data(run.folder, (X, Y), run.settings, Beside(), quiet=True)
    assert own.fingerprint == read_data((X, Y), run.settings, Beside(), quiet=True).dataset.fingerprint
    with pytest.raises(ConfigError) as found:
        same_data(run.folder, (X, Y + 1), run.settings, Beside(), quiet=True)
    assert str(found.value) == (
        f"the data are not those that {run.folder} was started with. Bring them back, or start a new run with --out."
    )
