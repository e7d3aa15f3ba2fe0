"""Columns and rows with their types."""

import numpy as np
import pandas as pd

from isotone.data.datasets.frames import column, kept, listed


def test_columns_and_rows() -> None:
    frame = pd.DataFrame({"a": ["x", "y", "z"], "b": [1, 2, 3]}, index=[5, 6, 7])
    assert column(frame, "b").tolist() == [1, 2, 3]
    assert listed(frame, "b") == ["1", "2", "3"]
    found = kept(frame, np.array([True, False, True]))
    assert found.index.tolist() == [0, 1]
    assert found["a"].tolist() == ["x", "z"]
    assert kept(frame, np.zeros(3, dtype=bool)).columns.tolist() == ["a", "b"]
