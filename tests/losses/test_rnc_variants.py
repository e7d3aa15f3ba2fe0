"""RnC with weights, few positives, missing targets and further candidates, against their definitions."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.rnc import rnc as plain_rnc
from oracle.rnc_variants import rnc as slow_rnc
from torch import Tensor

from isotone import relations
from isotone.candidates.queue import Queue
from isotone.core.kernels.rnc_rows import installed
from isotone.errors import ConfigError, ShapeError
from isotone.losses import RnCLoss, rnc
from isotone.records import Candidates, Tags

unhooked = pytest.mark.skipif(
    "config.getoption('--jaxtyping-packages', None)", reason="the type-checking hook refuses the argument first"
)

N, NAN = 7, float("nan")
WEIGHTS = [1.0, 0.0, 2.5, 0.5, 0.0, 3.0, 1.0]


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _targets(k: int, n: int = N, seed: int = 7) -> Tensor:
    return torch.randint(0, 5, (n, k), generator=torch.Generator().manual_seed(seed)).double()  # with ties


def _gaps(k: int) -> Tensor:
    """Return targets with missing dimensions, and two rows that miss them all."""
    y = _targets(k)
    missing = torch.rand(N, k, generator=torch.Generator().manual_seed(k)) < 0.4
    missing[2], missing[5] = True, True
    return y.masked_fill(missing, NAN)


def _queue(k: int, m: int = 4) -> tuple[Tensor, Tensor]:
    return _normal(m, 3, seed=3), _targets(k, m, seed=8)


def _candidates(queue: tuple[Tensor, Tensor]) -> Candidates:
    return Candidates(queue[0], Tags(target=queue[1]))


def _assert_same(fast: Tensor, slow: Tensor, z: Tensor) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(torch.autograd.grad(fast, z), torch.autograd.grad(slow, z), rtol=1e-10, atol=1e-12)


VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "weights": ({"weights": torch.tensor(WEIGHTS)}, {"weights": WEIGHTS}),
    "one positive": ({"positives": 1}, {"positives": 1}),
    "three positives": ({"positives": 3}, {"positives": 3}),
    "positives, weights": ({"positives": 2, "weights": torch.tensor(WEIGHTS)}, {"positives": 2, "weights": WEIGHTS}),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("beside", [False, True], ids=["batch", "queue"])
@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "missing"])
def test_value_and_gradient_equal_the_definition(name: str, k: int, beside: bool, gaps: bool) -> None:
    fast, slow = (dict(given) for given in VARIANTS[name])
    z, y = _normal(N, 3).requires_grad_(), _gaps(k) if gaps else _targets(k)
    if gaps:
        fast["missing"] = "mask"
    if beside:
        fast["others"], slow["others"] = _candidates(_queue(k)), _queue(k)
    _assert_same(rnc(z, y, **fast), slow_rnc(z, y, **slow), z)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_missing_targets_equal_the_definition(k: int, scale: float) -> None:
    z = (_normal(N, 3) * scale).requires_grad_()
    _assert_same(rnc(z, _gaps(k), missing="mask"), slow_rnc(z, _gaps(k)), z)


def test_float32_is_within_1e_5_of_the_definition() -> None:
    low = _normal(N, 3).float().requires_grad_()
    high = low.detach().double().requires_grad_()
    given = {"weights": torch.tensor(WEIGHTS), "positives": 3, "missing": "mask", "others": _candidates(_queue(2))}
    fast = rnc(low, _gaps(2), **given)
    slow = slow_rnc(high, _gaps(2), weights=WEIGHTS, positives=3, others=_queue(2))
    assert fast.dtype == torch.float32
    torch.testing.assert_close(fast.double(), slow, rtol=1e-5, atol=0)
    a, b = torch.autograd.grad(fast, low)[0].double(), torch.autograd.grad(slow, high)[0]
    assert float((a - b).norm() / b.norm()) < 1e-5


def test_gradcheck() -> None:
    given = {"weights": torch.tensor(WEIGHTS), "positives": 3, "missing": "mask", "others": _candidates(_queue(2))}
    assert torch.autograd.gradcheck(lambda z: rnc(z, _gaps(2), **given), _normal(N, 3).requires_grad_())


@pytest.mark.parametrize("n", [N, pytest.param(140, marks=pytest.mark.skipif(not installed(), reason="no numba"))])
def test_settings_that_say_nothing_change_nothing(n: int) -> None:
    """Also where the plain loss runs compiled, from 128 rows on."""
    z, y = _normal(n, 3).requires_grad_(), _targets(1, n)
    plain = rnc(z, y)
    gradient = torch.autograd.grad(plain, z)[0]
    none = Candidates(torch.zeros(0, 3), Tags(target=torch.zeros(0, 1)))
    for more in ({"weights": torch.full((n,), 3.0)}, {"positives": n - 1}, {"missing": "mask"}, {"others": none}):
        value = rnc(z, y, **more)
        torch.testing.assert_close(value, plain, rtol=1e-11, atol=0)
        torch.testing.assert_close(torch.autograd.grad(value, z)[0], gradient, rtol=1e-8, atol=1e-13)


def test_views_share_their_samples_weight() -> None:
    z, y, w = _normal(4, 2, 3), _targets(1, 4), [1.0, 0.0, 2.5, 0.5]
    rows = z.transpose(0, 1).reshape(8, 3)
    expected = slow_rnc(rows, y.repeat(2, 1), weights=w * 2)
    torch.testing.assert_close(rnc(z, y, weights=torch.tensor(w)), expected, rtol=1e-12, atol=0)


def test_a_sample_of_weight_zero_is_only_compared_with() -> None:
    """It stands in denominators: moving it changes the loss, dropping it changes the loss; it is no anchor."""
    z, y, w = _normal(N, 3), _targets(1), torch.ones(N)
    w[2] = 0
    moved = z.clone()
    moved[2] += 1
    value = rnc(z, y, weights=w)
    keep = torch.arange(N) != 2
    assert rnc(moved, y, weights=w) != value
    assert rnc(z[keep], y[keep]) != value
    beside = Candidates(z[2:3], Tags(target=y[2:3]))  # the same, but as a positive too
    assert rnc(z[keep], y[keep], others=beside) != value


def test_one_positive_may_be_several_ties() -> None:
    """Anchor 0 sees both rows at distance 1; worked by hand: ln 3 twice, then anchors 1 to 3, see below."""
    z, y = torch.zeros(4, 1, dtype=torch.float64), torch.tensor([0.0, 1.0, -1.0, 5.0])
    # 0: {1, -1} tie, ln 3. 1: 0 at 1 before -1 at 2 and 5 at 4: ln 3. -1: 0 at 1, ln 3. 5: 1 at 4, ln 3.
    assert rnc(z, y, positives=1).item() == pytest.approx(math.log(3), rel=1e-12)
    # 0: ln 3, its two ties alone. The rest: their second nearest of three has two at least as far, (ln 3 + ln 2) / 2.
    expected = (math.log(3) + 3 * (math.log(3) + math.log(2)) / 2) / 4
    assert rnc(z, y, positives=2).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_rows_without_any_target_are_as_good_as_dropped(k: int) -> None:
    z, y = _normal(N, 3).requires_grad_(), _gaps(k)
    keep = ~y.isnan().all(1)
    whole, dropped = rnc(z, y, missing="mask"), rnc(z[keep], y[keep], missing="mask")
    _assert_same(whole, dropped, z)
    assert not torch.autograd.grad(rnc(z, y, missing="mask"), z)[0][~keep].any()


@pytest.mark.parametrize("known", [0, 1, 2])
def test_where_no_pair_is_left_it_is_zero_and_joined_to_the_graph(known: int) -> None:
    z, y = _normal(5, 3).requires_grad_(), torch.full((5,), NAN)
    y[:known] = torch.arange(known)
    value = rnc(z, y, missing="mask")
    assert value.item() == 0.0
    assert not torch.autograd.grad(value, z)[0].any()


@pytest.mark.parametrize(
    "distance", [relations.l1, relations.partial("l1"), relations.weighted("l1", weights=(1.0, 1.0))]
)
def test_a_function_of_ours_masks_as_its_name_does(distance: Any) -> None:
    z, y = _normal(N, 3), _gaps(2)
    torch.testing.assert_close(rnc(z, y, missing="mask", distance=distance), rnc(z, y, missing="mask"))


def test_other_distances_of_missing_targets() -> None:
    z, y = _normal(N, 3), _targets(2)
    y[2], y[4, 1] = NAN, NAN
    incomplete = y.isnan().any(1)

    def own(a: Tensor, b: Tensor) -> Tensor:
        assert a.isnan().any()  # a function of the user's own sees the NaN, and may say that it does not know
        return (a[:, None] - b).abs().sum(2)

    rest = rnc(z[~incomplete], y[~incomplete])
    torch.testing.assert_close(rnc(z, y, missing="mask", distance=own), rest)
    angles = rnc(z[~incomplete], 1 + y[~incomplete], distance="angular")  # needs all of a direction
    torch.testing.assert_close(rnc(z, 1 + y, missing="mask", distance="angular"), angles)
    torch.testing.assert_close(rnc(z, 1 + y, missing="mask", distance=relations.angular), angles)
    turned = rnc(z, (y + 2) % 5, missing="mask", distance="circular:5")
    torch.testing.assert_close(turned, rnc(z, y, missing="mask", distance="circular:5"))


@pytest.mark.parametrize("similarity", ["l2", "cosine", "dot"])
def test_a_queue_is_compared_with_and_a_positive_but_no_anchor(similarity: str) -> None:
    """The loss over batch and queue together is the mean over the anchors of both."""
    z, y, (rows, targets) = _normal(N, 3), _targets(1), _queue(1)
    given = {"similarity": similarity, "temperature": 0.5}
    both = rnc(torch.cat([z, rows]), torch.cat([y, targets]), **given)
    of_batch = rnc(z, y, others=_candidates((rows, targets)), **given)
    of_queue = rnc(rows, targets, others=_candidates((z, y)), **given)
    torch.testing.assert_close((N * of_batch + 4 * of_queue) / (N + 4), both, rtol=1e-12, atol=0)


def test_a_queue_in_its_own_types() -> None:
    queue = Queue(6, 3, target=1)
    z, y = _normal(N, 3).requires_grad_(), _targets(1)
    assert torch.equal(rnc(z, y, others=queue.candidates()), rnc(z, y))  # empty at first
    queue.update(_normal(4, 3, seed=3).float(), Tags(target=_targets(1, 4, seed=8)))
    rows = queue.candidates()
    value = rnc(z, y, others=rows)
    _assert_same(value, slow_rnc(z, y, others=(rows.embeddings.double(), _targets(1, 4, seed=8))), z)
    assert rnc(z.bfloat16(), y, others=rows).dtype == torch.float32
    assert rnc(z, y.flatten().long(), others=rows).isfinite()


@pytest.mark.parametrize("n", [16, 140])
@pytest.mark.parametrize("similarity", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("variant", [{}, {"positives": 5}], ids=["plain", "positives"])
def test_autocast_changes_nothing(n: int, similarity: str, variant: dict[str, Any]) -> None:
    """140 rows run compiled, in float32: there a product under autocast would be of bfloat16."""
    z, y = _normal(n, 8).float().requires_grad_(), _targets(1, n)
    plain = rnc(z, y, similarity=similarity, **variant)
    gradient = torch.autograd.grad(plain, z)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = rnc(z, y, similarity=similarity, **variant)
        assert torch.equal(value, plain)
        assert torch.equal(torch.autograd.grad(value, z)[0], gradient)  # even backward inside


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["normal", "x30", "x1e4", "identical", "zeros", "one zero", "duplicates"])
def test_finite_in_every_type_at_every_scale(dtype: torch.dtype, case: str) -> None:
    z, y = _normal(12, 16), torch.cat([_gaps(2), _targets(2, 5)])
    z = {"x30": z * 30, "x1e4": z * (1e4 if dtype != torch.float16 else 1e3), "zeros": z * 0}.get(case, z)
    z = z[:1].repeat(12, 1) if case == "identical" else z
    z = torch.cat([z[:6], z[:6]]) if case == "duplicates" else z
    z[0] = 0 if case == "one zero" else z[0]
    z = z.to(dtype).requires_grad_()
    others = Candidates(_normal(4, 16, seed=3), Tags(target=_targets(2, 4)))
    weights = torch.tensor([*WEIGHTS, 1.0, 0.0, 2.0, 1.0, 1.0])
    for similarity in ("l2", "cosine", "dot"):
        for more in ({}, {"weights": weights}, {"positives": 2}, {"others": others}):
            value = rnc(z, y, missing="mask", similarity=similarity, **more)
            assert value.dtype == torch.float32
            assert bool(torch.isfinite(value))
            assert bool(torch.isfinite(torch.autograd.grad(value, z)[0]).all())


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 8), k=st.integers(1, 2), few=st.integers(1, 4))
def test_properties(seed: int, n: int, k: int, few: int) -> None:
    """The order of rows, the scale of the weights, and shift and scale of the targets do not count."""
    make = torch.Generator().manual_seed(seed)
    z, y = _normal(n, 3, seed=seed), _targets(k, n, seed)
    y[torch.rand(n, k, generator=make) < 0.3] = NAN
    w, order = torch.rand(n, generator=make) + 0.1, torch.randperm(n, generator=make)
    others = Candidates(_normal(2, 3, seed=seed + 1), Tags(target=_targets(k, 2, seed + 1)))
    moved = Candidates(others.embeddings, Tags(target=2 * _targets(k, 2, seed + 1) - 3))
    given = {"positives": few, "missing": "mask"}
    value = rnc(z, y, weights=w, others=others, **given)
    for other in (
        rnc(z[order], y[order], weights=w[order], others=others, **given),
        rnc(z, 2 * y - 3, weights=w, others=moved, **given),
    ):
        torch.testing.assert_close(other, value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(rnc(z, y, weights=8 * w, **given), rnc(z, y, weights=w, **given), rtol=1e-9, atol=1e-12)


def test_the_module_is_the_function() -> None:
    z, y, w, others = _normal(N, 3), _gaps(2), torch.tensor(WEIGHTS), _candidates(_queue(2))
    loss = RnCLoss(0.5, "cosine", "l2", positives=3, missing="mask")
    expected = rnc(
        z, y, temperature=0.5, similarity="cosine", distance="l2", positives=3, missing="mask", weights=w, others=others
    )
    assert torch.equal(loss(z, y, w, others), expected)


def test_the_oracle_is_the_papers_where_nothing_is_set() -> None:
    z, y = _normal(N, 3), _targets(2)
    torch.testing.assert_close(slow_rnc(z, y), plain_rnc(z, y, 2.0), rtol=1e-13, atol=0)


Z, Y = torch.zeros(4, 3), torch.arange(4.0)
BESIDE = Candidates(torch.zeros(5, 3), Tags(target=torch.zeros(5, 1)))
EXPECTS = "RnC expects other candidates (m, 3) with targets (m, 1), got"
FILL = "Fill Candidates(embeddings, Tags(target=...))."
LEAVE = "RnC's other candidates count for every anchor: leave `own` and `mask` out."
MISTAKES: list[tuple[Tensor, dict[str, Any], str]] = [
    (
        torch.tensor([0.0, NAN, 1.0, float("inf")]),
        {"missing": "mask"},
        "RnC expects finite targets, got NaN or infinity in 1 of 4 rows (3). "
        "Drop these rows, or fill in the missing targets.",
    ),
    (
        Y,
        {"weights": torch.tensor([1.0, -1.0, 0.0, 2.0])},
        "RnC expects weights of at least 0, some above 0, got -1 to 2. "
        "Give 0 to a sample that should only be compared with.",
    ),
    (
        Y,
        {"weights": torch.zeros(4)},
        "RnC expects weights of at least 0, some above 0, got 0 to 0. "
        "Give 0 to a sample that should only be compared with.",
    ),
    (
        Y,
        {"weights": torch.ones(3)},
        "RnC expects weights (4,), got (3,). Give one for each sample; its views share it.",
    ),
    (
        Y,
        {"weights": torch.tensor([1.0, NAN, 1.0, 1.0])},
        "RnC expects finite weights, got NaN or infinity in 1 of 4 rows (1). "
        "Give 0 to a sample that should only be compared with.",
    ),
    (Y, {"others": Candidates(torch.zeros(5, 2), BESIDE.tags)}, f"{EXPECTS} (5, 2) with (5, 1). {FILL}"),
    (Y, {"others": Candidates(torch.zeros(6, 3), BESIDE.tags)}, f"{EXPECTS} (6, 3) with (5, 1). {FILL}"),
    (Y, {"others": Candidates(torch.zeros(5, 3), Tags())}, f"{EXPECTS} (5, 3) with None. {FILL}"),
    (Y, {"others": Candidates(Z, Tags(target=Y[:, None]), own=torch.arange(4))}, LEAVE),
    (Y, {"others": Candidates(Z, Tags(target=Y[:, None]), mask=torch.ones(4, 4, dtype=torch.bool))}, LEAVE),
    (
        Y,
        {"others": Candidates(BESIDE.embeddings / 0, BESIDE.tags)},
        "RnC expects finite other candidates, got NaN or infinity in 5 of 5 rows (0, 1, 2, 3, 4). "
        "Look at what was put into the queue.",
    ),
    (
        Y,
        {"others": Candidates(Z, Tags(target=torch.tensor([[0.0], [NAN], [0.0], [0.0]])))},
        "RnC expects finite targets of the other candidates, got NaN or infinity in 1 of 4 rows (1). "
        "Look at what was put into the queue.",
    ),
]


@unhooked
@pytest.mark.parametrize(("y", "given", "message"), MISTAKES)
def test_mistakes_are_named(y: Tensor, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        rnc(Z, y, **given)
    assert str(caught.value) == message


@unhooked
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"positives": 0}, "`positives` must be between 1 and 1,000,000,000, got 0."),
        ({"missing": "maks"}, "`missing` has no 'maks'; there are error, mask. Did you mean 'mask'?"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    for make in (RnCLoss, lambda **given: rnc(Z, Y, **given)):
        with pytest.raises(ConfigError) as caught:
            make(**wrong)
        assert str(caught.value) == message
