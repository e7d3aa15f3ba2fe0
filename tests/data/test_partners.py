"""Partners: neighbours in time are those of the definition, drawn evenly, and the same whatever the batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from isotone.data.arrays import load_arrays
from isotone.data.partners import Neighbours, neighbour_views, neighbours, second_views
from isotone.data.settings import DataSettings
from isotone.data.views import Views
from isotone.errors import DataError
from isotone.records import Dataset

N = 40


@pytest.fixture
def dataset() -> Dataset:
    """Four recordings of ten windows, one step apart; window i of recording r is 10 r + i everywhere."""
    inputs = np.arange(N, dtype=np.float32)[:, None, None] * np.ones((1, 2, 30), np.float32)
    words = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    recording = np.repeat(list("abcd"), 10)
    return load_arrays(
        inputs, split=words, sequence=recording, time=np.arange(N) % 10, signal=True, settings=DataSettings(), seed=0
    )


def slow(sequence: np.ndarray, time: np.ndarray, rows: np.ndarray, lag: float, row: int) -> set[int]:
    apart = np.abs(time[rows] - time[row])
    return set(rows[(sequence[rows] == sequence[row]) & (apart > 0) & (apart <= lag + 1e-9)].tolist())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lag", [0.1, 0.3, 100.0])
def test_neighbours_are_those_of_the_definition(seed: int, lag: float) -> None:
    draw = np.random.default_rng(seed)
    sequence = draw.integers(0, 6, 150).astype(str)
    time = np.round(draw.random(150) * 5, 1)  # ties, and differences that rounding makes a little larger than the lag
    rows = np.flatnonzero(draw.random(150) < 0.6)
    found = Neighbours(sequence, time, rows, lag=lag)
    for row in range(150):
        expected = slow(sequence, time, rows, lag, row)
        count = max(1, len(expected))
        every = found.pick(np.full(count, row), (np.arange(count) + 0.5) / count)
        assert sorted(every.tolist()) == sorted(expected or {row})
    alone = [not slow(sequence, time, rows, lag, int(row)) for row in rows]
    assert found.share_alone == pytest.approx(np.mean(alone))


def test_the_order_of_the_rows_does_not_matter() -> None:
    draw = np.random.default_rng(0)
    sequence, time = draw.integers(0, 3, 60), draw.random(60)
    rows, u = np.arange(60), draw.random(60)
    picked = Neighbours(sequence, time, rows, lag=0.2).pick(rows, u)
    assert np.array_equal(Neighbours(sequence, time, draw.permutation(rows), lag=0.2).pick(rows, u), picked)


def test_the_largest_number_stays_inside() -> None:
    found = Neighbours(np.zeros(5), np.arange(5.0), np.arange(5), lag=2.0)
    assert found.pick(np.arange(5), np.full(5, 1 - 2.0**-53)).tolist() == [2, 3, 4, 4, 3]
    assert found.pick(np.arange(5), np.zeros(5)).tolist() == [1, 0, 0, 1, 2]


def test_large_times_keep_their_neighbours() -> None:
    found = Neighbours(np.zeros(3), 1.7e9 + np.array([0.0, 0.1, 0.2]), np.arange(3), lag=0.1)  # seconds since 1970
    assert found.count(np.arange(3)).tolist() == [1, 2, 1]


def test_no_neighbour_at_all_names_the_smallest_difference() -> None:
    with pytest.raises(DataError) as caught:
        Neighbours(np.array(["a", "a", "b", "b"]), np.array([0.0, 2.5, 2.6, 9]), np.arange(4), lag=1.0)
    assert str(caught.value) == (
        "table: no training row has a neighbour at most 1 away in time (--lag): rows of a sequence are at least 2.5 "
        "apart. Pass --lag 2.5 or more."
    )
    for rows in (np.arange(4), np.arange(0)):
        with pytest.raises(DataError) as caught:
            Neighbours(np.array(["a", "a", "b", "c"]), np.array([0.0, 0, 1, 2]), rows, lag=1.0)
        assert str(caught.value) == (
            "table: no training row has a neighbour at most 1 away in time (--lag): no two rows of a sequence differ "
            "in time. Look at --sequence and --time."
        )


def test_partners_are_views_of_training_neighbours(dataset: Dataset) -> None:
    make = neighbour_views(dataset, Views("signal"), lag=2.0, seed=0)
    rows = np.arange(20)
    seen: set[int] = set()
    for epoch in range(30):
        partners = make(rows, epoch)
        assert partners.shape == (1, 20, 2, 30)
        picked = partners[0, :, 0, 0].mul(0.5).add(0.5).round().long().numpy()  # undoes mean and std 0.5
        apart = picked - rows
        assert (np.abs(apart) <= 2).all()
        assert (apart != 0).all()
        assert (picked // 10 == rows // 10).all()
        seen.add(int(picked[5]))
    assert seen == {3, 4, 6, 7}
    assert neighbours(dataset, 2.0).share_alone == 0


def test_a_row_has_one_partner_an_epoch_whatever_the_batch(dataset: Dataset) -> None:
    make = neighbour_views(dataset, Views("signal", augment=("mild",)), lag=2.0, seed=0)
    rows = np.arange(20)
    whole = make(rows, 3)
    assert torch.equal(make(rows[[7, 2]], 3), whole[:, [7, 2]])
    assert not torch.equal(make(rows, 4), whole)
    assert not torch.equal(neighbour_views(dataset, Views("signal", augment=("mild",)), 2.0, 1)(rows, 3), whole)


def test_partners_are_augmented_with_numbers_of_their_own(dataset: Dataset) -> None:
    views, rows = Views("signal", augment=("scale",), mean=(0.0,), std=(1.0,)), np.arange(1, 10)
    pairs = replace(dataset, inputs=np.ones_like(dataset.inputs))
    raw = torch.from_numpy(pairs.inputs[rows])
    own = views.random(raw, rows, 0, 1)
    assert not torch.equal(neighbour_views(pairs, views, 2.0, 0)(rows, 0), own)
    assert not torch.equal(second_views(replace(pairs, second=pairs.inputs, second_kind="signal"), views)(rows, 0), own)


def test_second_inputs_are_paired_row_by_row(dataset: Dataset) -> None:
    pairs = replace(dataset, second=-dataset.inputs, second_kind="signal")
    make = second_views(pairs, Views("signal", mean=(0.0,), std=(1.0,)))
    rows = np.array([7, 0, 31])
    assert make(rows, 0)[0, :, 0, 0].tolist() == [-7.0, 0.0, -31.0]


def test_several_views_are_all_of_one_partner(dataset: Dataset) -> None:
    dataset = replace(dataset, inputs=dataset.inputs + 1)
    views, rows = Views("signal", augment=("scale",), mean=(0.0,), std=(1.0,)), np.arange(1, 20)
    three = neighbour_views(dataset, views, 2.0, 0, count=3)(rows, 0)
    assert three.shape == (3, 19, 2, 30)
    assert torch.equal(three[:1], neighbour_views(dataset, views, 2.0, 0)(rows, 0))
    spread = three[:, :, 0, 0] / three[0, :, 0, 0]
    assert ((spread > 0.8 / 1.2) & (spread < 1.2 / 0.8)).all()
    assert not torch.equal(three[0], three[1])
    pairs = replace(dataset, second=dataset.inputs, second_kind="signal")
    assert second_views(pairs, views, count=2)(rows, 0).shape == (2, 19, 2, 30)


def test_real_recordings_have_neighbours_within_their_recording(shared_data: Path) -> None:
    recording = np.load(shared_data / "troika" / "windows.npz", allow_pickle=False)["recording"]
    time = np.concatenate([np.arange((recording == name).sum()) for name in dict.fromkeys(recording.tolist())])
    found = Neighbours(recording, time.astype(float), np.arange(len(recording)), lag=1.0)
    picked = found.pick(np.arange(len(recording)), np.random.default_rng(0).random(len(recording)))
    assert found.share_alone == 0
    assert (recording[picked] == recording).all()
    assert set(np.abs(time[picked] - time).tolist()) == {1}
