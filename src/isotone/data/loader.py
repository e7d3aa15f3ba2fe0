"""The order of an epoch, and its batches read ahead from the memory map by worker threads.

The order is a pure function of (seed, epoch) and augmentation comes later, on the device, so a worker only copies
bytes: the number of workers changes nothing but the speed. Threads are enough for that (NumPy's `take` copies without
the interpreter's lock), and unlike processes they start at once, share the memory map on every platform and cannot be
killed one by one.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from isotone.errors import ConfigError, DataError
from isotone.randomness import uniform
from isotone.records import Dataset

RawBatch = tuple[np.ndarray, Tensor, Tensor]
AHEAD = 2  # batches that each worker may be ahead: what is held in memory at most


def epoch_batches(rows: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of one epoch: every row at most once, in an order that depends on (seed, epoch) alone.

    The last batch is dropped when it is smaller than the others, so that every step has the same number of candidates.
    With fewer rows than `batch_size` there is one batch of all rows.

    Args:
        rows: (n,) row indices of the data set.
        batch_size: samples in a batch, at least 1.
        seed: of the run.
        epoch: counted from 0.

    Returns:
        n // batch_size arrays of `batch_size` rows, or one array of n.

    Raises:
        ConfigError: `batch_size` is below 1.
        DataError: there are no rows.

    Example:
        >>> [batch.tolist() for batch in epoch_batches(np.arange(7), 3, seed=0, epoch=0)]
        [[1, 5, 4], [6, 2, 3]]
    """
    if batch_size < 1:
        raise ConfigError(f"Expected a batch size of at least 1, got {batch_size}. Set `batch_size`, for example 64.")
    if len(rows) == 0:
        raise DataError("Expected at least one row to make batches of, got none. Look at the split of the data.")
    # sorted hashes instead of a generator's shuffle, which may change between versions of NumPy
    order = rows[np.argsort(uniform(rows, 1, "order", seed, epoch)[:, 0], kind="stable")]
    size = min(batch_size, len(rows))
    return [order[first : first + size] for first in range(0, len(rows) - size + 1, size)]


def load_batches(dataset: Dataset, batches: Sequence[np.ndarray], workers: int) -> Iterator[RawBatch]:
    """Yield the batches in their order, read ahead by `workers` threads.

    The threads end with the iterator, also when it is left early. An error in one of them is raised here, when its
    batch is due.

    Args:
        dataset: where to read from.
        batches: row indices, each array one batch.
        workers: threads; 0 reads each batch when it is asked for.

    Yields:
        index (b,); inputs (b, ...) as stored (uint8 images, float32 rows), always a copy; target (b, k) float64.

    Raises:
        ConfigError: `workers` is negative.

    Example:
        >>> text = np.array(["a", "b"])
        >>> data = Dataset("x", "rows", np.eye(2, dtype=np.float32), np.eye(2), ("p", "q"), text, text, np.arange(2))
        >>> [inputs.tolist() for _, inputs, _ in load_batches(data, [np.array([1]), np.array([0])], workers=2)]
        [[[0.0, 1.0]], [[1.0, 0.0]]]
    """
    if workers < 0:
        raise ConfigError(f"Expected 0 or more data workers, got {workers}. Set `workers` to 0 to use none.")
    if workers == 0:
        return (_read(dataset, batch) for batch in batches)
    return _read_ahead(dataset, batches, workers)


# ----------------------------------------------------------------------------------------------------------------------


def _read(dataset: Dataset, index: np.ndarray) -> RawBatch:
    # np.asarray takes the memory map's class off the copy
    inputs = np.asarray(np.take(dataset.inputs, index, axis=0))
    target = np.asarray(np.take(dataset.target, index, axis=0), dtype=np.float64)
    return index, torch.from_numpy(inputs), torch.from_numpy(target)


def _read_ahead(dataset: Dataset, batches: Sequence[np.ndarray], workers: int) -> Iterator[RawBatch]:
    waiting: deque[Future[RawBatch]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="isotone-data")
    try:
        for batch in batches:
            waiting.append(pool.submit(_read, dataset, batch))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
