"""Tables of arrays: the input and the columns are found, and every file that is none ends in one clear message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isotone.data.load import load_inputs, load_table
from isotone.data.npz import read_npz
from isotone.data.settings import DataSettings
from isotone.data.table import read_table
from isotone.errors import DataError

N = 20
SIGNAL = np.random.default_rng(0).normal(size=(N, 2, 8)).astype(np.float16)
BPM = np.arange(N, dtype=np.float32)
WHO = np.array([f"r{i // 2}" for i in range(N)])
BY_BPM = DataSettings(target=("bpm",))


def write(folder: Path, **arrays: object) -> Path:
    path = folder / "t.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_the_only_array_of_two_axes_or_more_is_the_input(tmp_path: Path) -> None:
    found = read_npz(write(tmp_path, x=SIGNAL, bpm=BPM, who=WHO, rate=62.5, other=np.arange(3)), BY_BPM)
    assert found.signal == "x"
    assert found.inputs["x"].dtype == np.float32
    assert np.array_equal(found.inputs["x"], SIGNAL)
    assert found.cells.header == ["bpm", "who"]
    assert found.cells.columns[1].tolist() == WHO.tolist()
    assert found.cells.lines.tolist() == list(range(N))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint16", "int64", "bool"])
def test_numbers_of_every_type_become_float32(tmp_path: Path, dtype: str) -> None:
    x = (np.arange(N * 3).reshape(N, 3) % 100).astype(dtype)
    found = read_npz(write(tmp_path, x=x, bpm=BPM), BY_BPM).inputs["x"]
    assert (found.dtype, found.shape) == ("float32", (N, 1, 3))
    assert np.array_equal(found[:, 0], x)


def test_columns_can_be_the_input(tmp_path: Path) -> None:
    run = DataSettings(target=("bpm",), features=("a", "b"))
    path = write(tmp_path, a=BPM + 1, b=-BPM, bpm=BPM, x=SIGNAL)
    data, _ = load_table(path, run, 0)
    assert (data.kind, data.inputs[3].tolist()) == ("rows", [4.0, -3.0])
    inputs, names = load_inputs(write(tmp_path, a=BPM[:5], b=BPM[:5]), run)
    assert (inputs.shape, names[2]) == ((5, 2), "row 2")


def test_an_npz_becomes_a_data_set(tmp_path: Path) -> None:
    path = write(tmp_path, x=SIGNAL, y=SIGNAL[:, 0], bpm=BPM, who=WHO)
    run = DataSettings(target=("bpm",), signal="x", second="y", group="who", sequence="who")
    data, found = load_table(path, run, 0)
    assert found.problems == ()
    assert (data.kind, data.second_kind, data.label[17], data.row[17]) == ("signal", "signal", "row 17", 17)
    assert (data.inputs.shape, data.inputs.dtype) == ((N, 2, 8), "float32")
    assert np.array_equal(data.second[:, 0], SIGNAL[:, 0])
    assert data.sequence.tolist() == WHO.tolist()
    assert data.time.tolist() == [0.0, 1.0] * 10
    assert (data.split[::2] == data.split[1::2]).all()


def test_the_second_input_is_in_the_fingerprint(tmp_path: Path) -> None:
    run = DataSettings(target=("bpm",), signal="x", second="y")
    first = load_table(write(tmp_path, x=SIGNAL, y=SIGNAL, bpm=BPM), run, 0)[0].fingerprint
    assert load_table(write(tmp_path, x=SIGNAL, y=SIGNAL, bpm=BPM), run, 0)[0].fingerprint == first
    assert load_table(write(tmp_path, x=SIGNAL, y=SIGNAL + 1, bpm=BPM), run, 0)[0].fingerprint != first


def test_new_data_needs_only_the_signals(tmp_path: Path) -> None:
    run = DataSettings(target=("bpm",), signal="x", second="y", group="who", sequence="who", time="when")
    inputs, names = load_inputs(write(tmp_path, x=SIGNAL[:3], z=SIGNAL), run)
    assert (inputs.shape, names.tolist()) == ((3, 2, 8), ["row 0", "row 1", "row 2"])


def test_signals_that_are_not_finite_are_problems_of_their_rows(tmp_path: Path) -> None:
    x = SIGNAL.astype(np.float64)
    x[0, 1, 3], x[7, 0, 0] = np.nan, 1e300  # the second is infinite in single precision
    run = DataSettings(target=("bpm",), on_bad="skip")
    data, found = load_table(write(tmp_path, x=x, bpm=BPM), run, 0)
    assert [(problem.row, problem.column, problem.what) for problem in found.problems] == [
        (0, "x", "holds NaN or infinity"),
        (7, "x", "holds NaN or infinity"),
    ]
    assert data.row.tolist() == [i for i in range(N) if i not in (0, 7)]


def test_cells_of_an_array_are_checked_as_those_of_a_table(tmp_path: Path) -> None:
    bpm = np.where(np.arange(N) == 4, np.nan, BPM)
    with pytest.raises(DataError) as caught:
        load_table(write(tmp_path, x=SIGNAL, bpm=bpm), BY_BPM, 0)
    assert [(p.kind, p.row, p.column, p.what) for p in caught.value.problems] == [
        ("target-missing", 4, "bpm", "is empty")
    ]


FAULTS: dict[str, tuple[dict[str, object], DataSettings, str]] = {
    "two": (
        {"a": SIGNAL, "b": SIGNAL, "bpm": BPM},
        BY_BPM,
        "t.npz: has 2 arrays that can be the input: a, b. Name one with --signal.",
    ),
    "none": (
        {"bpm": BPM},
        BY_BPM,
        "t.npz: has no array (n, c, t) or (n, t) of signals; its arrays are bpm (20,). "
        "Add one, or name columns of numbers with --features.",
    ),
    "misspelt": (
        {"signal": SIGNAL, "bpm": BPM},
        DataSettings(target=("bpm",), signal="signals"),
        "t.npz: has no array 'signals' (--signal). The nearest name is 'signal'.",
    ),
    "no second": (
        {"x": SIGNAL, "bpm": BPM},
        DataSettings(target=("bpm",), second="other"),
        "t.npz: has no array 'other' (--second). Its arrays are x (20, 2, 8), bpm (20,).",
    ),
    "four axes": (
        {"x": np.zeros((N, 2, 2, 2)), "bpm": BPM},
        BY_BPM,
        "t.npz: 'x' (--signal) has shape (20, 2, 2, 2), where signals are (n, c, t) or (n, t). "
        "Reshape it, and give it at least one row.",
    ),
    "no rows": (
        {"x": SIGNAL[:0], "bpm": BPM[:0]},
        BY_BPM,
        "t.npz: 'x' (--signal) has shape (0, 2, 8), where signals are (n, c, t) or (n, t). "
        "Reshape it, and give it at least one row.",
    ),
    "text": (
        {"x": np.full((N, 2), "a"), "bpm": BPM},
        BY_BPM,
        "t.npz: 'x' (--signal) holds text, no numbers. Save it as float32.",
    ),
    "objects": (
        {"x": SIGNAL, "bpm": BPM.astype(object)},
        BY_BPM,
        "t.npz: 'bpm' holds Python objects, which are never read. "
        "Save it as numbers or text: x.astype(float) or x.astype(str).",
    ),
    "length": (
        {"x": SIGNAL, "bpm": BPM[:3]},
        BY_BPM,
        "t.npz: 'bpm' has shape (3,), but 'x' has 20 rows. Give each row one entry.",
    ),
    "second length": (
        {"x": SIGNAL, "y": SIGNAL[:3], "bpm": BPM},
        DataSettings(target=("bpm",), signal="x", second="y"),
        "t.npz: 'y' has shape (3, 2, 8), but 'x' has 20 rows. Give each row one entry.",
    ),
    "no target": (
        {"x": SIGNAL, "bpm": BPM},
        DataSettings(target=("bmp",)),
        "t.npz: has no column 'bmp' (--target). The nearest name is 'bpm'.",
    ),
    "no feature": (
        {"a": BPM, "bpm": BPM},
        DataSettings(target=("bpm",), features=("q",)),
        "t.npz: has no column 'q' (--features). Its columns are a, bpm.",
    ),
    "images": (
        {"x": SIGNAL, "bpm": BPM},
        DataSettings(target=("bpm",), image_column="file"),
        "t.npz: holds no images, but 'file' (--image-column) is to name some. "
        "Leave --image-column out: the input of a .npz file is --signal or --features.\n",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_arrays_are_refused(fault: str, tmp_path: Path) -> None:
    arrays, settings, message = FAULTS[fault]
    with pytest.raises(DataError) as caught:
        load_table(write(tmp_path, **arrays), settings, 0)
    assert str(caught.value) == message.strip()


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, SIGNAL, allow_pickle=False)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "text": lambda path: path.write_text("hello"),
    "one array": lambda path: one_array(path),
    "flipped": lambda path: path.write_bytes(path.read_bytes().replace(b"NUMPY", b"NAMPY")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    path = write(tmp_path, x=SIGNAL, bpm=BPM)
    DAMAGES[damage](path)
    with pytest.raises(DataError) as caught:
        read_table(path, BY_BPM)
    assert str(caught.value) == "t.npz: is damaged or no .npz file. Write it again with np.savez."


def test_real_recordings_of_the_wrist(shared_data: Path) -> None:
    run = DataSettings(target=("bpm",), group="recording", sequence="recording")
    data, found = load_table(shared_data / "troika" / "windows.npz", run, 0)
    assert found.problems == ()
    assert (data.kind, data.inputs.shape, data.inputs.dtype) == ("signal", (1726, 5, 500), "float32")
    assert len(set(data.sequence.tolist())) == 12
    assert set(data.split.tolist()) == {"train", "val", "test"}
