"""The bank against its definition row by row, and its promises: fair draws, explicit updates, exact resume.

Processes are tested in tests/distributed/test_sources.py.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from isotone.candidates.bank import Bank
from isotone.errors import ConfigError, ShapeError


@pytest.fixture
def unhooked(request: pytest.FixtureRequest) -> None:
    """Skip a test of refused shapes where the type-checking hook, which is not there for users, refuses them first."""
    if request.config.getoption("--jaxtyping-packages", default=None):
        pytest.skip("the type-checking hook refuses the argument first")


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_starts_with_unit_rows_that_the_seed_decides() -> None:
    bank = Bank(50, 8, seed=3)
    torch.testing.assert_close(bank.embeddings.norm(dim=1), torch.ones(50))
    assert torch.equal(bank.embeddings, Bank(50, 8, seed=3).embeddings)
    assert not torch.equal(bank.embeddings, Bank(50, 8, seed=4).embeddings)


@settings(max_examples=200, deadline=None)
@given(index=st.lists(st.integers(0, 4), max_size=8), momentum=st.floats(0, 1), seed=st.integers(0, 999))
def test_update_is_the_definition(index: list[int], momentum: float, seed: int) -> None:
    bank, z = Bank(5, 3), _normal(len(index), 3, seed=seed)
    expected = bank.embeddings.double().clone()
    for i in set(index):
        views = [z[row].double() / z[row].double().norm() for row in range(len(index)) if index[row] == i]
        moved = momentum * expected[i] + (1 - momentum) * sum(views) / len(views)
        expected[i] = moved / moved.norm()
    bank.update(torch.tensor(index, dtype=torch.int64), z, momentum=momentum)
    torch.testing.assert_close(bank.embeddings.double(), expected, rtol=0, atol=2e-6)
    untouched = [i for i in range(5) if i not in index]
    assert torch.equal(bank.embeddings[untouched], Bank(5, 3).embeddings[untouched])


def test_a_number_worked_by_hand() -> None:
    bank = Bank(2, 2)
    bank.update(torch.tensor([0]), torch.tensor([[3.0, 0.0]]), momentum=0.0)
    bank.update(torch.tensor([0]), torch.tensor([[0.0, 7.0]]), momentum=0.6)  # (0.6, 0.4) / sqrt(0.52)
    torch.testing.assert_close(bank.rows(torch.tensor([0])), torch.tensor([[0.6, 0.4]]) / 0.52**0.5)


def test_a_sum_of_zero_leaves_the_old_row() -> None:
    bank = Bank(3, 2)
    old = bank.embeddings.clone()
    bank.update(torch.tensor([0, 1]), torch.stack([-old[0], old[1] * 0]), momentum=0.5)
    torch.testing.assert_close(bank.embeddings, old)
    bank.update(torch.tensor([2]), torch.zeros(1, 2), momentum=0.0)
    torch.testing.assert_close(bank.embeddings, old)


@pytest.mark.parametrize("scale", [1e-30, 1e4, 1e30])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_length_of_an_embedding_does_not_count(scale: float, dtype: torch.dtype) -> None:
    one, other = Bank(4, 3), Bank(4, 3)
    index, z = torch.tensor([1, 3]), torch.tensor([[1.0, 2.0, -2.0], [0.5, 0.0, 0.25]])
    if dtype == torch.float16:
        scale = {1e-30: 2.0**-10}.get(scale, 2.0**10)
    one.update(index, z)
    other.update(index, (z.double() * scale).to(dtype))
    torch.testing.assert_close(one.embeddings, other.embeddings, rtol=0, atol=2e-2 if dtype == torch.bfloat16 else 1e-6)


def test_rows_are_copies_of_any_shape() -> None:
    bank = Bank(6, 3)
    rows = bank.rows(torch.tensor([[0, 5, 5], [1, 2, 3]]))
    assert rows.shape == (2, 3, 3)
    assert torch.equal(rows[0, 1], bank.embeddings[5])
    before = rows.clone()
    bank.update(torch.arange(6), _normal(6, 3))
    assert torch.equal(rows, before)


def test_candidates_are_all_samples() -> None:
    found = Bank(6, 3).candidates()
    assert found.embeddings.shape == (6, 3)
    assert found.tags.instance is not None
    assert found.tags.instance.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.own is None
    assert found.mask is None


@settings(max_examples=200, deadline=None)
@given(size=st.integers(2, 7), step=st.integers(0, 10**6))
def test_draws_are_never_the_anchor(size: int, step: int) -> None:
    bank, index = Bank(size, 2), torch.arange(size)
    drawn = bank.draw(index, 40, step=step)
    assert bool((drawn != index[:, None]).all())
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < size
    own = index[: size - 1]
    shared = bank.draw_shared(torch.cat([own, own[:1]]), 40, step=step)
    assert shared.unique().tolist() == [size - 1]
    shared = bank.draw_shared(index[1::2], 40, step=step)
    assert set(shared.tolist()) <= set(index[::2].tolist())


def test_draws_are_uniform_over_the_others() -> None:
    bank = Bank(10, 2)
    drawn = bank.draw(torch.tensor([0, 4, 9]), 20_000, step=5)
    for i, row in zip((0, 4, 9), drawn, strict=True):
        counts = row.bincount(minlength=10).tolist()
        assert counts.pop(i) == 0
        assert chisquare(counts).pvalue > 1e-3  # a fixed draw: passes or fails for ever
    counts = bank.draw_shared(torch.tensor([9, 4, 0, 4]), 20_000, step=5).bincount(minlength=10)
    assert counts[[0, 4, 9]].tolist() == [0, 0, 0]
    assert chisquare(counts[counts > 0].tolist()).pvalue > 1e-3


def test_a_draw_knows_only_its_key() -> None:
    bank, index = Bank(1000, 2, seed=1), torch.tensor([3, 700, 20])
    drawn = bank.draw(index, 16, step=2)
    assert torch.equal(bank.draw(index[1:2], 16, step=2), drawn[1:2])  # whatever the rest of the batch is
    assert torch.equal(Bank(1000, 2, seed=1).draw(index, 16, step=2), drawn)
    assert not torch.equal(Bank(1000, 2, seed=0).draw(index, 16, step=2), drawn)
    assert not torch.equal(bank.draw(index, 16, step=3), drawn)
    assert not torch.equal(drawn[0], drawn[1])
    shared = bank.draw_shared(index, 16, step=2)
    assert torch.equal(bank.draw_shared(index.flip(0), 16, step=2), shared)
    assert not torch.equal(bank.draw_shared(index, 16, step=3), shared)


def test_order_of_the_batch_changes_nothing_but_the_last_bits() -> None:
    index, z = torch.tensor([4, 1, 4, 4, 0]), _normal(5, 3)
    one, other, order = Bank(5, 3), Bank(5, 3), torch.tensor([3, 0, 4, 2, 1])
    one.update(index, z)
    other.update(index[order], z[order])
    torch.testing.assert_close(one.embeddings, other.embeddings, rtol=0, atol=1e-7)


def test_a_resumed_bank_goes_on_the_same() -> None:
    straight, resumed = Bank(6, 3), Bank(6, 3, seed=9)
    straight.update(torch.tensor([1, 2, 1]), _normal(3, 3))
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    for bank in (straight, resumed):
        bank.update(torch.tensor([5, 2]), _normal(2, 3, seed=1))
    assert torch.equal(straight.embeddings, resumed.embeddings)
    assert set(straight.state_dict()) == {"embeddings"}


I, Z = torch.tensor([0, 4]), torch.ones(2, 3)  # noqa: E741
OUTSIDE = "Number the training samples from 0, or build the bank with their number."
SHAPES = "Flatten the views and repeat the index for each."
MISTAKES: list[tuple[Tensor, Tensor, str]] = [
    (I + 1, Z, f"Bank.update expects samples 0 to 4, got 5. {OUTSIDE}"),
    (I - 1, Z, f"Bank.update expects samples 0 to 4, got -1. {OUTSIDE}"),
    (I.float(), Z, "Bank.update expects integer sample numbers, got torch.float32. Use tags.instance."),
    (
        I,
        Z[:1],
        f"Bank.update expects index (n,) and float embeddings (n, 3), got (2,) and (1, 3) torch.float32. {SHAPES}",
    ),
    (
        I,
        Z.long(),
        f"Bank.update expects index (n,) and float embeddings (n, 3), got (2,) and (2, 3) torch.int64. {SHAPES}",
    ),
    (
        I,
        Z * float("inf"),
        "Bank.update expects finite embeddings, got NaN or infinity in 2 of 2 rows (0, 1). "
        "Look at the loss before: the network has diverged.",
    ),
]


@pytest.mark.usefixtures("unhooked")
@pytest.mark.parametrize(("index", "z", "message"), MISTAKES)
def test_mistakes_are_named_and_change_nothing(index: Tensor, z: Tensor, message: str) -> None:
    bank = Bank(5, 3)
    with pytest.raises(ShapeError) as caught:
        bank.update(index, z)
    assert str(caught.value) == message
    assert torch.equal(bank.embeddings, Bank(5, 3).embeddings)


def test_other_mistakes_are_named() -> None:
    bank = Bank(5, 3)
    with pytest.raises(ShapeError) as caught:
        bank.rows(torch.tensor([[7]]))
    assert str(caught.value) == f"Bank.rows expects samples 0 to 4, got 7. {OUTSIDE}"
    with pytest.raises(ShapeError) as caught:
        bank.draw(torch.tensor([7]), 3, step=0)
    assert str(caught.value) == f"Bank.draw expects samples 0 to 4, got 7. {OUTSIDE}"
    with pytest.raises(ConfigError) as caught:
        bank.draw_shared(torch.arange(5), 3, step=0)
    assert str(caught.value) == "the batch holds all 5 samples of the bank: nothing to draw. Use `draw`."
    with pytest.raises(ConfigError) as caught:
        bank.draw(I, 0, step=0)
    assert str(caught.value) == "`k` must be a finite number above 0, got 0."
    with pytest.raises(ConfigError) as caught:
        bank.update(I, Z, momentum=1.5)
    assert str(caught.value) == "`momentum` must be between 0 and 1, got 1.5."
    with pytest.raises(ConfigError) as caught:
        Bank(1, 3)
    assert str(caught.value) == "`size` must be between 2 and inf, got 1."
