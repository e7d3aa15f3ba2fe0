"""The queue against a plain list of rows, and its promises: explicit updates, exact resume, named mistakes.

Processes are tested in tests/distributed/test_sources.py.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from isotone.candidates.queue import Queue
from isotone.errors import ConfigError, ShapeError
from isotone.records import Tags


@pytest.fixture
def unhooked(request: pytest.FixtureRequest) -> None:
    """Skip a test of refused shapes where the type-checking hook, which is not there for users, refuses them first."""
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("the type-checking hook refuses the argument first")


def _rows(n: int, seed: int = 0) -> tuple[Tensor, Tags]:
    make = torch.Generator().manual_seed(seed)
    category, instance = torch.randint(0, 9, (2, n), generator=make)
    target = torch.rand(n, 2, generator=make, dtype=torch.float64)
    return torch.randn(n, 3, generator=make), Tags(instance=instance, category=category, target=target)


def _full(size: int) -> Queue:
    return Queue(size, 3, target=2, category=True, instance=True)


def _held(queue: Queue) -> list[tuple[float, ...]]:
    """Every row with all of its tags, as a sorted list."""
    found = queue.candidates()
    tags = found.tags
    assert tags.target is not None
    assert tags.category is not None
    assert tags.instance is not None
    parts = (found.embeddings.double(), tags.target, tags.category[:, None], tags.instance[:, None])
    return sorted(map(tuple, torch.cat([x.double() for x in parts], 1).tolist()))


def _joined(z: Tensor, tags: Tags) -> list[tuple[float, ...]]:
    parts = (z.double(), tags.target, tags.category[:, None], tags.instance[:, None])  # type: ignore[index]
    return list(map(tuple, torch.cat([x.double() for x in parts], 1).tolist()))  # type: ignore[union-attr]


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 9), batches=st.lists(st.integers(0, 12), max_size=6))
def test_holds_the_last_rows_whatever_the_batches(size: int, batches: list[int]) -> None:
    queue, expected = _full(size), []
    for seed, n in enumerate(batches):
        z, tags = _rows(n, seed)
        queue.update(z, tags)
        expected = [*expected, *_joined(z, tags)][-size:]
        assert queue.filled == len(expected)
        assert _held(queue) == sorted(expected)
    found = queue.candidates()
    assert found.own is None
    assert found.mask is None


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 9), cut=st.integers(0, 12))
def test_one_update_is_two_of_its_parts_in_every_bit(size: int, cut: int) -> None:
    whole, parts = _full(size), _full(size)
    z, tags = _rows(12)
    whole.update(z, tags)
    parts.update(z[:cut], tags.map(lambda x: x[:cut]))
    parts.update(z[cut:], tags.map(lambda x: x[cut:]))
    for name, kept in whole.state_dict().items():
        assert torch.equal(kept, parts.state_dict()[name])


def test_empty_at_the_start() -> None:
    found = Queue(5, 3, target=1).candidates()
    assert found.embeddings.shape == (0, 3)
    assert found.tags.target is not None
    assert found.tags.target.shape == (0, 1)
    assert found.tags.category is None


def test_keeps_only_the_tags_it_was_built_with() -> None:
    queue = Queue(5, 3, category=True)
    queue.update(*_rows(4))
    assert queue.candidates().tags.target is None
    assert queue.candidates().tags.instance is None
    assert set(queue.state_dict()) == {"embeddings", "category", "seen"}
    plain = Queue(5, 3)
    plain.update(_rows(4)[0])
    assert plain.candidates().tags == Tags()


def test_copies_without_the_graph_and_widens_narrow_floats() -> None:
    queue = Queue(5, 3)
    z = _rows(4)[0].bfloat16().requires_grad_()
    queue.update(z * 1)
    held = queue.candidates().embeddings
    assert not held.requires_grad
    assert held.dtype == torch.float32
    assert torch.equal(held, z.detach().float())
    with torch.no_grad():
        z.zero_()
    assert bool(held.any())


def test_targets_keep_float64() -> None:
    queue = Queue(2, 1, target=1)
    seconds = torch.tensor([[1.7e9], [1.7e9 + 1e-3]], dtype=torch.float64)
    queue.update(torch.zeros(2, 1), Tags(target=seconds))
    kept = queue.candidates().tags.target
    assert kept is not None
    assert torch.equal(kept, seconds)


def test_candidates_used_before_the_update_have_their_gradient() -> None:
    queue, z = Queue(4, 3), _rows(2)[0].requires_grad_()
    queue.update(_rows(4)[0])
    loss = (z @ queue.candidates().embeddings.T).sum()
    loss.backward()
    queue.update(z)
    assert z.grad is not None


def test_a_resumed_queue_goes_on_the_same() -> None:
    straight = _full(7)
    for seed in range(3):
        straight.update(*_rows(4, seed))
    saved = copy.deepcopy(straight.state_dict())
    resumed = _full(7)
    resumed.load_state_dict(saved)
    for seed in range(3, 6):
        straight.update(*_rows(4, seed))
        resumed.update(*_rows(4, seed))
    for name, kept in straight.state_dict().items():
        assert torch.equal(kept, resumed.state_dict()[name])


Z, TAGS = _rows(4)
MISTAKES: list[tuple[Tensor, Tags | None, str]] = [
    (
        Z[:, :2],
        TAGS,
        "Queue.update expects float embeddings (n, 3), got (4, 2) torch.float32. "
        "Flatten the views; build the queue with the embedding's width.",
    ),
    (
        Z.long(),
        TAGS,
        "Queue.update expects float embeddings (n, 3), got (4, 3) torch.int64. "
        "Flatten the views; build the queue with the embedding's width.",
    ),
    (
        Z * torch.tensor([[1], [float("nan")], [1], [1]]),
        TAGS,
        "Queue.update expects finite embeddings, got NaN or infinity in 1 of 4 rows (1). "
        "Look at the loss before: the network has diverged.",
    ),
    (
        Z,
        None,
        "this Queue keeps the tag `target`, got tags without it. Fill Tags(target=...), or build the queue without.",
    ),
    (
        Z,
        Tags(target=TAGS.target, instance=TAGS.instance),
        "this Queue keeps the tag `category`, got tags without it. Fill Tags(category=...), or build the queue "
        "without.",
    ),
    (
        Z[:3],
        TAGS,
        "this Queue keeps the tag `target` as floats (3, 2), got (4, 2) torch.float64. "
        "Give one tag for each of the 3 rows.",
    ),
]


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(("z", "tags", "message"), MISTAKES)
def test_mistakes_are_named_and_change_nothing(z: Tensor, tags: Tags | None, message: str) -> None:
    queue = _full(5)
    queue.update(*_rows(2, seed=1))
    before = copy.deepcopy(queue.state_dict())
    with pytest.raises(ShapeError) as caught:
        queue.update(z, tags)
    assert str(caught.value) == message
    assert all(torch.equal(kept, before[name]) for name, kept in queue.state_dict().items())


@pytest.mark.usefixtures("unhooked")
def test_a_tag_of_another_type_is_named() -> None:
    with pytest.raises(ShapeError) as caught:
        Queue(5, 3, category=True).update(Z, Tags(category=torch.rand(4)))
    assert str(caught.value) == (
        "this Queue keeps the tag `category` as integers (4,), got (4,) torch.float32. "
        "Give one tag for each of the 4 rows."
    )


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Queue(0, 3)
    assert str(caught.value) == "`size` must be a finite number above 0, got 0."
    with pytest.raises(ConfigError) as caught:
        Queue(5, 3, target=-1)
    assert str(caught.value) == "`target` must be between 0 and inf, got -1."
