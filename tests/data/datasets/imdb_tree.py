"""Write a tiny IMDB-WIKI: MATLAB's nested arrays beside the images that they name."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

Draw = Callable[..., None]
ROWS = 12  # of each part


def cells(texts: list[str]) -> np.ndarray:
    """Return texts as MATLAB's cells."""
    cells = np.empty((1, len(texts)), dtype=object)
    cells[0, :] = texts
    return cells


def born(year: int, month: int = 3, day: int = 1) -> float:
    """Return a birth date as MATLAB counts days."""
    return float(date(year, month, day).toordinal() + 366)


def write_crop(base: Path, part: str, draw: Draw, **changed: Any) -> dict[str, Any]:
    """Twelve images of three people, born in 1950 and later, photographed in 2000; `changed` replaces fields."""
    names = ["Fred Astaire", "Zoë Kravitz", f"Only {part}"] * 4
    paths = [f"{i % 3:02}/nm{i}_1950-3-1_2000.jpg" for i in range(ROWS)]
    fields: dict[str, Any] = {
        "dob": np.array([[born(1950 + i) for i in range(ROWS)]]),
        "photo_taken": np.full((1, ROWS), 2000, dtype=np.uint16),
        "full_path": cells(paths),
        "gender": np.array([[1.0, 0.0, np.nan] * 4]),
        "name": cells(names),
        "face_score": np.full((1, ROWS), 2.5),
        "second_face_score": np.full((1, ROWS), np.nan),
    }
    if part == "imdb":
        fields |= {"celeb_id": np.array([[1.0, 2.0, 3.0] * 4]), "celeb_names": cells(names[:3])}
    for path in paths:
        draw(base / f"{part}_crop" / path)
    savemat(base / f"{part}_crop" / f"{part}.mat", {part: fields | changed})
    return fields
