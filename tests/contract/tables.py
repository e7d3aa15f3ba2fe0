"""Real data for any method by its name, as a user has them: scikit-learn's digits in a table of PNGs, and as signals.

Each row has all that a method may need: a class, a number, a track of eight rows, a second input, and 16 columns.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from isotone.methods import METHODS
from isotone.methods.needs import needs_label
from isotone.records import Kind, Method

ROWS, SIDE = 48, 32
KINDS = [(name, kind) for name in METHODS for kind in METHODS[name].kinds]
COLUMNS = tuple(f"f{i}" for i in range(16))
# defaults are for more rows, and for more patience
SMALL = {"moco": ["--queue", "8"], "jigsaw": ["--permutations", "8"], "clusterfit": ["--clusters", "4"]}
LESS = {"cpc": ["--grid", "3", "--steps", "2", "--hidden", "16"]}


def write_tables(folder: Path) -> None:
    """Write `images.csv` with its PNGs, and `signals.npz`, the same rows read line by line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(("image", "negative", "digit", "grey", "track", *COLUMNS))]
    images, digits = _digits()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
        Image.fromarray(255 - image).save(folder / f"negative-{i}.png")
        blocks = image.reshape(4, SIDE // 4, 4, SIDE // 4).mean((1, 3)).flatten()
        numbers = (f"{x:.4f}" for x in (image.mean(), *blocks))
        grey, *features = numbers
        lines.append(",".join((f"{i}.png", f"negative-{i}.png", str(digits[i]), grey, f"track {i // 8}", *features)))
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    signal = images[:, ::2, ::2].reshape(ROWS, 1, -1).astype(np.float32)  # 256 samples
    np.savez(
        folder / "signals.npz",
        signal=signal,
        negative=255 - signal[:, :, ::-1],
        digit=digits.astype(str),
        grey=signal.mean((1, 2)),
        track=np.array([f"track {i // 8}" for i in range(ROWS)]),
    )


def words(
    folder: Path,
    name: str,
    kind: Kind,
    *,
    steps: int,
    teacher: Path | None = None,
    label: Sequence[str] | None = None,
) -> list[str]:
    """Return what to type for a run whose steps are all on all training rows: `fit TABLE --method NAME ...`.

    Args:
        folder: of the tables.
        name: of the method.
        kind: of the input.
        steps: of the run.
        teacher: folder of a run, for methods that need one.
        label: flag and column; None takes classes for images, numbers for rows and none for signals, where the method
            leaves the choice; numbers too where it takes images alone.
    """
    method = METHODS[name]
    label = _label(method, kind) if label is None else label
    table = folder / ("signals.npz" if kind == "signal" else "images.csv")
    inputs = {
        "image": ["--image-column", "image", "--image-size", str(SIDE)],
        "rows": ["--features", ",".join(COLUMNS)],
        "signal": ["--signal", "signal"],
    }[kind]
    needs: list[str] = []
    if "sequence" in method.needs:
        needs += ["--sequence", "track"]
    if "second" in method.needs:
        needs += ["--second", "negative"]
    if "teacher" in method.needs:
        needs += ["--teacher", str(teacher)]
    made = ["fit", str(table), "--method", name, *inputs, *needs, *label, *SMALL.get(name, [])]
    views = method.__dataclass_fields__["views"].default
    steady = ["--batch-size", "64", "--passes", str(steps * views), "--lr", "0.1", "--warmup", "0", "--norm", "group"]
    return [*made, *LESS.get(name, []), *steady, "--cache-dir", str(folder / "cache")]


# ----------------------------------------------------------------------------------------------------------------------


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    images = np.kron(found.images[:ROWS], np.ones((SIDE // 8, SIDE // 8))) * (255 / 16)
    return images.astype(np.uint8), found.target[:ROWS]


def _label(method: type[Method], kind: Kind) -> list[str]:
    numbers = kind == "rows" or method.kinds == ("image",)  # a head of numbers is fitted faster
    if "target" in method.needs or (numbers and "category" not in method.needs):
        return ["--target", "grey"]
    return ["--category", "digit"] if kind != "signal" or needs_label(method) else []
