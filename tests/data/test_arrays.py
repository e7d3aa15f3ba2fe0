"""Arrays of every layout load; every wrong one is refused in full text."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from isotone.data.arrays import array_inputs, fingerprint, load_arrays
from isotone.data.settings import DataSettings
from isotone.errors import DataError, IsotoneError, ShapeError

Build = Callable[..., DataSettings]
N = 20
Y = np.arange(N, dtype=np.float32)
DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
PLAIN = DataSettings()


def load(X: object, y: object = Y, **more: object) -> object:
    return load_arrays(X, y, settings=PLAIN, seed=0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "X",
    [
        IMAGES,
        IMAGES.transpose(0, 3, 1, 2),
        IMAGES.astype(np.int64),
        (IMAGES / 255.0).astype(np.float32),
        torch.from_numpy(IMAGES),
        torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255.0,
        IMAGES.tolist(),
    ],
    ids=["nhwc", "nchw", "int64", "float", "torch", "torch float nchw", "lists"],
)
def test_image_layouts_become_the_same_bytes(X: object) -> None:
    inputs = array_inputs(X, "image", (6, 5, 3))
    assert inputs.dtype == np.uint8
    assert np.array_equal(inputs, IMAGES)


def test_grey_images_get_a_channel() -> None:
    grey = IMAGES[..., 0]
    assert np.array_equal(array_inputs(grey, "image", (6, 5, 1))[..., 0], grey)
    assert np.array_equal(array_inputs(grey[:, None], "image", (6, 5, 1))[..., 0], grey)


@pytest.mark.parametrize(
    "X", [np.eye(N), np.eye(N, dtype=int), torch.eye(N), pd.DataFrame(np.eye(N)), np.eye(N).tolist()]
)
def test_rows_become_float32(X: object) -> None:
    inputs = array_inputs(X, "rows", (N,))
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, np.eye(N))


def test_a_data_set_of_arrays() -> None:
    groups = np.arange(N) // 2
    data = load_arrays(IMAGES, Y, groups=groups, settings=PLAIN, seed=0)
    assert (data.name, data.kind, data.target.shape, data.target.dtype) == ("arrays", "image", (N, 1), "float64")
    assert (data.target_names, data.group_name, data.label[3], data.row[3]) == (("target",), "groups", "row 3", 3)
    assert (data.split[0::2] == data.split[1::2]).all()
    assert data.fingerprint == fingerprint(data.inputs, data.target, data.split)


def test_names_come_from_data_frames() -> None:
    y = pd.DataFrame({"a": Y, "b": -Y})
    data = load_arrays(np.eye(N), y, groups=pd.Series(range(N), name="who"), settings=PLAIN, seed=0)
    assert (data.target_names, data.group_name) == (("a", "b"), "who")
    assert load_arrays(np.eye(N), y["b"], settings=PLAIN, seed=0).target_names == ("b",)
    assert load_arrays(np.eye(N), y.to_numpy(), settings=PLAIN, seed=0).target_names == ("target_1", "target_2")
    assert load_arrays(np.eye(N), Y, target_names=["age"], settings=PLAIN, seed=0).target_names == ("age",)


def test_a_given_split_is_followed() -> None:
    words = ["train"] * 16 + ["dev"] * 2 + ["TEST"] * 2
    data = load_arrays(np.eye(N), Y, split=words, settings=PLAIN, seed=0)
    assert data.split.tolist() == ["train"] * 16 + ["val"] * 2 + ["test"] * 2


def test_the_fingerprint_sees_every_part() -> None:
    parts = (np.eye(3, dtype=np.float32), np.ones((3, 1)), np.array(["train", "val", "test"]))
    first = fingerprint(*parts)
    assert fingerprint(parts[0] + 1, parts[1], parts[2]) != first
    assert fingerprint(parts[0], parts[1] + 1, parts[2]) != first
    assert fingerprint(parts[0], parts[1], parts[2][::-1]) != first


def test_what_else_there_is_counts_in_the_fingerprint_by_its_name() -> None:
    parts = (np.eye(3, dtype=np.float32), np.ones((3, 1)), np.array(["train", "val", "test"]))
    first, words = fingerprint(*parts), np.array(["a", "b", "c"])
    assert fingerprint(*parts, category=None, sequence=None, time=None, second=None) == first
    other = [fingerprint(*parts, category=words), fingerprint(*parts, sequence=words)]
    other += [fingerprint(*parts, time=np.arange(3.0)), fingerprint(*parts, second=np.eye(3, dtype=np.float32))]
    other += [fingerprint(*parts, category=words[::-1]), fingerprint(*parts, category=words, sequence=words)]
    assert len({first, *other}) == 7


def test_the_fingerprint_of_runs_made_before_is_the_same() -> None:
    data = load_arrays(np.arange(40.0).reshape(20, 2), Y, settings=PLAIN, seed=0)
    # as the first release computed it; another value would refuse to resume every run made until now
    assert data.fingerprint == "becb7423910359063fe178501ed4080cf73cc884fe1c31eee305cc3dfd7ade07"


def test_classes_become_codes() -> None:
    names = ["ant", "cat"] * 10
    data = load_arrays(np.eye(N), names, category=True, settings=PLAIN, seed=0)
    assert (data.classes, data.category_name, data.target_names, data.target.shape) == (
        ("ant", "cat"),
        "category",
        (),
        (N, 0),
    )
    assert data.category is not None
    assert data.category.tolist() == [0, 1] * 10
    assert len(data.labelled("val")) == len(data.rows("val")) == 3
    named = load_arrays(np.eye(N), np.arange(N) % 2, settings=DataSettings(category="kind"), seed=0)
    assert (named.classes, named.category_name) == (("0", "1"), "kind")


def test_rows_without_a_label_are_trained_on() -> None:
    y = np.where(np.arange(N) < 12, np.arange(N) % 2, -1)
    data = load_arrays(np.eye(N), y, category=True, settings=DataSettings(unlabelled=True), seed=0)
    assert data.category is not None
    assert (data.category[12:] == -1).all()
    assert set(data.split[12:].tolist()) == {"train"}
    assert data.classes == ("0", "1")
    real = load_arrays(np.eye(N), np.where(y < 0, np.nan, Y), settings=DataSettings(unlabelled=True), seed=0)
    assert np.isnan(real.target[12:]).all()
    assert set(real.split[12:].tolist()) == {"train"}


def test_no_labels_at_all() -> None:
    data = load_arrays(np.eye(N), settings=PLAIN, seed=0)
    assert (data.target.shape, data.category, data.target_names) == ((N, 0), None, ())
    assert {side: len(data.rows(side)) for side in ("train", "val", "test")} == {"train": 14, "val": 3, "test": 3}
    assert len(data.labelled("train")) == 0


def test_signals_and_sequences() -> None:
    x = np.arange(N * 6).reshape(N, 2, 3)
    data = load_arrays(x, Y, signal=True, sequence=np.arange(N) // 5, settings=PLAIN, seed=0)
    assert (data.kind, data.inputs.dtype, data.inputs.shape) == ("signal", "float32", (N, 2, 3))
    assert np.array_equal(data.inputs, x)
    assert data.sequence is not None
    assert data.time is not None
    assert data.time[:7].tolist() == [0, 1, 2, 3, 4, 0, 1]
    flat = load_arrays(x[:, 0], Y, settings=DataSettings(signal="x"), seed=0)
    assert (flat.kind, flat.inputs.shape) == ("signal", (N, 1, 3))
    assert array_inputs(x, "signal", (2, 3)).dtype == np.float32
    assert load_arrays(x[:, 0], Y, settings=PLAIN, seed=0).kind == "rows"


def with_nan(values: np.ndarray) -> np.ndarray:
    out = values.astype(np.float32)
    out[3] = np.nan
    return out


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: load(np.zeros(N)),
            "X must be images (n, h, w), (n, h, w, c) or (n, c, h, w), or rows (n, f), but has shape (20,). "
            "Reshape it; one number a sample is X[:, None].",
        ),
        (
            lambda: load(np.zeros((N, 3, 8, 3), np.uint8)),
            "X must be images (n, h, w, c) or (n, c, h, w) with c = 1 or 3, but has shape (20, 3, 8, 3): either axis 1 "
            "or axis 3 can be the channels. Move the channels last and make every side of the image at least 4 pixels.",
        ),
        (
            lambda: load(np.zeros((N, 8, 8, 4), np.uint8)),
            "X must be images (n, h, w, c) or (n, c, h, w) with c = 1 or 3, but has shape (20, 8, 8, 4): neither axis "
            "1 nor axis 3 is 1 or 3 channels. Move the channels last and make every side of the image at least 4 "
            "pixels.",
        ),
        (
            lambda: load(IMAGES.astype(np.float32)),
            "Images of float32 must lie from 0 to 1, but X goes from 0 to 255. Divide by 255, all images by the same "
            "factor.",
        ),
        (
            lambda: load(IMAGES.astype(np.uint16) * 257),
            "Images of uint16 must lie from 0 to 255, but X goes from 0 to 65535. Scale them to 0 to 255, all images "
            "by the same factor.",
        ),
        (lambda: load(with_nan(IMAGES / 255)), "X holds NaN or infinity in row 3. Correct or remove them."),
        (lambda: load(with_nan(np.eye(N))), "X holds NaN or infinity in row 3. Correct or remove them."),
        (
            lambda: load(np.full((N, 2), 1e300)),
            "X holds NaN or infinity in rows 0, 1, 2, 3, 4 and 15 more. Correct or remove them.",
        ),
        (lambda: load(np.zeros((0, 4))), "X is empty: it has shape (0, 4). Give it at least one row."),
        (
            lambda: load([[1, 2], [3]]),
            "X must be an array, but its rows differ in length. Make them equally long.",
        ),
        (
            lambda: load(np.array([[None, 1]] * N, dtype=object)),
            "X must be numbers, but holds mixed Python objects. Convert it with X.astype(float), or leave out what is "
            "no number.",
        ),
        (
            lambda: load(np.zeros((N, 2, 3, 4)), signal=True),
            "X must be signals (n, c, t) or (n, t), but has shape (20, 2, 3, 4). Reshape it.",
        ),
        (
            lambda: load(with_nan(np.zeros((N, 2, 3))), signal=True),
            "X holds NaN or infinity in row 3. Correct or remove them.",
        ),
        (
            lambda: array_inputs(np.zeros((N, 2, 3)), "signal", (2, 4)),
            "The model was trained on signal of shape (2, 4), but X holds signal of shape (2, 3). "
            "Give X the shape of the training data.",
        ),
        (
            lambda: load(np.eye(N), ["a"] * N, category=True),
            "column 'category': is 'a' in every row, so there are no classes to tell apart. Choose another category.",
        ),
        (
            lambda: load(np.eye(N), ["old"] * N),
            "y must be numbers, but holds text. Convert it with y.astype(float), or say with category that it holds "
            "classes.",
        ),
        (lambda: load(np.eye(N), Y[:5]), "y must have one entry for each of the 20 rows of X, but has 5."),
        (lambda: load(np.eye(N), with_nan(Y)), "y holds NaN or infinity in row 3. Correct or remove them."),
        (
            lambda: load(np.eye(N), np.zeros((N, 1, 1))),
            "y must have shape (n,) or (n, k), but has (20, 1, 1). Reshape it.",
        ),
        (
            lambda: load(np.eye(N), np.ones(N)),
            "column 'target': is 1 in every row, so there is nothing to predict. Choose another target.",
        ),
        (lambda: load(np.eye(5), Y[:5]), "table: 5 usable rows are too few. Give at least 10."),
        (
            lambda: load(np.eye(N), groups=["a"] * 3),
            "groups must have one entry for each of the 20 rows of X, but has 3.",
        ),
        (
            lambda: load(np.eye(N), groups=[None, *range(1, N)]),
            "groups is missing in row 0. Fill it in or remove the rows.",
        ),
        (
            lambda: load(np.eye(N), groups=["a", "b"] * 10),
            "table: 20 rows in 2 groups cannot fill train, validation and test without sharing a group. "
            "Add groups (3 at least), name another --group, or give a --split-column.",
        ),
        (
            lambda: load(np.eye(N), split=["train", "hold"] * 10),
            "table: 'hold' in split is no side of a split. Write train, val or test.",
        ),
        (
            lambda: load(np.eye(N), split=np.zeros((N, 2))),
            "split must have shape (n,), but has (20, 2). Give one entry for each row of X.",
        ),
        (
            lambda: load(np.eye(N), target_names=["a", "b"]),
            "target_names must name the 1 columns of y one by one, but is ['a', 'b'].",
        ),
        (
            lambda: array_inputs(np.eye(N), "image", (8, 8, 1)),
            "The model was trained on image of shape (8, 8, 1), but X holds rows of shape (20,). "
            "Give X the shape of the training data.",
        ),
        (
            lambda: array_inputs(IMAGES, "image", (8, 8, 3)),
            "The model was trained on image of shape (8, 8, 3), but X holds image of shape (6, 5, 3). "
            "Give X the shape of the training data.",
        ),
    ],
)
def test_malformed_arrays_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(IsotoneError) as caught:
        build()
    assert isinstance(caught.value, ShapeError | DataError)
    assert str(caught.value) == message
