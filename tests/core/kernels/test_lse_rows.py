"""Log-sum-exp of rows against its definition: every option, blocks, one tensor for both, extremes."""

from typing import Any

import pytest
import torch
from oracle.lse_rows import log_sum_exp_rows as slow_rows
from torch import Tensor
from torch.overrides import TorchFunctionMode

from isotone.core.kernels import lse_rows as module
from isotone.core.kernels.lse_rows import Positives, log_sum_exp_among, log_sum_exp_rows
from isotone.core.similarity import unit

OWN = torch.tensor([0, 1, 2, 3, 4, 5, 6])
ROW, COLUMN = torch.tensor([0, 0, 1, 1, 1, 2, 5]), torch.tensor([0, 0, 1, 1, 1, 2, 3, 1, -1])  # row 6 has no positive
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "own": {"own": OWN},
    "own elsewhere": {"own": OWN.flip(0)},
    "more": {"more": 3},
    "out": {"labels": (ROW, COLUMN)},
    "in": {"labels": (ROW, COLUMN), "form": "in"},
    "out, own, more": {"own": OWN, "more": 2, "labels": (ROW, COLUMN)},
    "in, own, more": {"own": OWN, "more": 2, "labels": (ROW, COLUMN), "form": "in"},
}


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _inputs(option: dict[str, Any], scale: float = 1.0) -> tuple[list[Tensor], dict[str, Any]]:
    """Return a (7, 3), b (9, 3) and `more`, with gradients, and the other options."""
    rows = [scale * _normal(7, 3), scale * _normal(9, 3, seed=1)]
    rows += [scale * _normal(7, option["more"], seed=2)] if "more" in option else []
    return [x.requires_grad_() for x in rows], {k: v for k, v in option.items() if k != "more"}


def _fast(rows: list[Tensor], weight: Tensor, option: dict[str, Any]) -> Tensor:
    positives = Positives(*option["labels"], option.get("form", "out")) if "labels" in option else None
    more = rows[2] if len(rows) > 2 else None
    return log_sum_exp_rows(rows[0], rows[1], weight, own=option.get("own"), more=more, positives=positives)


def _slow(rows: list[Tensor], weight: Tensor, option: dict[str, Any]) -> Tensor:
    return slow_rows(rows[0], rows[1], weight, more=rows[2] if len(rows) > 2 else None, **option)


