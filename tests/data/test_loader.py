import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from isotone.data import loader
from isotone.data.loader import epoch_batches, load_batches
from isotone.errors import ConfigError, DataError
from isotone.records import Dataset


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8), allow_pickle=False)
    inputs = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    names = np.array([f"{i}.png" for i in range(20)])
    split = np.full(20, "train")
    return Dataset("t", "image", inputs, rng.normal(size=(20, 2)), ("a", "b"), split, names, np.arange(20))


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("isotone-data")]


def test_an_epoch_holds_every_row_once_in_an_order_of_its_own():
    rows = np.arange(100, 120)
    first = epoch_batches(rows, 5, seed=0, epoch=0)
    assert [len(batch) for batch in first] == [5] * 4
    assert sorted(np.concatenate(first)) == rows.tolist()
    assert np.array_equal(first, epoch_batches(rows, 5, seed=0, epoch=0))
    assert not np.array_equal(first, epoch_batches(rows, 5, seed=0, epoch=1))
    assert not np.array_equal(first, epoch_batches(rows, 5, seed=1, epoch=0))


def test_the_incomplete_batch_is_dropped_and_a_large_batch_reduced():
    assert [len(batch) for batch in epoch_batches(np.arange(11), 4, 0, 0)] == [4, 4]
    assert [len(batch) for batch in epoch_batches(np.arange(3), 4, 0, 0)] == [3]
    assert [len(batch) for batch in epoch_batches(np.arange(4), 4, 0, 0)] == [4]


def test_impossible_batches_are_refused():
    with pytest.raises(ConfigError) as error:
        epoch_batches(np.arange(3), 0, 0, 0)
    assert str(error.value) == "Expected a batch size of at least 1, got 0. Set `batch_size`, for example 64."
    with pytest.raises(DataError) as error:
        epoch_batches(np.arange(0), 2, 0, 0)
    assert str(error.value) == "Expected at least one row to make batches of, got none. Look at the split of the data."


def test_two_workers_yield_what_none_yields(dataset):
    batches = epoch_batches(dataset.rows("train"), 6, 0, 0)
    alone, helped = list(load_batches(dataset, batches, 0)), list(load_batches(dataset, batches, 2))
    assert len(alone) == len(helped) == 3
    for batch, one, two in zip(batches, alone, helped, strict=True):
        assert np.array_equal(batch, one[0])
        assert np.array_equal(batch, two[0])
        assert torch.equal(one[1], two[1])
        assert torch.equal(one[2], two[2])
        assert one[1].dtype == torch.uint8
        assert one[2].dtype == torch.float64
        assert np.array_equal(one[1].numpy(), dataset.inputs[batch])
    assert not readers()


def test_workers_end_when_the_iterator_is_left(dataset):
    loaded = load_batches(dataset, [np.array([i]) for i in range(20)], 2)
    next(loaded)
    assert len(readers()) == 2
    loaded.close()
    assert not readers()


def test_no_more_is_read_than_may_be_ahead(dataset, monkeypatch):
    read, real = [], loader._read
    monkeypatch.setattr(loader, "_read", lambda data, index: read.append(int(index[0])) or real(data, index))
    loaded = load_batches(dataset, [np.array([i]) for i in range(20)], 2)
    next(loaded)
    assert len(read) <= 1 + 2 * 2
    assert len(list(loaded)) == 19


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_error_comes_when_its_batch_is_due(dataset, workers):
    loaded = load_batches(dataset, [np.array([0]), np.array([99]), np.array([1])], workers)
    next(loaded)
    with pytest.raises(IndexError, match=r"^index 99 is out of bounds for axis 0 with size 20$"):
        next(loaded)
    assert not readers()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_yielded_is_a_copy(dataset, workers):
    data = replace(dataset, inputs=np.array(dataset.inputs))
    _, inputs, target = next(load_batches(data, [np.array([0])], workers))
    before = data.inputs.copy(), data.target.copy()
    inputs.zero_()
    target.zero_()
    assert np.array_equal(data.inputs, before[0])
    assert np.array_equal(data.target, before[1])


def test_the_global_generator_stays(dataset):
    before = torch.get_rng_state()
    list(load_batches(dataset, [np.array([0])], 1))
    assert torch.equal(torch.get_rng_state(), before)


def test_negative_workers_are_refused(dataset):
    with pytest.raises(ConfigError) as error:
        load_batches(dataset, [], -1)
    assert str(error.value) == "Expected 0 or more data workers, got -1. Set `workers` to 0 to use none."
