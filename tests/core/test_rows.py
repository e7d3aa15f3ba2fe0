"""The contrast of rows in blocks against its definition: weights, nearest positives, unknown distances."""

from typing import Any

import pytest
import torch
from oracle.rows import contrast_rows as slow_rows
from torch import Tensor, nn

from isotone.core import contrast, cosine, dot, negative_l2
from isotone.core import rows as module
from isotone.core.rows import Anchors, contrast_rows
from isotone.records import Candidates, Tags

N, M, T = 6, 9, 0.5


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _l1(a: Tags, b: Tags) -> Tensor:
    assert a.target is not None
    assert b.target is not None
    return (a.target[:, None] - b.target).abs().sum(2)


def _target(n: int, seed: int) -> Tensor:
    return torch.randint(0, 4, (n, 1), generator=torch.Generator().manual_seed(seed)).double()  # with ties


UNKNOWN = torch.tensor([[0.0], [float("nan")], [0.0]] * 3, dtype=torch.float64)
HALF = (torch.arange(N)[:, None] + torch.arange(M)) % 3 > 0
U, W = [1.0, 0.0, 2.5, 1.0, 0.5, 3.0], [1.0, 2.0, 0.0, 0.0, 1.5, 1.0, 0.25, 3.0, 1.0]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "own": {"own": torch.tensor([0, 1, 2, 3, 4, 5])},
    "own of some": {"own": torch.tensor([3, -1, 2, 8, -1, 0])},
    "mask": {"mask": HALF},
    "weights": {"own": torch.arange(N), "u": U, "w": W},
    "one positive": {"own": torch.arange(N), "positives": 1},
    "three positives": {"own": torch.arange(N), "positives": 3},
    "more positives than there are": {"mask": HALF, "positives": 8},
    "as many as candidates": {"positives": M},
    "unknown": {"own": torch.arange(N), "unknown": UNKNOWN},
    "everything": {"own": torch.arange(N), "mask": HALF, "unknown": UNKNOWN, "u": U, "w": W, "positives": 2},
    "all unknown": {"unknown": UNKNOWN * float("nan")},
    "nothing kept": {"mask": HALF & False},
}


class _Case:
    def __init__(self, option: dict[str, Any]) -> None:
        self.option = option
        self.z, self.c = _normal(N, 3).requires_grad_(), _normal(M, 3, seed=1).requires_grad_()
        self.y, self.t = _target(N, 2), _target(M, 3) + option.get("unknown", 0.0)

    def fast(self, similarity: Any = negative_l2) -> tuple[Tensor, int]:
        u, w = (torch.tensor(x, dtype=torch.float64) if x else None for x in map(self.option.get, "uw"))
        found = contrast_rows(
            Anchors(self.z, Tags(target=self.y), u),
            Candidates(self.c, Tags(target=self.t), self.option.get("own"), self.option.get("mask")),
            similarity=similarity,
            temperature=T,
            relation=_l1,
            positives=self.option.get("positives"),
            weight=w,
        )
        return found.total, int(found.parts["lonely"])

    def slow(self, similarity: Any = negative_l2) -> tuple[Tensor, int]:
        kept = self.option.get("mask", torch.ones(N, M, dtype=torch.bool)).clone()
        for i, own in enumerate(self.option.get("own", [])):
            if own >= 0:
                kept[i, own] = False
        u, w = self.option.get("u", [1.0] * N), self.option.get("w", [1.0] * M)
        distance = _l1(Tags(target=self.y), Tags(target=self.t))
        return slow_rows(similarity(self.z, self.c) / T, distance, kept, u, w, self.option.get("positives"))