def _assert_same(fast: Tensor, slow: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-13)
    pairs = zip(torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


WEIGHT = torch.tensor([1.0, 0.5, 0.0, 2.0, 0.25, 1.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_value_and_gradient_equal_the_definition(name: str, scale: float) -> None:
    inputs, option = _inputs(OPTIONS[name], scale)
    _assert_same(_fast(inputs, WEIGHT, option), _slow(inputs, WEIGHT, option), inputs)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("cells", [(1, 1), (9 * 3, 9), (9 * 5, 9 * 2), (2**24, 9 * 4)])
def test_blocks_add_up(name: str, cells: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, option = _inputs(OPTIONS[name])
    whole = _fast(inputs, WEIGHT, option)
    monkeypatch.setattr(module, "CELLS", cells[0])
    monkeypatch.setattr(module, "CACHED", cells[1])
    _assert_same(_fast(inputs, WEIGHT, option), whole, inputs)


@pytest.mark.parametrize("form", [None, "out", "in"])
@pytest.mark.parametrize("cells", [1, 7 * 3, 2**24])
def test_one_tensor_in_both_roles(form: str | None, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    a = _normal(7, 3).requires_grad_()
    option = {"own": OWN} | ({} if form is None else {"labels": (ROW, ROW), "form": form})
    _assert_same(_fast([a, a], WEIGHT, option), _slow([a, a], WEIGHT, option), [a])
    twin = a.clone()  # two tensors, one graph: each role has its own gradient
    _assert_same(_fast([a, twin], WEIGHT, option), _slow([a, a], WEIGHT, option), [a])


@pytest.mark.parametrize("cells", [1, 20, 10**6])
def test_places_are_the_labels_said_in_another_way(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    x, own = _normal(9, 3).requires_grad_(), torch.arange(9)
    sample = torch.arange(3).repeat(3)  # three views of three samples
    places = (own[:, None] + torch.tensor([3, 6])) % 9
    weight = torch.arange(1.0, 10.0, dtype=torch.float64)
    found = [
        log_sum_exp_rows(x, x, weight, own=own, positives=Positives(sample, sample, places=given))
        for given in (None, places)
    ]
    _assert_same(found[1], found[0], [x])


def test_gradcheck_and_a_gradient_for_one_of_the_two() -> None:
    a, b, positives = _normal(7, 3), _normal(9, 3, seed=1), Positives(ROW, COLUMN)
    for first, second in ((True, True), (True, False), (False, True)):
        inputs = (a.clone().requires_grad_(first), b.clone().requires_grad_(second))
        assert torch.autograd.gradcheck(lambda a, b: log_sum_exp_rows(a, b, WEIGHT, positives=positives), inputs)


def test_it_is_cross_entropy() -> None:
    a, b, target = _normal(7, 3), _normal(9, 3, seed=1), torch.tensor([8, 0, 3, 3, 1, 7, 2])
    positives = Positives(target, torch.arange(9))
    found = log_sum_exp_rows(a, b, torch.full((7,), 1 / 7, dtype=torch.float64), positives=positives)
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(a @ b.T, target), rtol=1e-12, atol=0)


def test_huge_logits_stay_finite_and_exact() -> None:
    a = torch.tensor([[1e4], [-1e4], [0.0]], requires_grad=True)
    value = log_sum_exp_rows(a, a, torch.ones(3), own=torch.arange(3))  # max(-1e8, 0) + max(-1e8, 0) + ln 2
    assert value.item() == pytest.approx(0.6931471805599453, rel=1e-7)
    assert bool(torch.isfinite(torch.autograd.grad(value, a)[0]).all())


def test_a_small_difference_keeps_its_digits_in_float32() -> None:
    """ln(1 + exp(-15)) beside logits of 100: a log-sum-exp and a positive in float32 are each good to 1e-5."""
    a, b = torch.ones(1, 1), torch.tensor([[100.0], [85.0]])
    value = log_sum_exp_rows(a, b, torch.ones(1), positives=Positives(torch.tensor([0]), torch.tensor([0, 1])))
    assert value.item() == pytest.approx(3.059022e-7, rel=0.3)  # float32 holds 1 + 3e-7 to 1e-7
    assert value.dtype == torch.float64
    more = log_sum_exp_rows(a, b[1:], torch.ones(1), more=torch.tensor([[100.0]])) - 100.0
    assert more.item() == value.item()


def test_rows_without_anything_and_weights_of_zero_add_nothing() -> None:
    a, b, none = _normal(3, 2).requires_grad_(), _normal(1, 2, seed=1), torch.zeros(3, dtype=torch.int64)
    value = log_sum_exp_rows(a, b, torch.ones(3, dtype=torch.float64), own=none)  # the only column is each row's own
    assert value.item() == 0.0
    assert not torch.autograd.grad(value, a)[0].any()
    value = log_sum_exp_rows(a, _normal(5, 2), torch.zeros(3, dtype=torch.float64))
    assert value.item() == 0.0
    assert not torch.autograd.grad(value, a)[0].any()


@pytest.mark.parametrize(("n", "m", "e"), [(0, 4, None), (3, 0, None), (3, 0, 2), (0, 0, 0), (3, 4, 0)])
def test_empty_sides(n: int, m: int, e: int | None) -> None:
    a, b, weight = _normal(n, 2).requires_grad_(), _normal(m, 2).requires_grad_(), torch.ones(n, dtype=torch.float64)
    more = None if e is None else _normal(n, e, seed=2)
    _assert_same(log_sum_exp_rows(a, b, weight, more=more), slow_rows(a, b, weight, more=more), [a, b])


def test_nan_goes_through() -> None:
    a = _normal(4, 3)
    a[1, 2] = float("nan")
    assert log_sum_exp_rows(a, _normal(5, 3), torch.ones(4)).isnan()
    for form in ("out", "in"):
        positives = Positives(torch.zeros(4, dtype=torch.int64), torch.zeros(5, dtype=torch.int64), form)
        for own in (None, torch.arange(4)):
            assert log_sum_exp_rows(a, _normal(5, 3), torch.ones(4), own=own, positives=positives).isnan()


def test_neighbouring_labels_stay_apart_up_to_2_24_in_float32() -> None:
    last = 2**24 - torch.arange(3)  # beyond, float32 takes 2^24 + 1 for 2^24
    zero = torch.zeros(3, 1)
    logits = torch.tensor([[0.0], [1.0], [2.0]])
    found = log_sum_exp_rows(zero + 1, logits, torch.ones(3), positives=Positives(last, last))
    assert found.item() == pytest.approx(4.222818, rel=1e-6)  # 3 ln(1 + e + e^2) - (0 + 1 + 2)


def test_without_a_gradient_none_is_made() -> None:
    inputs, option = _inputs(OPTIONS["out, own, more"])
    with torch.no_grad():
        value = _fast(inputs, WEIGHT, option)
    assert not value.requires_grad
    assert torch.equal(value, _fast(inputs, WEIGHT, option).detach())
    assert not _fast([x.detach() for x in inputs], WEIGHT, option).requires_grad


@pytest.mark.parametrize("name", OPTIONS)
def test_autocast_changes_nothing_and_inputs_stay(name: str) -> None:
    inputs, option = _inputs(OPTIONS[name])
    rows = [x.detach().float().requires_grad_() for x in inputs]
    before = [x.detach().clone() for x in rows]
    plain = _fast(rows, WEIGHT.float(), option)
    expected = torch.autograd.grad(plain, rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = _fast(rows, WEIGHT.float(), option)
        gradient = torch.autograd.grad(value, rows)  # even backward inside
    assert torch.equal(value, plain)
    assert all(torch.equal(x, y) for x, y in zip(gradient, expected, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(rows, before, strict=True))
    assert {x.dtype for x in gradient} == {torch.float32}


class _Largest(TorchFunctionMode):
    """Remembers the largest tensor that any function returned."""

    numel = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(x.numel() for x in [out] if isinstance(x, Tensor))])
        return out


def test_no_n_by_n_is_made_or_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 4 * 60)  # four rows of 60 columns
    a, labels, kept = _normal(60, 5).requires_grad_(), torch.arange(60) % 4, []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x)
    with _Largest() as largest, hooks:
        log_sum_exp_rows(a, a, torch.ones(60), own=torch.arange(60), positives=Positives(labels, labels, "in"))
    assert largest.numel == 60 * 5
    assert kept == [60 * 5]


@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_rows_among_themselves_are_set_to_a_length_first(form: str, scale: float) -> None:
    x = (scale * torch.cat([_normal(6, 3), torch.zeros(1, 3)])).requires_grad_()  # a row of zeros stays
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0])
    fast = log_sum_exp_among(x, 2.0, WEIGHT, positives=Positives(labels, labels, form))
    rows = unit(x, 2.0)
    slow = slow_rows(rows, rows, WEIGHT, own=torch.arange(7), labels=(labels, labels), form=form)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-13)
    found, expected = (torch.autograd.grad(value, x)[0] for value in (fast, slow))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13 / scale)


def test_rows_among_themselves_of_many_blocks_and_twice_through() -> None:
    x, labels = _normal(7, 3).requires_grad_(), torch.arange(7) % 2
    whole = log_sum_exp_among(x, 1.0, WEIGHT, positives=Positives(labels, labels))
    once, twice = (torch.autograd.grad(whole, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, twice)
    torch.testing.assert_close(torch.autograd.grad(3 * whole, x)[0], 3 * once)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CELLS", 14)  # two rows a block
        parts = log_sum_exp_among(x, 1.0, WEIGHT, positives=Positives(labels, labels))
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts, x)[0], once)
