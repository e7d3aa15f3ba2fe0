"""InfoNCE, as NT-Xent, CLIP's and MoCo's loss, against its definition, known values and its promises."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.info_nce import pairs as slow_pairs
from oracle.info_nce import views as slow_views
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from isotone.candidates.queue import Queue
from isotone.core import contrast, cosine
from isotone.errors import ConfigError, ShapeError
from isotone.losses import InfoNCELoss, info_nce

unhooked = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _assert_same(fast: Tensor, slow: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(
        torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("queue", [None, 0, 5])
@pytest.mark.parametrize("t", [0.07, 0.5])
def test_views_equal_the_definition(views: int, queue: int | None, t: float) -> None:
    z, negatives = _normal(4, views, 3).requires_grad_(), None if queue is None else _normal(queue, 3, seed=1)
    _assert_same(info_nce(z, temperature=t, negatives=negatives), slow_views(z, t, negatives), z)


@pytest.mark.parametrize(("in_batch", "queue"), [(True, None), (True, 5), (False, 5)])
@pytest.mark.parametrize("t", [0.07, 0.5])
@pytest.mark.parametrize("sides", ["one", "two"])
def test_pairs_equal_the_definition(in_batch: bool, queue: int | None, t: float, sides: str) -> None:
    a, b = _normal(6, 3).requires_grad_(), _normal(6, 3, seed=1).requires_grad_()
    negatives = None if queue is None else _normal(queue, 3, seed=2)
    slow = slow_pairs(a, b, t, negatives, in_batch)
    if sides == "two":
        slow = (slow + slow_pairs(b, a, t, negatives, in_batch)) / 2
    _assert_same(info_nce(a, b, temperature=t, negatives=negatives, sides=sides, in_batch=in_batch), slow, a, b)


@pytest.mark.parametrize("mode", ["views", "pairs", "queue"])
@pytest.mark.parametrize("noise", [1.0, 0.3], ids=["random", "converging"])
def test_float32_is_within_1e_5_of_the_definition(mode: str, noise: float) -> None:
    low = (_normal(8, 1, 16) + noise * _normal(8, 2, 16, seed=1)).float().requires_grad_()
    high, queue = low.detach().double().requires_grad_(), _normal(5, 16, seed=2)
    fast, slow = {
        "views": lambda: (info_nce(low), slow_views(high, 0.1)),
        "pairs": lambda: (info_nce(low[:, 0], low[:, 1]), slow_pairs(high[:, 0], high[:, 1], 0.1)),
        "queue": lambda: (
            info_nce(low[:, 0], low[:, 1], negatives=queue, in_batch=False),
            slow_pairs(high[:, 0], high[:, 1], 0.1, queue, False),
        ),
    }[mode]()
    torch.testing.assert_close(fast.double(), slow, rtol=1e-5, atol=0)
    a, b = torch.autograd.grad(fast, low)[0].double(), torch.autograd.grad(slow, high)[0]
    assert float((a - b).norm() / b.norm()) < 1e-5


@pytest.mark.parametrize("mode", ["views", "pairs", "queue"])
def test_a_small_loss_keeps_its_digits(mode: str) -> None:
    """Here the logits are 20 and the loss 1e-5: logits of two products would differ by as much as the loss."""
    z = _normal(64, 1, 32) + 0.1 * _normal(64, 2, 32, seed=1)
    found = []
    for rows in (z.float(), z):
        given = {
            "views": {},
            "pairs": {"partners": rows[:, 1]},
            "queue": {"partners": rows[:, 1], "negatives": _normal(64, 32, seed=2), "in_batch": False},
        }[mode]
        found.append(info_nce(rows if mode == "views" else rows[:, 0], temperature=0.05, **given).item())
    assert 1e-7 < found[1] < 1e-3
    assert found[0] == pytest.approx(found[1], rel=1e-2)


def test_gradcheck() -> None:
    queue = _normal(4, 3, seed=3)
    z, a, b = _normal(4, 2, 3).requires_grad_(), _normal(5, 3).requires_grad_(), _normal(5, 3, seed=1).requires_grad_()
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z, t: info_nce(z, temperature=t, negatives=queue), (z, t))
    assert torch.autograd.gradcheck(lambda a, b, t: info_nce(a, b, temperature=t, sides="two"), (a, b, t))
    assert torch.autograd.gradcheck(
        lambda a, b, t: info_nce(a, b, temperature=t, negatives=queue, in_batch=False), (a, b, t)
    )


# losses.md section 11: z = e1, e1, e2, e2 as two views of two samples; ln(1 + 2 exp(-1/t))
@pytest.mark.parametrize(("t", "value"), [(1.0, 0.5514447139), (0.5, 0.2395447662)])
def test_known_values(t: float, value: float) -> None:
    z = torch.eye(2, dtype=torch.float64)[:, None].expand(2, 2, 2)
    assert info_nce(z, temperature=t).item() == pytest.approx(value, abs=5e-11)


def test_equal_rows_give_the_log_of_the_candidates() -> None:
    z, queue = torch.full((8, 2, 4), 3.0), torch.full((5, 4), 3.0)
    found = {
        15: info_nce(z),  # 16 rows, all but the anchor
        20: info_nce(z, negatives=queue),
        8: info_nce(z[:, 0], z[:, 1], sides="two"),
        13: info_nce(z[:, 0], z[:, 1], negatives=queue),
        6: info_nce(z[:, 0], z[:, 1], negatives=queue, in_batch=False),
    }
    for candidates, value in found.items():
        assert value.item() == pytest.approx(math.log(candidates), rel=1e-6)


def test_pairs_are_softmax_cross_entropy() -> None:
    a, b = _normal(6, 3), _normal(6, 3, seed=1)
    logits = normalize(a) @ normalize(b).T / 0.1
    expected = (cross_entropy(logits, torch.arange(6)) + cross_entropy(logits.T, torch.arange(6))) / 2
    torch.testing.assert_close(info_nce(a, b, sides="two"), expected, rtol=1e-12, atol=0)


def test_unit_pairs_of_temperature_one_are_n_pair() -> None:
    """losses.md section 6: N-pair without its regulariser is the cross-entropy of the N x N matrix; f = g = e1, e2."""
    f = torch.eye(2, dtype=torch.float64)
    assert info_nce(f, f, temperature=1.0).item() == pytest.approx(math.log1p(math.exp(-1)), abs=5e-11)


def test_it_is_the_one_contrast_with_distance_0_and_1() -> None:
    a, b = _normal(6, 3).requires_grad_(), _normal(6, 3, seed=1).requires_grad_()
    own = torch.eye(6, dtype=torch.bool)
    _assert_same(info_nce(a, b), contrast(cosine(a, b) / 0.1, (~own).double(), torch.ones_like(own), own), a, b)


def test_a_queue_is_part_of_the_denominator_and_gets_no_gradient() -> None:
    z, queue = _normal(4, 2, 3).requires_grad_(), Queue(6, 3)
    assert torch.equal(info_nce(z, negatives=queue.candidates().embeddings), info_nce(z))  # empty at first
    queue.update(_normal(5, 3, seed=1))
    rows = queue.candidates().embeddings.requires_grad_()
    for value in (info_nce(z, negatives=rows), info_nce(z[:, 0], z[:, 1], negatives=rows, in_batch=False)):
        value.backward()
    assert rows.grad is None
    assert info_nce(z, negatives=rows) > info_nce(z)


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_temperature_may_be_learned(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    z = _normal(6, 2, 3).float()
    for partners in (False, True):
        given = (z[:, 0], z[:, 1]) if partners else (z,)
        loss = InfoNCELoss(nn.Parameter(torch.full(shape, 0.25, dtype=dtype)))
        value = loss(*given)
        assert value.dtype == torch.float32
        assert value.shape == ()
        assert value.item() == pytest.approx(info_nce(*given, temperature=0.25).item(), rel=1e-6)
        value.backward()
        (t,) = loss.parameters()
        assert t.grad is not None
        up, down = (info_nce(*(x.double() for x in given), temperature=0.25 + e) for e in (1e-5, -1e-5))
        assert t.grad.item() == pytest.approx((up - down).item() / 2e-5, rel=1e-2 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("other", [torch.float64, torch.float16, torch.bfloat16])
def test_types_may_be_mixed(other: torch.dtype) -> None:
    a, b = _normal(5, 3).float().requires_grad_(), _normal(5, 3, seed=1).to(other).requires_grad_()
    queue = _normal(4, 3, seed=2).to(other)
    exact = info_nce(a.double(), b.double(), negatives=queue.double(), sides="two").item()
    value = info_nce(a, b, negatives=queue, sides="two")
    assert value.dtype == torch.promote_types(torch.float32, other)
    assert value.item() == pytest.approx(exact, rel=1e-6)
    value.backward()
    assert a.grad is not None
    assert b.grad is not None
    assert info_nce(torch.stack((a, a), 1), negatives=queue).dtype == torch.float32


def test_two_views_of_one_sample_have_nothing_to_be_told_from() -> None:
    z = _normal(1, 2, 3).requires_grad_()
    value = info_nce(z)
    assert value.item() == 0.0
    assert not torch.autograd.grad(value, z)[0].any()


@pytest.mark.parametrize("scale", [0.0, 1e-25, 1e25])
def test_rows_of_zeros_and_of_any_length(scale: float) -> None:
    """A row of zeros has cosine 0 with everything; the square of 1e25 is no float32, nor is that of 1e-25."""
    a, b = _normal(6, 3), _normal(6, 3, seed=1)
    a[3], b[5] = scale * a[3], scale * b[5]
    assert info_nce(a.float(), b.float()).item() == pytest.approx(slow_pairs(a, b, 0.1).item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str) -> None:
    z, queue = _normal(8, 2, 16), _normal(5, 16, seed=1).to(dtype)
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "zeros": z * 0}.get(case, z)
    z = z[:1, :1].repeat(8, 2, 1) if case == "identical" else z
    z = torch.cat([z[:4], z[:4]]) if case == "duplicates" else z
    z[0, 0] = 0 if case == "one zero" else z[0, 0]
    z = z.to(dtype).requires_grad_()
    for t in (0.1, 0.001):
        for value in (
            info_nce(z, temperature=t),
            info_nce(z, temperature=t, negatives=queue),
            info_nce(z[:, 0], z[:, 1], temperature=t, sides="two"),
            info_nce(z[:, 0], z[:, 1], temperature=t, negatives=queue, in_batch=False),
        ):
            assert value.dtype == torch.float32
            assert bool(torch.isfinite(value))
            assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


@pytest.mark.parametrize("in_batch", [True, False])
def test_autocast_changes_nothing(in_batch: bool) -> None:
    z, queue = _normal(8, 2, 8).float().requires_grad_(), _normal(5, 8, seed=1).float()

    def both() -> list[Tensor]:
        pairs = info_nce(z[:, 0], z[:, 1], negatives=queue, in_batch=in_batch)
        found = [pairs, info_nce(z, negatives=queue)]
        return found + [torch.autograd.grad(value, z)[0] for value in found]

    plain = both()
    with torch.autocast("cpu", dtype=torch.bfloat16):  # even backward inside
        assert all(torch.equal(x, y) for x, y in zip(both(), plain, strict=True))


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), b=st.integers(2, 5), views=st.integers(2, 3), m=st.integers(0, 3))
def test_properties(seed: int, b: int, views: int, m: int) -> None:
    """The order of samples, views and negatives, lengths and directions do not count; L <= ln(candidates) + 2 / t."""
    z, queue, make = _normal(b, views, 4, seed=seed), _normal(m, 4, seed=seed + 1), torch.Generator().manual_seed(seed)
    order, lengths = torch.randperm(b, generator=make), 0.1 + torch.rand(b, views, 1, generator=make)
    turn = torch.linalg.qr(_normal(4, 4, seed=seed + 2))[0]
    value = info_nce(z, negatives=queue)
    for rows, rest in ((z[order], queue), (z.flip(1), queue.flip(0)), (z @ turn * lengths, 3 * queue @ turn)):
        torch.testing.assert_close(info_nce(rows, negatives=rest), value, rtol=1e-9, atol=1e-12)
    assert 0 <= value <= math.log(b * views - 1 + m) + 20
    pair = info_nce(z[:, 0], z[:, 1], sides="two")
    for left, right in ((z[order, 0], z[order, 1]), (z[:, 1], z[:, 0])):
        torch.testing.assert_close(info_nce(left, right, sides="two"), pair, rtol=1e-9, atol=1e-12)


def test_the_module_is_the_function() -> None:
    z, queue = _normal(6, 2, 3), _normal(4, 3, seed=1)
    a, b = z[:, 0], z[:, 1]
    assert torch.equal(InfoNCELoss(0.3)(z, negatives=queue), info_nce(z, temperature=0.3, negatives=queue))
    assert torch.equal(InfoNCELoss(0.3, "two")(a, b), info_nce(a, b, temperature=0.3, sides="two"))
    assert torch.equal(InfoNCELoss(in_batch=False)(a, b, queue), info_nce(a, b, negatives=queue, in_batch=False))


Z = torch.zeros(4, 3)
FINITE = "The network has diverged or its input is damaged: look at the loss before."
ONE_VIEW = (
    ": with one view nothing is positive. Stack two augmented views: torch.stack((z1, z2), 1); "
    "or pass info_nce(anchors, partners)."
)
MISTAKES: list[tuple[tuple[Tensor, ...], dict[str, object], str]] = [
    ((Z,), {}, f"InfoNCE expects two or more views (b, v, d), got (4, 3){ONE_VIEW}"),
    ((Z[:, None],), {}, f"InfoNCE expects two or more views (b, v, d), got (4, 1, 3){ONE_VIEW}"),
    (
        (Z, Z[:3]),
        {},
        "InfoNCE expects anchors and partners of one shape (n, d), got (4, 3) and (3, 3). "
        "Row i of the one is the partner of row i of the other.",
    ),
    (
        (Z[:, None], Z[:, None]),
        {},
        "InfoNCE expects anchors and partners of one shape (n, d), got (4, 1, 3) and (4, 1, 3). "
        "Row i of the one is the partner of row i of the other.",
    ),
    ((Z, Z.long()), {}, "InfoNCE expects float partners, got torch.int64. Use partners.float()."),
    ((Z / 0, Z), {}, f"InfoNCE expects finite anchors, got NaN or infinity in 4 of 4 rows (0, 1, 2, 3). {FINITE}"),
    (
        (torch.stack((Z, Z / 0), 1),),
        {},
        f"InfoNCE expects finite embeddings, got NaN or infinity in 4 of 8 rows (1, 3, 5, 7). {FINITE}",
    ),
    (
        (Z[:1], Z[:1]),
        {},
        "InfoNCE tells a partner from negatives, got 1 pair with in_batch=True and 0 further negatives. "
        "Use a larger batch, or pass negatives from a queue.",
    ),
    (
        (Z, Z),
        {"in_batch": False, "negatives": Z[:0]},
        "InfoNCE tells a partner from negatives, got 4 pairs with in_batch=False and 0 further negatives. "
        "Use a larger batch, or pass negatives from a queue.",
    ),
    (
        (Z[:0], Z[:0]),
        {"negatives": Z},
        "InfoNCE tells a partner from negatives, got 0 pairs with in_batch=True and 4 further negatives. "
        "Use a larger batch, or pass negatives from a queue.",
    ),
    (
        (Z, Z),
        {"negatives": Z[:, :2]},
        "InfoNCE expects float negatives (m, 3), got (4, 2) of torch.float32. "
        "A queue's are queue.candidates().embeddings.",
    ),
    (
        (Z, Z),
        {"negatives": Z / 0},
        "InfoNCE expects finite negatives, got NaN or infinity in 4 of 4 rows (0, 1, 2, 3). "
        "Look at what was put into the queue or bank.",
    ),
]


@unhooked
@pytest.mark.parametrize(("rows", "given", "message"), MISTAKES)
def test_mistakes_are_named(rows: tuple[Tensor, ...], given: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        info_nce(*rows, **given)
    assert str(caught.value) == message


PAIRS_ONLY = (
    "`sides` and `in_batch` describe pairs: pass info_nce(anchors, partners). "
    "Views (b, v, d) are always contrasted from every side, within the batch."
)


@unhooked
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0."),
        ({"temperature": torch.tensor(-0.5)}, "`temperature` must be a finite number above 0, got -0.5."),
        ({"sides": "too"}, "`sides` has no 'too'; there are one, two. Did you mean 'two'?"),
        ({"sides": "two"}, PAIRS_ONLY),
        ({"in_batch": False}, PAIRS_ONLY),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        info_nce(Z[:, None].repeat(1, 2, 1), **wrong)
    assert str(caught.value) == message
    if message != PAIRS_ONLY:
        with pytest.raises(ConfigError) as caught:
            InfoNCELoss(**wrong)
        assert str(caught.value) == message