def _assert_same(fast: Tensor, slow: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-13)
    for found, expected in zip(torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("cells", [2**22, M * 4, 1], ids=["whole", "4 rows", "1 row"])
def test_value_gradient_and_lonely_equal_the_definition(name: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    case = _Case(OPTIONS[name])
    (fast, lonely), (slow, expected) = case.fast(), case.slow()
    assert lonely == expected
    assert fast.dtype == torch.float64
    _assert_same(fast, slow, [case.z, case.c])


def test_all_lonely_is_zero_and_joined_to_the_graph() -> None:
    case = _Case(OPTIONS["nothing kept"])
    value, lonely = case.fast()
    assert value.item() == 0.0
    assert lonely == N
    assert not torch.autograd.grad(value, case.z)[0].any()


def test_weights_of_one_and_any_scale_change_nothing() -> None:
    plain = _Case(OPTIONS["own"]).fast()[0]
    for scale in (1.0, 1e-6, 1e6):
        weighted = _Case(OPTIONS["own"] | {"u": [scale] * N, "w": [3 * scale] * M}).fast()[0]
        torch.testing.assert_close(weighted, plain, rtol=1e-13, atol=0)


class _Bilinear(nn.Module):
    """A similarity of the user's with a parameter to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.between = nn.Parameter(_normal(3, 3, seed=5))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ self.between @ b.T


@pytest.mark.parametrize("cells", [2**22, M * 2, 1])
def test_the_gradient_reaches_what_a_similarity_holds(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    case, bilinear = _Case(OPTIONS["everything"]), _Bilinear()
    _assert_same(case.fast(bilinear)[0], case.slow(bilinear)[0], [case.z, case.c, bilinear.between])
    bilinear.zero_grad()
    case.fast(bilinear)[0].backward()  # accumulates as a training step does
    (expected,) = torch.autograd.grad(case.slow(bilinear)[0], bilinear.between)
    torch.testing.assert_close(bilinear.between.grad, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("similarity", [negative_l2, cosine, dot])
@pytest.mark.parametrize("cells", [2**22, N * 2])
def test_a_batch_that_is_its_own_candidates(similarity: Any, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    z, y, others = _normal(N, 3).requires_grad_(), _target(N, 2), ~torch.eye(N, dtype=torch.bool)
    batch = Candidates(z, Tags(target=y), own=torch.arange(N))
    found = contrast_rows(Anchors(z, batch.tags), batch, similarity=similarity, temperature=T, relation=_l1)
    expected = contrast(similarity(z, z) / T, _l1(batch.tags, batch.tags), others, others)
    _assert_same(found.total, expected, [z])


@pytest.mark.parametrize("cells", [2**22, N * 2])
def test_a_similarity_meets_float32_without_autocast_and_one_tensor_where_there_is_one(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    met: list[tuple[bool, torch.dtype, torch.dtype]] = []

    def product(a: Tensor, b: Tensor) -> Tensor:
        met.append((a is b, a.dtype, (a @ b.T).dtype))
        return a @ b.T

    z, y = _normal(N, 3).bfloat16().requires_grad_(), _target(N, 2)
    batch = Candidates(z, Tags(target=y), own=torch.arange(N))

    def total() -> Tensor:
        return contrast_rows(Anchors(z, batch.tags), batch, similarity=product, temperature=T, relation=_l1).total

    plain = total()
    expected = torch.autograd.grad(plain, z)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = total()
    assert torch.equal(value, plain)
    assert torch.equal(torch.autograd.grad(value, z)[0], expected)  # what a block computes again is in float32 too
    assert set(met) == {(cells > N * 2, torch.float32, torch.float32)}
    exact = contrast((z.double() @ z.double().T) / T, _l1(batch.tags, batch.tags), *[~torch.eye(N).bool()] * 2)
    torch.testing.assert_close(plain, exact, rtol=1e-6, atol=0)  # no sum in bfloat16


def test_the_sum_of_narrow_logits_is_not_narrow() -> None:
    case = _Case(OPTIONS["everything"])

    def narrow(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T).bfloat16()

    exact = case.slow(lambda a, b: narrow(a, b).double())[0]
    torch.testing.assert_close(case.fast(narrow)[0], exact, rtol=1e-12, atol=0)


def test_blocks_keep_no_matrix_for_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 2 * M)
    case, kept = _Case({}), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        case.fast()
    assert max(kept, default=0) < 2 * M


def test_without_a_gradient_nothing_is_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 2 * M)
    case = _Case(OPTIONS["everything"])
    with torch.no_grad():
        value, _ = case.fast()
    assert not value.requires_grad
    torch.testing.assert_close(value, case.fast()[0].detach(), rtol=1e-14, atol=0)
