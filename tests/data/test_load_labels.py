"""Tables with classes, without labels, with a second input, with sequences: what they become."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from isotone.data.audit import format_problems
from isotone.data.load import load_table
from isotone.data.settings import DataSettings
from isotone.data.split import shared_groups
from isotone.errors import DataError

Build = Callable[..., DataSettings]
Edit = Callable[[int, str, str], None]
TABLE = "labels.csv"


def classes(folder: Path, names: list[str]) -> None:
    """Write a class for each row of the sound table in place of its age."""
    lines = ["image,kind,person,side"]
    for i, name in enumerate(names):
        lines.append(f"images/{i}.png,{name},p{i // 2:02},{('train', 'train', 'val', 'test')[i // 2 % 4]}")
    (folder / TABLE).write_text("\n".join(lines) + "\n")


KINDS = {"target": (), "category": "kind", "group": "person"}


def test_classes_load_as_codes(folder: Path, settings: Build) -> None:
    classes(folder, ["cat", "cat", "ant", "ant"] * 6)
    data, found = load_table(folder / TABLE, settings(**KINDS), 0)
    assert found.problems == ()
    assert (data.classes, data.category_name, data.target_names) == (("ant", "cat"), "kind", ())
    assert data.category is not None
    assert data.category[:4].tolist() == [1, 1, 0, 0]
    assert (data.target.shape, data.target.dtype) == ((24, 0), "float64")
    for side in ("val", "test"):
        assert set(data.category[data.rows(side)].tolist()) == {0, 1}
    assert len(data.labelled("train")) == len(data.rows("train"))


def test_classes_are_in_the_fingerprint(folder: Path, settings: Build) -> None:
    names = ["cat", "cat", "ant", "ant"] * 6
    run = settings(**KINDS, split_column="side")
    classes(folder, names)
    first = load_table(folder / TABLE, run, 0)[0].fingerprint
    assert load_table(folder / TABLE, run, 0)[0].fingerprint == first
    classes(folder, [*names[:-1], "cat"])
    assert load_table(folder / TABLE, run, 0)[0].fingerprint != first
    classes(folder, [name.replace("cat", "dog") for name in names])  # the same codes
    assert load_table(folder / TABLE, run, 0)[0].fingerprint != first


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["cat"] * 24,
            "column 'kind': is 'cat' in every row, so there are no classes to tell apart. Choose another category.",
        ),
        ([""] * 24, "column 'kind': is empty in every row. Choose another category."),
        (
            ["cat", "ant"] * 11 + ["", "cat"],
            "line 24, column 'kind', images/22.png: is empty. Name its class or remove the row; with --unlabelled such "
            "rows are kept, to be trained on without a label.",
        ),
    ],
)
def test_faulty_classes_are_refused(names: list[str], message: str, folder: Path, settings: Build) -> None:
    classes(folder, names)
    with pytest.raises(DataError) as caught:
        load_table(folder / TABLE, settings(**KINDS), 0)
    assert format_problems(caught.value.problems) == message


def test_rows_without_a_class_are_kept_to_be_trained_on(folder: Path, settings: Build) -> None:
    names = ["cat", "", "ant", "", "cat", "cat", "", ""] * 3
    classes(folder, names)
    (folder / "images" / "23.png").write_bytes(
        (folder / "images" / "0.png").read_bytes()
    )  # an unlabelled copy of a labelled row
    for seed in range(5):
        data, found = load_table(folder / TABLE, settings(**KINDS, unlabelled=True), seed)
        assert {problem.kind for problem in found.problems} == {"same-content"}
        assert data.category is not None
        assert data.category.tolist() == [{"cat": 1, "ant": 0, "": -1}[name] for name in names]
        assert data.group is not None
        assert shared_groups(data.split, data.group) == 0
        assert data.split[23] == data.split[0]
        assert set(data.split[6:8].tolist()) == {"train"}  # a group without any label
        assert min(len(data.labelled(side)) for side in ("train", "val", "test")) >= 2


def test_a_given_split_is_followed_without_labels_too(folder: Path, settings: Build) -> None:
    run = settings(**KINDS, unlabelled=True, split_column="side")
    classes(folder, ["cat", "", "ant", "", "cat", "cat", "ant", ""] * 3)
    data = load_table(folder / TABLE, run, 0)[0]
    assert {side: len(data.labelled(side)) for side in ("train", "val", "test")} == {"train": 6, "val": 6, "test": 3}
    assert len(data.rows("test")) == 6
    classes(folder, ["cat", "ant", "ant", "", "cat", "cat", "", ""] * 3)
    with pytest.raises(DataError) as caught:
        load_table(folder / TABLE, run, 0)
    assert str(caught.value) == (
        "table: 0 usable rows with a label are marked test. Mark at least 2, or leave the split column out to have "
        "one drawn."
    )


def test_few_labels_are_counted_as_such(folder: Path, settings: Build) -> None:
    classes(folder, ["cat", "ant", "", ""] * 2 + [""] * 16)
    with pytest.raises(DataError) as caught:
        load_table(folder / TABLE, settings(**KINDS, unlabelled=True), 0)
    assert str(caught.value) == "table: 4 usable rows with a label are too few. Give at least 10."


def test_targets_can_be_missing_too(folder: Path, settings: Build, edit: Edit) -> None:
    for line in (4, 5, 9):
        edit(line, f"{18 + line}.5", "")
    data, found = load_table(folder / TABLE, settings(unlabelled=True, group="person"), 0)
    assert found.problems == ()
    assert np.flatnonzero(np.isnan(data.target[:, 0])).tolist() == [2, 3, 7]
    assert sum(len(data.labelled(side)) for side in ("train", "val", "test")) == 21


def test_no_labels_at_all(folder: Path, settings: Build) -> None:
    data, found = load_table(folder / TABLE, settings(target=(), group="person"), 0, labels="optional")
    assert found.problems == ()
    assert (data.target.shape, data.category, data.target_names) == ((24, 0), None, ())
    assert data.group is not None
    assert shared_groups(data.split, data.group) == 0
    assert {side: len(data.labelled(side)) for side in ("train", "val", "test")} == {"train": 0, "val": 0, "test": 0}
    (folder / "images" / "3.png").unlink()
    with pytest.raises(DataError, match="does not exist"):
        load_table(folder / TABLE, settings(target=()), 0, labels="optional")


def second_images(folder: Path) -> None:
    frame = pd.read_csv(folder / TABLE)
    frame["other"] = [f"images/{23 - i}.png" for i in range(24)]
    frame.to_csv(folder / TABLE, index=False)


def test_a_second_image_column(folder: Path, settings: Build) -> None:
    second_images(folder)
    seen: list[tuple[int, int]] = []
    run = settings(group="person", second="other")
    data, found = load_table(folder / TABLE, run, 0, progress=lambda done, total: seen.append((done, total)))
    assert found.problems == ()
    assert data.second is not None
    assert (data.second_kind, data.second.shape) == ("image", (24, 8, 8, 1))
    assert np.array_equal(data.second, data.inputs[::-1])
    assert seen == [(24, 96), (48, 96), (72, 96), (96, 96)]


def test_the_second_image_has_problems_and_channels_of_its_own(folder: Path, settings: Build, edit: Edit) -> None:
    second_images(folder)
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(colour).save(folder / "images" / "colour.png")
    edit(2, "images/23.png", "images/colour.png")
    edit(3, "images/22.png", "images/none.png")
    run = settings(group="person", second="other", image_column="image", on_bad="skip")
    data, found = load_table(folder / TABLE, run, 0)
    assert [str(problem) for problem in found.problems] == [
        "line 3, column 'other', images/none.png: does not exist. "
        "Correct the name (there is '9.png') or remove the row."
    ]
    assert data.second is not None
    assert (data.inputs.shape, data.second.shape) == ((23, 8, 8, 1), (23, 8, 8, 3))
    assert np.array_equal(data.second[0], colour)


def test_sequences_and_times_load(folder: Path, settings: Build) -> None:
    frame = pd.read_csv(folder / TABLE).assign(when=lambda table: 2.0 * np.arange(len(table)))
    frame.to_csv(folder / TABLE, index=False)
    data, _ = load_table(folder / TABLE, settings(group="person", sequence="person", time="when"), 0)
    assert (data.sequence is not None, data.time is not None) == (True, True)
    assert data.sequence[:3].tolist() == ["p00", "p00", "p01"]
    assert data.time[:3].tolist() == [0.0, 2.0, 4.0]
    (folder / "images" / "2.png").unlink()
    left = load_table(folder / TABLE, settings(group="person", sequence="person", on_bad="skip"), 0)[0]
    assert left.time[:4].tolist() == [0.0, 1.0, 1.0, 0.0]  # the row left out keeps its place in time


def test_cifar10_classes(shared_data: Path, folder: Path, settings: Build) -> None:
    frame = pd.read_parquet(shared_data / "cifar10" / "test.parquet").head(200)
    frame.to_parquet(folder / "small.parquet")
    data, found = load_table(folder / "small.parquet", settings(target=(), category="label", image_size=32), 0)
    assert found.problems == ()
    assert data.classes == tuple(map(str, range(10)))
    assert data.category is not None
    assert data.category.tolist() == frame["label"].tolist()
