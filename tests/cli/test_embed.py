"""`embed`: one row of numbers for each row, in three formats."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npy"])
def test_the_rows_are_the_runs_features(finished: tuple[Path, Path], tmp_path: Path, cli: Cli, suffix: str) -> None:
    table, run = finished
    out = tmp_path / f"z{suffix}"
    status, _, said = cli("embed", run, table, "--out", out)
    assert status == 0, said
    if suffix == ".npy":
        z = np.load(out)
    else:
        frame = pd.read_parquet(out) if suffix == ".parquet" else pd.read_csv(out)
        assert frame["label"].iloc[0] == "0.png"
        z = frame.drop(columns="label").to_numpy()
    kept = np.load(run / "features.npz")
    np.testing.assert_allclose(z[kept["index"]], kept["h"], rtol=1e-4, atol=1e-5)


def test_an_unknown_format_is_named(finished: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    status, _, said = cli("embed", finished[1], finished[0], "--out", tmp_path / "z.xlsx")
    assert status == 2
    assert said == "isotone: --out must end in .parquet, .csv, .npy, got 'z.xlsx'.\n"
