"""One group held out, and the split of deep imbalanced regression."""

import numpy as np
import pytest

from isotone.data.datasets.sides import dir_split, held_out
from isotone.errors import DataError


def test_the_rule_of_dir() -> None:
    draw = np.random.default_rng(0)
    age = draw.integers(0, 90, 3000) * (draw.random(3000) < 0.9)  # a tenth of the rows have age 0
    age = age.astype(float)
    age[5] = np.nan
    side = dir_split(age, most=30)
    for value in np.unique(age[np.isfinite(age)]):
        n = int((age == value).sum())
        size = min(n // 3, 30)
        counts = {name: int((side[age == value] == name).sum()) for name in ("train", "val", "test")}
        assert counts == {"train": n - 2 * size, "val": size, "test": size}
    assert side[5] == "train"
    assert (dir_split(age, most=30) == side).all()
    assert (dir_split(age, most=30, seed=1) != side).any()


def test_dir_has_as_many_rows_as_were_published() -> None:
    # of AgeDB's ages, 2,140 validation and 2,140 test rows were published; a table of 100 ages in which 71 are frequent
    # has 71 x 30 = 2,130 and the rare ones a third each
    age = np.repeat(np.arange(100.0), [150] * 71 + [3] * 10 + [2] * 19)
    side = dir_split(age, most=30)
    assert [(side == name).sum() for name in ("val", "test")] == [2140, 2140]


def test_dir_never_holds_out_ages_outside_0_to_120() -> None:
    # wrong birth dates make ages up to 186 in IMDB-WIKI; the published scripts go through the ages 0 to 120 alone
    age = np.repeat([-3.0, 0.0, 60.0, 120.0, 121.0, 180.0], 90)
    side = dir_split(age, most=20)
    assert {value: int((side[age == value] != "train").sum()) for value in np.unique(age)} == {
        -3.0: 0,
        0.0: 40,
        60.0: 40,
        120.0: 40,
        121.0: 0,
        180.0: 0,
    }
    within = (age >= 0) & (age <= 120)
    assert (dir_split(age[within], most=20) == side[within]).all()  # they draw nothing either


def test_a_group_is_held_out_whole_and_the_others_validate_by_group() -> None:
    draw = np.random.default_rng(0)
    group = np.array([f"p{i:02}" for i in range(15)]).repeat(20)
    target = draw.normal(size=(300, 2))
    side = held_out(group == "p07", target, group, 0.15)
    assert (side[group == "p07"] == "test").all()
    for name in np.unique(group):
        assert len(np.unique(side[group == name])) == 1
    assert 20 <= (side == "val").sum() <= 60
    assert (held_out(group == "p07", target, group, 0.15) == side).all()


def test_rows_without_a_target_go_with_their_group() -> None:
    group = np.array(list("abcdef")).repeat(4)
    target = np.arange(24.0)[:, None]
    target[::4] = np.nan
    side = held_out(group == "a", target, group, 0.3)
    for name in np.unique(group):
        assert len(np.unique(side[group == name])) == 1


def test_too_few_other_groups() -> None:
    with pytest.raises(DataError) as caught:
        held_out(np.array([True, False, False]), np.zeros((3, 1)), np.array(["a", "b", "c"]), 0.15)
    assert str(caught.value) == (
        "table: 2 rows in 2 groups cannot fill train, validation and test without sharing a group. Add groups (3 at "
        "least), name another --group, or give a --split-column."
    )
