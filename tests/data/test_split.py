"""Splits: no group on two sides, fractions met, the target's range shared, errors where that cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isotone.data.split import (
    SIDES,
    looks_like_group,
    read_sides,
    shared_groups,
    split_groups,
    split_labelled,
    split_rows,
)
from isotone.errors import DataError


def counts(side: np.ndarray) -> list[int]:
    return [int((side == name).sum()) for name in SIDES]


def skewed(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(n, 1))


@pytest.mark.parametrize("seed", range(5))
def test_row_counts_meet_the_fractions(seed: int) -> None:
    assert counts(split_rows(1000, skewed(1000, seed), None, 0.15, 0.15, seed)) == [700, 150, 150]
    assert counts(split_rows(1000, skewed(1000, seed), None, 0.05, 0.3, seed)) == [650, 50, 300]


@pytest.mark.parametrize("seed", range(5))
def test_every_side_sees_every_tenth_of_the_target(seed: int) -> None:
    target = skewed(1000, seed)
    side = split_rows(1000, target, None, 0.15, 0.15, seed)
    tenth = np.argsort(np.argsort(target[:, 0])) // 100
    for name, expected in (("val", 15), ("test", 15)):
        found = np.bincount(tenth[side == name], minlength=10)
        assert abs(found - expected).max() <= 3  # a plain random split strays by 10


@pytest.mark.parametrize("seed", range(10))
def test_groups_stay_whole(seed: int) -> None:
    draw = np.random.default_rng(seed)
    group = draw.zipf(1.6, 300).clip(max=60).astype(str)  # many small groups, few large ones
    side = split_rows(300, draw.normal(size=(300, 1)), group, 0.15, 0.15, seed)
    for name in np.unique(group):
        assert len(set(side[group == name].tolist())) == 1
    assert shared_groups(side, group) == 0
    assert min(counts(side)) >= 2


def test_groups_of_equal_size_meet_the_fractions() -> None:
    group = np.repeat(np.arange(100), 7).astype(str)
    assert counts(split_rows(700, skewed(700, 0), group, 0.15, 0.15, 0)) == [490, 105, 105]


def test_group_medians_are_shared_out() -> None:
    group = np.repeat(np.arange(200), 5).astype(str)
    target = np.repeat(np.arange(200.0), 5)[:, None]
    side = split_rows(1000, target, group, 0.15, 0.15, 3)
    means = [target[side == name].mean() for name in SIDES]
    assert max(means) - min(means) < 5  # of a range of 200


def test_three_groups_are_enough() -> None:
    group = np.repeat(["a", "b", "c"], 10)
    side = split_rows(30, skewed(30, 0), group, 0.15, 0.15, 0)
    assert sorted(counts(side)) == [10, 10, 10]


def test_the_seed_and_nothing_else_draws() -> None:
    target = skewed(200, 0)
    first = split_rows(200, target, None, 0.15, 0.15, 0)
    assert np.array_equal(first, split_rows(200, target, None, 0.15, 0.15, 0))
    assert not np.array_equal(first, split_rows(200, target, None, 0.15, 0.15, 1))


def test_ties_and_several_targets() -> None:
    assert counts(split_rows(100, np.zeros((100, 1)), None, 0.15, 0.15, 0)) == [70, 15, 15]
    both = np.random.default_rng(0).normal(size=(100, 2))
    assert counts(split_rows(100, both, None, 0.15, 0.15, 0)) == [70, 15, 15]


NONE = np.empty((1000, 0))


@pytest.mark.parametrize("seed", range(5))
def test_every_side_has_the_shares_of_the_classes(seed: int) -> None:
    draw = np.random.default_rng(seed)
    category = draw.choice(5, 1000, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    side = split_rows(1000, NONE, None, 0.15, 0.15, seed, category)
    assert counts(side) == [700, 150, 150]
    for name in ("val", "test"):
        found = np.bincount(category[side == name], minlength=5)
        assert abs(found - 0.15 * np.bincount(category)).max() <= 1  # a plain random split strays by 10


def test_the_seed_draws_the_split_of_classes_too() -> None:
    category = np.arange(1000) % 7
    first = split_rows(1000, NONE, None, 0.15, 0.15, 0, category)
    assert np.array_equal(first, split_rows(1000, NONE, None, 0.15, 0.15, 0, category))
    assert not np.array_equal(first, split_rows(1000, NONE, None, 0.15, 0.15, 1, category))


def test_small_classes_do_not_all_end_on_one_side() -> None:
    category = np.arange(300) // 3
    side = split_rows(300, np.empty((300, 0)), None, 0.15, 0.15, 0, category)
    assert counts(side) == [210, 45, 45]
    assert len(set(category[side == "train"].tolist())) == 100  # every class is trained on


def test_groups_of_several_classes_count_as_their_most_frequent() -> None:
    category = np.tile([2, 0, 2, 1, 1, 0, 0, 0], 50)
    group = np.repeat(np.arange(200), 2).astype(str)  # 2 0, 2 1, 1 0, 0 0 in turn: as 0, 1, 0, 0 (the first of equals)
    side = split_rows(400, np.empty((400, 0)), group, 0.2, 0.2, 0, category)
    assert shared_groups(side, group) == 0
    for name in ("val", "test"):
        found = np.bincount(np.tile([0, 1, 0, 0], 50)[side[::2] == name], minlength=2)
        assert abs(found - np.array([30, 10])).max() <= 1


def test_without_labels_the_split_is_drawn_at_random() -> None:
    side = split_rows(1000, NONE, None, 0.15, 0.15, 0)
    assert counts(side) == [700, 150, 150]
    thirds = [int((part == "test").sum()) for part in np.split(side[:999], 3)]
    assert max(thirds) - min(thirds) < 40  # four standard errors of a difference: 4 sqrt(2 * 333 * .15 * .85) = 37
    group = np.repeat(np.arange(250), 4).astype(str)
    assert shared_groups(split_rows(1000, NONE, group, 0.15, 0.15, 0), group) == 0


def test_rows_without_label_are_trained_on() -> None:
    labelled = np.arange(1000) % 4 == 0
    target = np.where(labelled[:, None], skewed(1000, 0), np.nan)
    side = split_labelled(labelled, target, None, 0.2, 0.2, 0)
    assert set(side[~labelled].tolist()) == {"train"}
    assert counts(side[labelled]) == [150, 50, 50]
    assert np.array_equal(side[labelled], split_rows(250, target[labelled], None, 0.2, 0.2, 0))


def test_rows_without_label_stay_with_their_group() -> None:
    group = np.repeat(np.arange(100), 10).astype(str)
    labelled = np.tile(np.arange(10) < 3, 100)
    labelled[-200:] = False  # 20 groups have no label at all
    category = np.where(labelled, np.arange(1000) % 2, -1)
    side = split_labelled(labelled, NONE, group, 0.2, 0.2, 0, category)
    for name in np.unique(group):
        assert len(set(side[group == name].tolist())) == 1
    assert set(side[-200:].tolist()) == {"train"}
    assert counts(side[:800]) == [480, 160, 160]


def test_where_all_are_labelled_the_split_is_that_of_the_rows() -> None:
    group = np.repeat(np.arange(200), 5).astype(str)
    for given in (None, group):
        one = split_labelled(np.ones(1000, dtype=bool), skewed(1000, 0), given, 0.15, 0.15, 3)
        assert np.array_equal(one, split_rows(1000, skewed(1000, 0), given, 0.15, 0.15, 3))


def test_small_tables_fill_each_side() -> None:
    for seed in range(20):
        assert min(counts(split_rows(10, skewed(10, seed), None, 0.05, 0.05, seed))) == 2


def test_too_few_groups() -> None:
    with pytest.raises(DataError) as caught:
        split_rows(20, skewed(20, 0), np.repeat(["a", "b"], 10), 0.15, 0.15, 0)
    assert str(caught.value) == (
        "table: 20 rows in 2 groups cannot fill train, validation and test without sharing a group. "
        "Add groups (3 at least), name another --group, or give a --split-column."
    )


def test_too_few_rows() -> None:
    with pytest.raises(DataError) as caught:
        split_rows(4, skewed(4, 0), None, 0.15, 0.15, 0)
    assert str(caught.value) == "table: 4 rows cannot fill train, validation and test. Add rows."


def test_groups_that_share_content_are_joined() -> None:
    group = np.array(["a", "b", "c", "c", "d"])
    content = np.array(["1", "2", "2", "3", "4"])
    joined = split_groups(group, content)
    assert joined is not None
    assert joined[1] == joined[2] == joined[3]
    assert len(set(joined.tolist())) == 3


def test_no_copies_leave_the_groups_as_they_are() -> None:
    group = np.array(["a", "a"])
    assert split_groups(group, np.array(["1", "2"])) is group
    assert split_groups(group, None) is group
    assert split_groups(None, np.array(["1", "2"])) is None
    assert split_groups(None, np.array(["1", "1"])) is not None


def test_shared_groups_counts_test_groups_seen_in_training() -> None:
    split = np.array(["train", "train", "val", "test", "test"])
    assert shared_groups(split, np.array(["a", "b", "c", "a", "c"])) == 1


def test_words_for_the_sides() -> None:
    words = ["train", "TRAINING", "val", "Valid", "validation", "dev", "test", " Testing ", "hold-out", ""]
    sides = ["train", "train", "val", "val", "val", "val", "test", "test", "", ""]
    assert read_sides(np.array(words)).tolist() == sides


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("fetus", [f"{i % 30:03}" for i in range(40)], True),
        ("subject_id", [str(i // 4) for i in range(40)], True),
        ("CamId", [str(i % 5) for i in range(40)], True),
        ("author", [f"name {i // 2}" for i in range(60)], True),  # 30 texts that repeat
        ("age", [str(i // 2) for i in range(100)], False),  # integers repeat for many reasons
        ("weight", [f"{i // 2}.5" for i in range(100)], False),
        ("sex", ["f", "m"] * 20, False),
        ("person", ["a", "b"] * 20, False),
        ("patient", [str(i) for i in range(40)], False),  # all different
        ("image_id", [str(i) for i in range(39)] + ["0"], False),  # nearly all different
        ("colour", ["red", "green", "blue", "grey"] * 10, False),
    ],
)
def test_columns_that_look_like_a_group(name: str, values: list[str], expected: bool) -> None:
    assert looks_like_group(name, np.array(values)) is expected


def test_of_real_tables_only_the_fetus_looks_like_a_group(shared_data: Path) -> None:
    found = {
        name: [
            str(column) for column in frame.columns if looks_like_group(str(column), frame[column].to_numpy(np.str_))
        ]
        for name in ("hc18", "bccd")
        for frame in (pd.read_csv(shared_data / name / "labels.csv", dtype=str),)
    }
    assert found == {"hc18": ["fetus"], "bccd": []}
