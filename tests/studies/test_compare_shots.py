"""The table of common and rare targets: what it holds, when there is none, and how its bins are said."""

import math

import numpy as np

from isotone.studies.arms import Arm, Trained
from isotone.studies.compare_shots import mean_of, shot_tables
from isotone.studies.judging import Judged, Score, judge_arms
from isotone.studies.kept import Kept

ARMS = (Arm("baseline-l1", "L1", "end to end", Trained("baseline", "l1")), Arm("median", "median", "constant"))
TRAINED = np.repeat([1.0, 2.0, 3.0], [300, 50, 5])[:, None]


def _judged(test: list[list[float]], trained: np.ndarray = TRAINED) -> Judged:
    """Judge L1, which errs by the target, and a median, which errs by 10, on the test targets of each seed."""
    kept: dict[tuple[str, int], Kept] = {}
    for seed, values in enumerate(test):
        y = np.tile(np.array(values * 2)[:, None], trained.shape[1])
        row, split = np.arange(len(y)), np.repeat(["val", "test"], len(values))
        for arm, error in zip(ARMS, (y, 10.0), strict=True):
            kept[arm.name, seed] = Kept(row, row.astype(str), split, np.zeros(0, str), y, y + error)
    names = ("y", "z")[: trained.shape[1]]
    return judge_arms(ARMS, kept, [trained] * len(test), targets=names, task="numbers", group=None)


def test_the_table_is_the_mean_over_the_seeds_that_have_such_rows() -> None:
    (table,) = shot_tables(_judged([[1.0, 1, 1, 2], [1.0, 1, 2, 3]]))
    assert table.title == "Error where training targets are common, rare: MAE (y)"
    assert table.columns == ("arm", "all", "common", "medium", "rare", "balanced")
    # all (5/4 + 7/4) / 2, balanced (3/2 + 2) / 2; rare rows are in the second seed alone
    assert table.rows == (("L1", "1.5", "1", "2", "3", "1.75"), ("median", "10", "10", "10", "10", "10"))
    assert table.note == (
        "Common: the bin of the target has more than 100 training rows; rare: fewer than 20. Bins are 1 wide, as "
        "published. Balanced: the mean over the bins of the mean error in each. Test rows a seed: 2 to 3 common, 1 "
        "medium, 0 to 1 rare. Means over the seeds, without intervals: where rows are few, a difference may be luck."
    )


def test_a_kind_without_rows_is_a_dash_and_other_bins_are_said() -> None:
    trained = np.repeat([0.25, 1.75], [60, 8])[:, None]  # 16 bins, 68 // 16 rows each
    (table,) = shot_tables(_judged([[0.25, 0.25, 9.0]], trained))
    assert table.rows[0] == ("L1", "3.167", "0.250", "-", "9", "4.625")
    assert table.note.startswith(
        "Common: the bin of the target has more than 4 training rows (the equal share); rare: fewer than 1 (a fifth of "
        "it). Bins are 0.1 wide, for these data; the published bins of 1 do not fit them. "
    )
    assert "Test rows a seed: 2 common, 1 rare." in table.note


def test_there_is_no_table_where_all_rows_are_of_one_kind() -> None:
    assert shot_tables(_judged([[1.0, 1.0]])) == ()
    assert shot_tables(Judged((), (), ("classes have no bins",))) == ()


def test_targets_have_a_table_each() -> None:
    trained = np.concatenate([TRAINED, np.repeat(1.0, len(TRAINED))[:, None]], axis=1)
    assert [table.title[-3:] for table in shot_tables(_judged([[1.0, 2.0]], trained))] == ["(y)", "(z)"]
    assert [table.title[-3:] for table in shot_tables(_judged([[1.0, 3.0]], trained[:, ::-1]))] == ["(y)", "(z)"]


def test_what_is_undefined_in_a_seed_stays_undefined() -> None:
    own = [Score(ARMS[0], seed, "y", 4, {"r2": r2, "mae_few": r2}) for seed, r2 in enumerate((0.5, math.nan))]
    assert mean_of(own, "mae_few") == 0.5
    assert math.isnan(mean_of(own, "r2"))
    assert math.isnan(mean_of(own[1:], "mae_few"))
