"""Columns and rows of a reader's table, with the types that pandas does not tell."""

from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Bool


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column."""
    return cast(pd.Series, frame[name])


def listed(frame: pd.DataFrame, name: str) -> list[str]:
    """Return a column of text."""
    return [str(cell) for cell in column(frame, name)]


def kept(frame: pd.DataFrame, good: Bool[np.ndarray, " n"]) -> pd.DataFrame:
    """Return the rows that are good, numbered anew.

    Example:
        >>> kept(pd.DataFrame({"a": [1, 2]}), np.array([False, True])).to_dict("list")
        {'a': [2]}
    """
    return cast(pd.DataFrame, frame[good]).reset_index(drop=True)
