"""Real data for any method by its name, as a user has them: a table of images, rows of numbers, signals.

Each row has all that a method may need: a class, a number, a track of eight rows, a second input. `write_digits` writes
scikit-learn's digits in all forms, `write_outside` photographs and recordings that are not part of this project.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from pyarrow.parquet import ParquetFile
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
STEADY = {"paired": "0.02"}  # at 0.1 two sensors of a wrist fall back to chance after five steps without a warm-up


def write_digits(folder: Path) -> None:
    """Write `images.csv` with its PNGs and columns of numbers, and `signals.npz`, the same rows read line by line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(("image", "second", "class", "number", "track", *COLUMNS))]
    images, digits = _digits()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
        Image.fromarray(255 - image).save(folder / f"second-{i}.png")
        blocks = image.reshape(4, SIDE // 4, 4, SIDE // 4).mean((1, 3)).flatten()
        grey, *features = (f"{x:.4f}" for x in (image.mean(), *blocks))
        lines.append(",".join((f"{i}.png", f"second-{i}.png", str(digits[i]), grey, f"track {i // 8}", *features)))
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    signal = images[:, ::2, ::2].reshape(ROWS, 1, -1).astype(np.float32)  # 256 samples
    np.savez(
        folder / "signals.npz",
        signal=signal,
        second=255 - signal[:, :, ::-1],
        number=signal.mean((1, 2)),
        track=np.array([f"track {i // 8}" for i in range(ROWS)]),
        **{"class": digits.astype(str)},
    )


def write_outside(folder: Path, data: Path) -> None:
    """Write `images.csv` of photographs, and `signals.npz` of a wrist: light through the skin, acceleration as second.

    Args:
        folder: where to.
        data: with `cifar10` and `troika`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    some = next(ParquetFile(data / "cifar10" / "test.parquet").iter_batches(ROWS)).to_pydict()
    lines = ["image,class,number"]
    for i, (image, name) in enumerate(zip(some["image"], some["class_name"], strict=True)):
        (folder / f"{i}.jpg").write_bytes(image["bytes"])
        lines.append(f"{i}.jpg,{name},{np.asarray(Image.open(folder / f'{i}.jpg')).mean():.4f}")
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    with np.load(data / "troika" / "windows.npz", allow_pickle=False) as found:
        rows = np.concatenate([np.flatnonzero(found["recording"] == who)[:8] for who in np.unique(found["recording"])])
        signal, bpm, who = (found[name][rows[:ROWS]] for name in ("signal", "bpm", "recording"))
    fast = np.where(np.median(bpm) < bpm, "fast", "slow")
    second, signal = signal[:, 2:].astype(np.float32), signal[:, :2].astype(np.float32)
    np.savez(folder / "signals.npz", signal=signal, second=second, number=bpm, track=who, **{"class": fast})


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
        folder: of the tables, as written by one of the functions above.
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
        needs += ["--second", "second"]
    if "teacher" in method.needs:
        needs += ["--teacher", str(teacher)]
    made = ["fit", str(table), "--method", name, *inputs, *needs, *label, *SMALL.get(name, [])]
    views = method.__dataclass_fields__["views"].default
    steady = ["--batch-size", "64", "--passes", str(steps * views), "--warmup", "0", "--norm", "group"]
    steady += ["--lr", STEADY.get(name, "0.1")]
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
        return ["--target", "number"]
    return ["--category", "class"] if kind != "signal" or needs_label(method) else []
